"""The report on one portfolio, or on one strategy in it: all values, without their layout."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from domain.analytics.equity_curve import CurvePoint, TradeMarker, equity_curve, trade_markers
from domain.analytics.funnel import Funnel
from domain.analytics.histogram import Bin, histogram
from domain.analytics.performance import History, Performance, performance
from domain.analytics.performance_metric import PerformanceMetric, defined, undefined
from domain.analytics.period_returns import (
    PeriodReturn,
    daily_period_returns,
    monthly_period_returns,
    strategy_period_returns,
)
from domain.analytics.report_parts.buy_and_hold import BuyAndHold
from domain.analytics.report_parts.group_curves import NetPoint, group_curves
from domain.analytics.report_parts.monte_carlo import MonteCarlo
from domain.analytics.report_parts.reconciliation import Reconciliation, reconciliation
from domain.analytics.report_parts.trip_notes import TripNote
from domain.analytics.returns import Valuation
from domain.analytics.round_trips import RoundTrip
from domain.analytics.trade_stats import Dimension, TradeHistory, TradeStats
from domain.trading.arithmetic import ZERO, add, divide, subtract
from domain.types import PositionId

MAX_CURVE_POINTS = 2_000
MAX_TRADE_MARKERS = 600
MAX_BINS = 40
MAX_GROUP_CURVE_POINTS = 100
CURVE_DIMENSIONS = tuple(dimension for dimension in Dimension if dimension is not Dimension.DAY)
DIVIDEND = "dividend"
BACKTEST = "backtest of recorded prices"
"""The origin of results that a backtest has computed."""


@dataclass(frozen=True, slots=True)
class OpenPosition:
    """A position that is open now, at the last market price. Amounts are in the portfolio's currency.

    Attributes:
        price_source: source of that price.
        unrealized_pnl: before the costs of closing.
    """

    symbol: str
    side: str
    quantity: Decimal
    entry_price: Decimal
    current_price: Decimal
    price_source: str
    position_value: Decimal
    unrealized_pnl: Decimal
    unrealized_pnl_pct: Decimal | None
    strategy: str | None
    opened_at: datetime


class AccountEntry(NamedTuple):
    """A deposit, withdrawal or adjustment that was carried out. The names are those of ``paper_account_events``."""

    at: datetime
    kind: str
    symbol: str | None
    new_symbol: str | None
    amount: Decimal | None
    price: Decimal | None
    ratio_new: Decimal | None
    ratio_old: Decimal | None
    quantity_before: Decimal | None
    quantity: Decimal | None
    cash_delta: Decimal
    reason: str
    author: str


class FutureSnapshots(NamedTuple):
    """Snapshots that are dated in the future, as a wrong clock has left them. No result contains them."""

    number: int
    last: datetime


@dataclass(frozen=True, slots=True)
class Report:
    """The content of a report. Amounts are in ``currency``, times in UTC.

    Attributes:
        portfolio: its name.
        strategy: the only strategy whose results the report has; None: all strategies.
        since: the beginning of the period.
        until: its end.
        initial_capital: initial capital of the portfolio.
        opening: its value at the beginning of the period.
        closing: its value at the end: now, or of the last snapshot of a period that is over.
        closing_at: time of that value; without a snapshot, the beginning of the period.
        later_fills: number of fills of the period after that time; 0 for a report up to now.
        net_deposits: deposits less withdrawals of the period.
        weighted_closing: what the opening value alone would have become, see `time_weighted`.
        account: deposits, withdrawals and adjustments of the period, oldest first; none for a strategy.
        performance: metrics of the portfolio; None for a strategy, which has no value of its own.
        trade_stats: results and costs of the portfolio, or of the strategy.
        reconciliation: the way from the round trips to the result.
        by: the same by symbol, strategy, asset class, day, side, confidence and hour.
        by_curves: the net result so far of each of those groups but the days.
        curve: the value over time, with deposits left out as in ``weighted_closing``; of a strategy, its net result so
            far.
        marks: markers of closings on the curve.
        days: return of each day.
        months: return of each month.
        round_trips: the round trips that ended, oldest first.
        trip_notes: the agent's reasoning for the last round trips, by position.
        distribution: histogram of the net results of round trips.
        benchmarks: what buying and holding brought in the same time; none for a strategy, which has no value.
        funnel: funnel of the decisions received during the period.
        positions: positions that are open now, whatever the period.
        price_sources: price sources of the fills in the period and of the open positions.
        price_sources_not_real: those of them whose prices are not a real market's.
        future_snapshots: those of the portfolio that are dated in the future; None where there are none.
        origin: what the results come from where no portfolio has traded, such as `BACKTEST`; None: from its books.
        monte_carlo: what its daily returns would have brought in another order; None where that was not asked for.
    """

    portfolio: str
    strategy: str | None
    currency: str
    since: datetime
    until: datetime
    initial_capital: Decimal
    opening: Decimal
    closing: Decimal
    closing_at: datetime
    later_fills: int
    net_deposits: Decimal
    weighted_closing: Decimal
    account: tuple[AccountEntry, ...]
    performance: Performance | None
    trade_stats: TradeStats
    reconciliation: Reconciliation
    by: Mapping[Dimension, Mapping[str, TradeStats]]
    by_curves: Mapping[Dimension, Mapping[str, tuple[NetPoint, ...]]]
    curve: tuple[CurvePoint, ...]
    marks: tuple[TradeMarker, ...]
    days: tuple[PeriodReturn, ...]
    months: tuple[PeriodReturn, ...]
    round_trips: tuple[RoundTrip, ...]
    trip_notes: Mapping[PositionId, TripNote]
    distribution: tuple[Bin, ...]
    benchmarks: tuple[BuyAndHold, ...]
    funnel: Funnel
    positions: tuple[OpenPosition, ...]
    price_sources: tuple[str, ...]
    price_sources_not_real: tuple[str, ...]
    future_snapshots: FutureSnapshots | None = None
    origin: str | None = None
    monte_carlo: MonteCarlo | None = None

    @property
    def result(self) -> Decimal:
        """Result of the period, without deposits and withdrawals; of a strategy, its net result."""
        if self.strategy is not None:
            return self.trade_stats.net_pnl
        return _result(self.opening, self.closing, self.net_deposits)

    @property
    def change(self) -> PerformanceMetric:
        """The time-weighted return: without deposits, the result as a fraction of the value at the beginning."""
        if self.strategy is not None:
            return undefined("a strategy has no value of its own")
        if self.opening <= ZERO:
            return undefined("there was no value at the beginning")
        return defined(divide(subtract(self.weighted_closing, self.opening), self.opening))

    @property
    def has_trades(self) -> bool:
        """Whether anything was traded in the period."""
        return self.trade_stats.traded > ZERO or bool(self.round_trips)

    @property
    def has_curve(self) -> bool:
        """Whether the curve covers any time."""
        return len(self.curve) > 1 and self.curve[0].time < self.curve[-1].time


def report(
    history: History,
    *,
    portfolio: str,
    currency: str,
    initial_capital: Decimal,
    strategy: str | None,
    funnel: Funnel,
    positions: Sequence[OpenPosition],
    price_sources: Sequence[str],
    price_sources_not_real: Sequence[str],
    account: Sequence[AccountEntry] = (),
    benchmarks: Sequence[BuyAndHold] = (),
    future_snapshots: FutureSnapshots | None = None,
    origin: str | None = None,
) -> Report:
    """Return the report on a period.

    Args:
        history: history of the period, see `History.during`.
        portfolio: name of the portfolio.
        currency: currency of the amounts.
        initial_capital: initial capital of the portfolio.
        strategy: report this strategy only; ``(none)`` stands for decisions without a strategy.
        funnel: funnel of the decisions received during the period, of the strategy only if there is one.
        positions: positions that are open now, of the strategy only if there is one.
        price_sources: see `Report`.
        price_sources_not_real: see `Report`.
        account: see `Report`.
        benchmarks: see `Report`.
        future_snapshots: see `Report`.
        origin: see `Report`.
    """
    trade_history = history.trade_history if strategy is None else history.trade_history.of(strategy)
    valuations = (history.opening, *history.valuations)
    if strategy is None:
        line: Sequence[Valuation] = (history.opening, *history.weighted)
        days, months = daily_period_returns(history), monthly_period_returns(history)
    else:
        line = _net_so_far(trade_history, history)
        days = strategy_period_returns(trade_history.trades, monthly=False)
        months = strategy_period_returns(trade_history.trades, monthly=True)
    curve = equity_curve(line, MAX_CURVE_POINTS)
    closing = valuations[-1]
    net_deposits = subtract(closing.net_deposits, history.opening.net_deposits)
    result = _result(history.opening.total_value, closing.total_value, net_deposits) if strategy is None else None
    dividends = [entry.cash_delta for entry in account if entry.kind == DIVIDEND]
    return Report(
        portfolio=portfolio,
        strategy=strategy,
        currency=currency,
        since=history.opening.time,
        until=history.until,
        initial_capital=initial_capital,
        opening=history.opening.total_value,
        closing=closing.total_value,
        closing_at=closing.time,
        later_fills=sum(execution.at > closing.time for execution in trade_history.executions),
        net_deposits=net_deposits,
        weighted_closing=history.weighted[-1].total_value if history.weighted else history.opening.total_value,
        account=tuple(account) if strategy is None else (),
        performance=performance(history) if strategy is None else None,
        trade_stats=trade_history.stats,
        reconciliation=reconciliation(trade_history, result, dividends),
        by={dimension: trade_history.by(dimension) for dimension in Dimension},
        by_curves={
            dimension: group_curves(trade_history, dimension, MAX_GROUP_CURVE_POINTS) for dimension in CURVE_DIMENSIONS
        },
        curve=curve,
        marks=trade_markers(trade_history.trades, curve, MAX_TRADE_MARKERS),
        days=days,
        months=months,
        round_trips=trade_history.round_trips,
        trip_notes={},
        distribution=histogram([trip.net for trip in trade_history.round_trips], MAX_BINS),
        funnel=funnel,
        positions=tuple(positions),
        price_sources=tuple(price_sources),
        price_sources_not_real=tuple(price_sources_not_real),
        benchmarks=tuple(benchmarks) if strategy is None else (),
        future_snapshots=future_snapshots,
        origin=origin,
    )


def _result(opening: Decimal, closing: Decimal, net_deposits: Decimal) -> Decimal:
    return subtract(subtract(closing, opening), net_deposits)


def _net_so_far(trade_history: TradeHistory, history: History) -> Sequence[Valuation]:
    """Return a strategy's net result after each of its closings, beginning with 0."""
    line = [Valuation(history.opening.time, ZERO)]
    for trade in trade_history.trades:
        line.append(Valuation(trade.exit_time, add(line[-1].total_value, trade.net)))
    line.append(Valuation(max(history.until, line[-1].time), line[-1].total_value))
    return line
