"""Snapshots: one committed state of a portfolio, valued at one time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from domain.trading.arithmetic import ZERO, add, divide, rate, subtract
from domain.trading.portfolio import PortfolioState
from domain.types import PortfolioName, Symbol


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A row of ``paper_portfolio_snapshots``: a portfolio at one time. Amounts are in its currency.

    Attributes:
        total_pnl: what it has gained: deposits and withdrawals are no gain.
        total_pnl_pct: fraction of all that was paid in.
        daily_pnl: gain since 00:00 UTC.
        net_deposits: deposits less withdrawals since it was created.
        allocation: fraction of the total value by asset class, including ``cash``; empty where the value is 0.
        shown_as: see `domain.trading.portfolio.PortfolioRules`; it is not stored.
    """

    portfolio: PortfolioName
    time: datetime
    cash: Decimal
    positions_value: Decimal
    total_value: Decimal
    total_pnl: Decimal
    total_pnl_pct: Decimal
    daily_pnl: Decimal
    num_positions: int
    allocation: Mapping[str, Decimal]
    net_deposits: Decimal = ZERO
    shown_as: str = field(default="", compare=False)

    @property
    def label(self) -> str:
        """What people call the portfolio."""
        return self.shown_as or self.portfolio


def take_snapshot(
    portfolio: PortfolioState, marks: Mapping[Symbol, Decimal], opening_value: Decimal, time: datetime
) -> Snapshot:
    """Value ``portfolio`` at ``marks``. A position without a mark has the price of its last fill.

    Args:
        portfolio: a committed state.
        marks: latest price of each symbol.
        opening_value: its total value less its net deposits, both at 00:00 UTC of the day; on its first day the initial
            capital.
        time: time of the marks.
    """
    by_class: dict[str, Decimal] = {}
    for position in portfolio.positions.values():
        position_value = position.value(marks.get(position.symbol, position.last_price))
        by_class[position.asset_class] = add(by_class.get(position.asset_class, ZERO), position_value)
    total_value = portfolio.equity(marks)
    net_deposits = portfolio.flows.net_deposits
    without_deposits = subtract(total_value, net_deposits)
    total_pnl = subtract(without_deposits, portfolio.rules.initial_capital)
    parts = {"cash": portfolio.cash, **by_class}
    return Snapshot(
        portfolio=portfolio.name,
        shown_as=portfolio.rules.shown_as,
        time=time,
        cash=portfolio.cash,
        positions_value=subtract(total_value, portfolio.cash),
        total_value=total_value,
        total_pnl=total_pnl,
        total_pnl_pct=rate(divide(total_pnl, portfolio.paid_in)),
        daily_pnl=subtract(without_deposits, opening_value),
        num_positions=len(portfolio.positions),
        allocation={name: rate(divide(part, total_value)) for name, part in parts.items()} if total_value else {},
        net_deposits=net_deposits,
    )


def day_of(time: datetime) -> datetime:
    """Return 00:00 UTC of the day of ``time``."""
    return time.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def next_on_grid(time: datetime, interval: timedelta) -> datetime:
    """Return the first multiple of ``interval`` after ``time``, counted from 00:00 UTC of each day."""
    midnight = day_of(time)
    return min(midnight + ((time - midnight) // interval + 1) * interval, midnight + timedelta(days=1))
