"""Simulated runs of strategies with a known edge, usually none, for tests of validation.

A fair game without costs is the hardest case: with costs, a strategy without an edge loses.
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
from domain.trading.account.trades import Trade
from domain.types import OrderId, PortfolioName, PositionId, PositionSide, Symbol

FIRST = datetime(2026, 1, 1, tzinfo=UTC)
STEP = timedelta(hours=1)
STEPS_PER_DAY = 24
"""Steps, and valuations, in a day."""
CAPITAL = 10_000.0
DEVIATION = 0.006
"""Standard deviation of the market's return in a step, about that of Bitcoin."""


def coin_flips(
    seed: int, days: int = 14, *, edge: float = 0.0, longest: int = 8, target: float | None = None
) -> History:
    """Return the history of a strategy that decides at random when to buy, how much, and how long to hold.

    Args:
        seed: equal seeds give equal runs.
        days: number of whole UTC days.
        edge: drift of the market in a step while a position is open, as a share of its deviation. 0 is a fair game.
        longest: maximum number of steps for which a position is open.
        target: sell as soon as the gain reaches this fraction, and never before; None: the duration is random.
    """
    draw = random.Random(seed)
    cash, held, price, left = CAPITAL, 0.0, 100.0, 0
    trades: list[Trade] = []
    executions: list[Execution] = []
    line: list[Valuation] = []
    bought_at, cost = FIRST, 0.0
    for step in range(days * STEPS_PER_DAY):
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
    return History.full(opening, FIRST + days * STEPS_PER_DAY * STEP, trades, executions, tuple(line))


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
