"""Builders for tests of performance metrics: closings by result, valuations by value, trades and executions."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import NAMESPACE_OID, uuid5

from domain.analytics.returns import DailyReturns, Valuation, daily_closes, daily_returns
from domain.analytics.round_trips import Execution
from domain.trading.account.trades import Trade
from domain.trading.bookkeeping import Result
from domain.trading.portfolio import PortfolioState
from domain.types import OrderId, PortfolioName, PositionId, PositionSide, Symbol
from tests.support.values.builders import BTC, ETH, Number, deal, rules

DAY_1 = datetime(2026, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
UNTIL = DAY_1 + 2 * DAY
"""The end of the period in which `DEALS` happen."""

# By hand, with a commission of 0.1 %, at least 1: a win of 97.9 net (100 − 1 − 1.1), a loss of 83 (−20 − 60 − 3), a
# gross win of 1.5 that commissions of 2.0015 make a loss of 0.5015; half of a position that stays open, 8.5
# (10 − 0.5 − 1). The first closing of the loss, 4 at 95, is −20 − 0.4 − 1.
DEALS = (
    (BTC, "BUY", 10, 100, 0),
    (BTC, "SELL", 10, 110, 1),
    (ETH, "BUY", 10, 100, 2),
    (ETH, "SELL", 4, 95, 3),
    (ETH, "SELL", 6, 90, 5),
    (BTC, "BUY", 10, 100, 4),
    (BTC, "SELL", 10, "100.15", 6),
    (ETH, "BUY", 1, 100, 36),
    (ETH, "SELL", "0.5", 120, 42),
)
"""Symbol, side, quantity, price and hour of each fill; for `dealt`."""


def closing(
    gross: Number,
    commission: Number = 0,
    *,
    position: int = 1,
    closes: bool = True,
    symbol: str = BTC,
    strategy: str | None = None,
    asset_class: str = "crypto",
    side: PositionSide = PositionSide.LONG,
    opened_at: datetime = DAY_1,
    at: datetime = DAY_1 + HOUR,
) -> Trade:
    """Return the closing of a position of cost 1000000 with this gross result; half the commission is the entry's."""
    cost = Decimal(1_000_000)
    sign = 1 if side is PositionSide.LONG else -1
    return Trade(
        position_id=PositionId(uuid5(NAMESPACE_OID, f"position {position}")),
        order_id=OrderId(uuid5(NAMESPACE_OID, f"order {position} {at}")),
        fill_no=1,
        portfolio=PortfolioName("default"),
        symbol=Symbol(symbol),
        asset_class=asset_class,
        side=side,
        quantity=Decimal(1),
        cost=cost,
        exit_notional=cost + sign * Decimal(gross),
        exit_price=cost + sign * Decimal(gross),
        entry_commission=Decimal(commission) / 2,
        exit_commission=Decimal(commission) / 2,
        entry_time=opened_at,
        exit_time=at,
        strategy=strategy,
        closes=closes,
    )


def entry_of(trade: Trade, slippage: Number = 0) -> Execution:
    """Return the fill that opened the position of a trade."""
    return Execution(
        trade.position_id,
        trade.symbol,
        trade.asset_class,
        trade.side,
        trade.strategy,
        trade.cost,
        trade.entry_commission,
        Decimal(slippage),
        trade.entry_time,
    )


def exit_of(trade: Trade, slippage: Number = 0) -> Execution:
    """Return the fill that closed the position of a trade."""
    return Execution(
        trade.position_id,
        trade.symbol,
        trade.asset_class,
        trade.side,
        trade.strategy,
        trade.exit_notional,
        trade.exit_commission,
        Decimal(slippage),
        trade.exit_time,
    )


def execution_of(applied: Result) -> Execution:
    """Return a fill as an execution."""
    held = applied.position or applied.trade
    assert held is not None
    fill = applied.fill
    return Execution(
        applied.position_id,
        held.symbol,
        held.asset_class,
        held.side,
        held.strategy,
        fill.notional,
        fill.commission,
        fill.slippage,
        fill.filled_at,
        fill.costs.spread,
    )


def dealt(*deals: tuple[str, str, Number, Number, float]) -> tuple[tuple[Trade, ...], tuple[Execution, ...]]:
    """Return trades and executions of deals: symbol, side, quantity, price, hours after DAY_1."""
    portfolio = PortfolioState.opened(rules())
    trades, executions = [], []
    for symbol, side, quantity, price, hours in deals:
        applied = deal(portfolio, side, quantity, price, symbol=symbol, at=DAY_1 + hours * HOUR, strategy="s")
        portfolio = applied.state
        executions.append(execution_of(applied))
        trades += [applied.trade] if applied.trade else []
    return tuple(trades), tuple(executions)


def valued(*values: Number, start: datetime = DAY_1, step: timedelta = DAY) -> tuple[Valuation, ...]:
    """Return valuations at equal intervals, the first one ``step`` after ``start``."""
    return tuple(Valuation(start + step * (n + 1), Decimal(value)) for n, value in enumerate(values))


def returns_of(values: Sequence[Number], opening: Number = 1000, *, crypto: bool = True) -> DailyReturns:
    """Return the returns of days that end with these values."""
    valuations = valued(*values)
    closes = daily_closes(valuations, DAY_1 + DAY * len(values))
    return daily_returns(closes, Decimal(opening), crypto=crypto)
