"""Two programs at one market: one runs on, the other is killed again and again. What their orders get is compared."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from domain.trading.arithmetic import plain
from domain.trading.decision import Decision
from domain.trading.quotes import Quote
from tests.support.actors.memory_stores import MemoryDatabase
from tests.support.actors.stepped_runtime import NOON, StepClock
from tests.support.settlement.recorded_market import RecordedMarket, Served, walk
from tests.support.values.builders import BTC, BY_QUOTE, ETH, free, instrument, rules, uid

LONGEST_GAP_S = 24 * 3600
EVERY_S = 20
"""Between two trades of a symbol."""
TERMS: tuple[dict[str, Any], ...] = (
    {"stop_loss_pct": "0.01", "take_profit_pct": "0.01"},
    {"stop_loss_pct": "0.02", "take_profit_pct": "0.005"},
    {"stop_loss_pct": "0.002", "take_profit_pct": "0.002"},  # a bar may reach both
    {"trailing_stop_pct": "0.01", "take_profit_pct": "0.02"},
)


@dataclass(frozen=True)
class Life:
    """A time in which a program runs, and the gap after it.

    Attributes:
        orders: terms of the decisions at its beginning.
        last_orders: of those at its end.
        steps: of the actors between the last trade and the kill.
    """

    begin: datetime
    end: datetime
    next: datetime
    orders: tuple[dict[str, Any], ...]
    last_orders: tuple[dict[str, Any], ...]
    steps: int


def lives(draw: random.Random, kills: int) -> list[Life]:
    """Return so many lives, with gaps between 1 s and 24 h."""
    made, time = [], NOON + timedelta(seconds=60)  # the first orders need a price
    for _ in range(kills + 1):
        end = time + timedelta(seconds=draw.randint(60, 600))
        gap = int(LONGEST_GAP_S ** draw.random())
        orders, last_orders = (tuple(_order(draw, at) for _ in range(draw.randint(0, 2))) for at in (time, end))
        made.append(Life(time, end, end + timedelta(seconds=gap), orders, last_orders, draw.randint(0, 12)))
        time = made[-1].next
    return made


def _order(draw: random.Random, time: datetime) -> dict[str, Any]:
    symbol = draw.choice([BTC, ETH])
    order: dict[str, Any] = {"symbol": symbol, "decision": "BUY", "confidence": 1, "quantity": str(draw.randint(1, 4))}
    if draw.random() < 0.5:
        order |= {"order_type": "limit", "limit_price": draw.choice(["99.5", "99", "98"])}
        if draw.random() < 0.3:
            expires_at = time + timedelta(seconds=draw.randint(60, LONGEST_GAP_S))
            order |= {"time_in_force": "GTD", "order_expires_at": expires_at}
    return order | draw.choice(TERMS)


def play(seed: int, kills: int, *, killed: bool, by_bars: bool = False) -> MemoryDatabase:
    """Play the lives of a seed, with kills or without; return the database at the end."""
    plan = lives(random.Random(seed), kills)
    market = RecordedMarket([instrument(BTC), instrument(ETH)], trades(seed, kills), by_bars=by_bars)
    database = MemoryDatabase()
    database.open_portfolio(rules(costs=free(), execution=BY_QUOTE, max_position_size=1, initial_capital=10_000_000))
    served = Served(market, database, StepClock(), seed)
    number = 0
    for life in plan:
        if served.stepper is None:
            served.start()
        for time, orders in ((life.begin, life.orders), (life.end, life.last_orders)):
            served.pass_to(time)
            served.tick()
            for order in orders:
                number += 1
                served.ticker()
                database.add(Decision(uid=uid(number), **order), served.clock.now())
                served.tick()
        if killed and life is not plan[-1]:
            served.kill_after(life.steps)
        served.pass_to(life.next)
    served.tick()
    return database


def trades(seed: int, kills: int) -> list[Quote]:
    """Return the trades of the market of a seed with so many kills."""
    end = lives(random.Random(seed), kills)[-1].next
    return walk([BTC, ETH], NOON, int((end - NOON).total_seconds()), EVERY_S, seed)


def fills(database: MemoryDatabase) -> list[str]:
    """Return the fills as texts, in the order of their times and orders, with the orders and the numbers."""
    texts = [
        f"{result.fill.filled_at:%d %H:%M:%S} {result.order.order_id} {result.fill.fill_no} {result.order.side}"
        f" {plain(result.fill.quantity)} at {plain(result.fill.price)}"
        for result in database.fills
    ]
    return sorted(texts)
