"""Two programs at one market: one runs on, the other is killed again and again. What their orders get is compared."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from domain.trading.arithmetic import plain
from domain.trading.decision import Decision
from domain.types import DecisionId
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
    {"trailing_stop_pct": "0.01", "take_profit_pct": "0.02"},
)


@dataclass(frozen=True)
class Life:
    """A time in which a program runs, and the gap after it.

    Attributes:
        orders: terms of the decisions at its beginning.
        steps: of the actors between the last trade and the kill.
    """

    begin: datetime
    end: datetime
    next: datetime
    orders: tuple[dict[str, Any], ...]
    steps: int


def lives(draw: random.Random, kills: int) -> list[Life]:
    """Return so many lives, with gaps between 1 s and 24 h."""
    made, time = [], NOON + timedelta(seconds=60)  # the first orders need a price
    for _ in range(kills + 1):
        end = time + timedelta(seconds=draw.randint(60, 600))
        gap = int(LONGEST_GAP_S ** draw.random())
        orders = tuple(_order(draw) for _ in range(draw.randint(0, 2)))
        made.append(Life(time, end, end + timedelta(seconds=gap), orders, draw.randint(0, 12)))
        time = made[-1].next
    return made


def _order(draw: random.Random) -> dict[str, Any]:
    symbol = draw.choice([BTC, ETH])
    order: dict[str, Any] = {"symbol": symbol, "decision": "BUY", "confidence": 1, "quantity": str(draw.randint(1, 4))}
    if draw.random() < 0.5:
        order |= {"order_type": "limit", "limit_price": draw.choice(["99.5", "99", "98"])}
    return order | draw.choice(TERMS)


def play(seed: int, kills: int, *, killed: bool, by_bars: bool = False) -> MemoryDatabase:
    """Play the lives of a seed, with kills or without; return the database at the end."""
    draw = random.Random(seed)
    plan = lives(draw, kills)
    seconds = int((plan[-1].next - NOON).total_seconds())
    market = RecordedMarket(
        [instrument(BTC), instrument(ETH)], walk([BTC, ETH], NOON, seconds, EVERY_S, seed), by_bars=by_bars
    )
    database = MemoryDatabase()
    database.open_portfolio(rules(costs=free(), execution=BY_QUOTE, max_position_size=1, initial_capital=10_000_000))
    served = Served(market, database, StepClock(), seed)
    number = 0
    for life in plan:
        if served.stepper is None:
            served.start()
        served.pass_to(life.begin)
        served.tick()
        for order in life.orders:
            number += 1
            served.ticker()
            database.add(Decision(uid=uid(number), **order), served.clock.now())
            served.tick()
        served.pass_to(life.end)
        if killed and life is not plan[-1]:
            served.kill_after(life.steps)
        served.pass_to(life.next)
    served.tick()
    return database


def fills(database: MemoryDatabase) -> list[str]:
    """Return the fills as texts, in the order of their times and orders, with the orders and the numbers."""
    texts = [
        f"{result.fill.filled_at:%d %H:%M:%S} {result.order.order_id} {result.fill.fill_no} {result.order.side}"
        f" {plain(result.fill.quantity)} at {plain(result.fill.price)}"
        for result in database.fills
    ]
    return sorted(texts)


def recovered_fills(database: MemoryDatabase) -> int:
    """Return how many fills happened while no program ran."""
    return sum(result.recovered for result in database.fills)


def differing_decisions(one: MemoryDatabase, other: MemoryDatabase) -> set[DecisionId]:
    """Return the decisions whose orders got other fills in one of the databases than in the other."""
    return {id_ for id_ in one.rows | other.rows if _fills_of(one, id_) != _fills_of(other, id_)}


def settled_decisions(database: MemoryDatabase) -> set[DecisionId]:
    """Return the decisions whose orders were open while no program ran, as the recorded settlements say."""
    settled = set()
    for result in (*database.fills, *database.events):
        order = result.order
        spans = [span for span in database.spans if span.symbol == order.instrument.symbol]
        if result.recovered or any(span.since < result.event.at and order.created_at < span.until for span in spans):
            settled.add(order.decision_id)
    rests = {one.order.decision_id for state in database.portfolios.values() for one in state.open_orders}
    return settled | rests


def _fills_of(database: MemoryDatabase, id_: DecisionId) -> list[tuple[object, ...]]:
    of_decision = [result for result in database.fills if result.order.decision_id == id_]
    return sorted(
        (result.order.leg, result.fill.fill_no, result.fill.filled_at, result.fill.quantity, result.fill.price)
        for result in of_decision
    )
