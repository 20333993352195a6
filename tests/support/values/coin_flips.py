"""Made-up runs of strategies with a known edge, mostly none, for the gate to judge.

A fair game without costs is the hardest case: with costs, a strategy without an edge only loses.
"""

from __future__ import annotations

import math
import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

from domain.analytics.performance import History
from domain.analytics.returns import Valuation
from domain.analytics.round_trips import Execution
from domain.trading.portfolio import Trade
from domain.types import OrderId, PortfolioName, PositionId, PositionSide, Symbol

FIRST = datetime(2026, 1, 1, tzinfo=UTC)
STEP = timedelta(hours=1)
A_DAY = 24
"""Steps, and valuations, of a day."""
CAPITAL = 10_000.0
DEVIATION = 0.006
"""Standard deviation of the market's return in a step, about that of Bitcoin."""


def coin_flips(
    seed: int, days: int = 14, *, edge: float = 0.0, longest: int = 8, target: float | None = None
) -> History:
    """A run of somebody who throws coins: when to buy, how much of the money, how long to hold it.

    Args:
        seed: the same seed, the same run.
        days: whole UTC days.
        edge: what the market drifts by, a step, while something is held; a share of its deviation. 0 is a fair game.
        longest: steps that something is held at most.
        target: sell as soon as it brings that much, a fraction, and hold on for as long as it does not; None: a coin
            says how long it is held.
    """
    draw = random.Random(seed)
    cash, held, price, left = CAPITAL, 0.0, 100.0, 0
    trades: list[Trade] = []
    executions: list[Execution] = []
    line: list[Valuation] = []
    bought_at, cost = FIRST, 0.0
    for step in range(days * A_DAY):
        now = FIRST + step * STEP
        if held and (left == 0 if target is None else held * price >= cost * (1 + target)):
            cash += held * price
            trades.append(_trade(len(trades), held, cost, held * price, bought_at, now))
            held = 0.0
        elif not held and draw.random() < 0.5:
            cost = (cash * draw.uniform(0.02, 0.20)) // 0.01 * 0.01
            held, left, bought_at = cost / price, draw.randint(1, longest), now
            cash -= cost
            executions.append(_entry(len(trades), cost, now))
        left -= 1
        drift = edge * DEVIATION if held else 0.0
        price *= math.exp(drift - DEVIATION**2 / 2 + DEVIATION * draw.gauss())
        line.append(Valuation(now + STEP, _money(cash + held * price)))
    opening = Valuation(FIRST, _money(CAPITAL))
    return History.full(opening, FIRST + days * A_DAY * STEP, trades, executions, tuple(line))


def _money(amount: float) -> Decimal:
    return Decimal(round(amount * 10_000)).scaleb(-4)


def _position(number: int) -> PositionId:
    return PositionId(UUID(int=number))


def _trade(number: int, held: float, cost: float, notional: float, since: datetime, until: datetime) -> Trade:
    return Trade(
        position_id=_position(number),
        order_id=OrderId(UUID(int=number)),
        fill_no=1,
        portfolio=PortfolioName("default"),
        symbol=Symbol("BTC/USDT"),
        asset_class="crypto",
        side=PositionSide.LONG,
        quantity=_money(held),
        cost=_money(cost),
        exit_notional=_money(notional),
        exit_price=_money(notional / held),
        entry_commission=Decimal(0),
        exit_commission=Decimal(0),
        entry_time=since,
        exit_time=until,
        strategy="coin",
        closes=True,
    )


def _entry(number: int, cost: float, at: datetime) -> Execution:
    size = _money(cost)
    return Execution(
        _position(number), Symbol("BTC/USDT"), "crypto", PositionSide.LONG, "coin", size, Decimal(0), Decimal(0), at
    )
