"""Performance of a portfolio: all its metrics, computed from its trades, fills and snapshots.

`domain.analytics.metric_definitions` defines them; docs/performance.md is generated from it.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from functools import cached_property

from domain.analytics.performance_metric import PerformanceMetric, defined, mean, undefined
from domain.analytics.returns import (
    TIME,
    DailyReturns,
    Drawdown,
    Valuation,
    annual_return,
    calmar_ratio,
    daily_closes,
    daily_returns,
    exposure,
    max_drawdown,
    sharpe_ratio,
    sortino_ratio,
    time_weighted,
)
from domain.analytics.round_trips import Execution
from domain.analytics.significance import minimum_track_record, probabilistic_sharpe_ratio
from domain.analytics.trade_stats import TradeHistory, TradeStats
from domain.trading.account.trades import Trade
from domain.trading.arithmetic import ZERO, divide

MIN_TIME = datetime.min.replace(tzinfo=UTC)
MAX_TIME = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True)
class History:
    """The history of one portfolio: all of it (`full`), or a period of it (`during`).

    Attributes:
        opening: the initial capital and its time; of a period, the value at its beginning.
        until: the end. Times are UTC and aware.
        trade_history: trades and fills; `TradeHistory.by` groups them by symbol, strategy, ….
        valuations: all snapshots, oldest first; of a period, those after its beginning.
        resumed: True where the portfolio existed before the opening, so that days without snapshot count from there.
    """

    opening: Valuation
    until: datetime
    trade_history: TradeHistory
    valuations: tuple[Valuation, ...] = ()
    resumed: bool = False

    @classmethod
    def full(
        cls,
        opening: Valuation,
        until: datetime,
        trades: Sequence[Trade] = (),
        executions: Sequence[Execution] = (),
        valuations: tuple[Valuation, ...] = (),
    ) -> History:
        """Return the full history of a portfolio.

        Args:
            opening: the initial capital and its time.
            until: the time up to which the other arguments are complete.
            trades: all closings, oldest first.
            executions: all fills, oldest first.
            valuations: all snapshots, oldest first.
        """
        return cls(opening, until, TradeHistory(trades, executions, opening.time, until), valuations)

    def during(self, since: datetime | None = None, until: datetime | None = None) -> History:
        """Return the part from ``since`` to ``until``. None, or a time outside the history, leaves that end unchanged.

        The opening value is the last valuation at or before ``since``, whatever its age. A trade at ``until`` belongs
        to the next period, a valuation at ``until`` to this one, so that each whole day belongs to one period.
        """
        since = None if since is None or since <= self.opening.time else since
        until = None if until is None or until >= self.until else until
        if since is None and until is None:
            return self
        end = max(until or self.until, since or self.opening.time)
        part = self.trade_history.during(since or MIN_TIME, until or MAX_TIME)
        opening, resumed = self.opening, self.resumed
        first, last = 0, bisect_right(self.valuations, until or self.until, key=TIME)
        if since is not None:
            first = bisect_right(self.valuations, since, key=TIME)
            last_before = self.valuations[first - 1] if first else self.opening
            opening, resumed = last_before._replace(time=since), True
        trade_history = replace(part, since=opening.time, until=end)
        return History(opening, end, trade_history, self.valuations[first:last], resumed)

    def valued(self, now: Valuation) -> History:
        """Return the history with the value of its last moment, unless a snapshot is as young.

        Without it, the value is that of the last snapshot, and trades are newer than the value.

        Args:
            now: value of the portfolio at ``until``.
        """
        last = self.valuations[-1] if self.valuations else self.opening
        return replace(self, valuations=(*self.valuations, now)) if now.time > last.time else self

    @cached_property
    def weighted(self) -> Sequence[Valuation]:
        """The valuations without the effect of deposits and withdrawals, see `time_weighted`."""
        return time_weighted(self.valuations, self.opening)

    @cached_property
    def closes(self) -> tuple[Valuation, ...]:
        """The values at the ends of its whole days, as they were."""
        return daily_closes(self.valuations, self.until, self.opening if self.resumed else None)

    @cached_property
    def returns(self) -> DailyReturns:
        """The daily returns of its whole days."""
        closes = daily_closes(self.weighted, self.until, self.opening if self.resumed else None)
        return daily_returns(closes, self.opening.total_value, crypto=self.trade_history.crypto)

    @property
    def line(self) -> tuple[Valuation, ...]:
        """Its value over time: the opening, where the portfolio existed before, and all snapshots."""
        return (self.opening, *self.valuations) if self.resumed else self.valuations


@dataclass(frozen=True, slots=True)
class Performance:
    """All metrics of one portfolio, which `domain.analytics.metric_definitions` defines."""

    trade_stats: TradeStats
    returns: DailyReturns
    sharpe_ratio: PerformanceMetric
    sortino_ratio: PerformanceMetric
    annual_return: PerformanceMetric
    calmar_ratio: PerformanceMetric
    max_drawdown: Drawdown
    probabilistic_sharpe_ratio: PerformanceMetric
    minimum_track_record: PerformanceMetric
    exposure: PerformanceMetric
    turnover: PerformanceMetric


def performance(history: History) -> Performance:
    """Return all metrics of a portfolio; an undefined one has a reason."""
    trade_stats = history.trade_history.stats
    returns = history.returns
    drawdown = max_drawdown(history.weighted, history.opening)
    return Performance(
        trade_stats=trade_stats,
        returns=returns,
        sharpe_ratio=sharpe_ratio(returns),
        sortino_ratio=sortino_ratio(returns),
        annual_return=annual_return(returns),
        calmar_ratio=calmar_ratio(returns, drawdown),
        max_drawdown=drawdown,
        probabilistic_sharpe_ratio=probabilistic_sharpe_ratio(returns),
        minimum_track_record=minimum_track_record(returns),
        exposure=exposure(history.line, history.until),
        turnover=_turnover(trade_stats.traded, history.opening, returns),
    )


def _turnover(traded: Decimal, opening: Valuation, returns: DailyReturns) -> PerformanceMetric:
    mean_value = mean([valuation.total_value for valuation in (opening, *returns.closes)])
    if mean_value <= ZERO:
        return undefined("the portfolio's mean value is not above 0")
    return defined(divide(traded, mean_value))
