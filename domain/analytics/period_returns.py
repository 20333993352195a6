"""Returns by day and by month, in UTC."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal

from domain.analytics.performance import History
from domain.analytics.returns import DAY, MICROSECOND, Valuation
from domain.trading.account.trades import Trade
from domain.trading.arithmetic import ONE, ZERO, add, divide, rate, subtract


@dataclass(frozen=True, slots=True)
class PeriodReturn:
    """The return of one day or month. Amounts are in the portfolio's currency.

    Attributes:
        start: its first day.
        result: value at its end less value at its beginning; of a strategy, Σ net of its closings.
        change: the same as a fraction of the value at its beginning; None for a strategy, and where that
            value was not above 0.
        complete: True where all of it lies in the period; False for the running day.
    """

    start: date
    result: Decimal
    change: Decimal | None
    complete: bool


def daily_period_returns(history: History) -> tuple[PeriodReturn, ...]:
    """Return a portfolio's result of each day, as in its daily returns, and of the running day so far."""
    return _period_returns(history, {_day_of_end(end.time): end for end in _ends(history)}, lambda day: day + DAY)


def monthly_period_returns(history: History) -> tuple[PeriodReturn, ...]:
    """Return a portfolio's result of each month: the value at its end less the value at the end of the month before."""
    ends = {_day_of_end(end.time).replace(day=1): end for end in _ends(history)}
    return _period_returns(history, ends, lambda first: (first + 31 * DAY).replace(day=1))


def strategy_period_returns(trades: Iterable[Trade], *, monthly: bool) -> tuple[PeriodReturn, ...]:
    """Return the net results of closings by day or month; a period without closings is left out."""
    net_by_start: dict[date, Decimal] = {}
    for trade in trades:
        day = trade.exit_time.astimezone(UTC).date()
        start = day.replace(day=1) if monthly else day
        net_by_start[start] = add(net_by_start.get(start, ZERO), trade.net)
    return tuple(PeriodReturn(start, net, None, complete=True) for start, net in sorted(net_by_start.items()))


def by_month(months: Iterable[PeriodReturn]) -> Mapping[int, Mapping[int, PeriodReturn]]:
    """Return monthly returns by year and month, for a table with a row for each year."""
    years: dict[int, dict[int, PeriodReturn]] = {}
    for month in months:
        years.setdefault(month.start.year, {})[month.start.month] = month
    return years


def _ends(history: History) -> tuple[Valuation, ...]:
    """Return the closes of whole days and the last valuation of the running one."""
    closes, line = history.returns.closes, history.line
    closed_until = closes[-1].time if closes else history.opening.time
    return (*closes, line[-1]) if line and line[-1].time > closed_until else closes


def _period_returns(
    history: History, ends: Mapping[date, Valuation], next_after: Callable[[date], date]
) -> tuple[PeriodReturn, ...]:
    period_returns = []
    before = history.opening.total_value
    for start, end in ends.items():
        begin, finish = _midnight(start), _midnight(next_after(start))
        change = rate(subtract(divide(end.total_value, before), ONE)) if before > ZERO else None
        complete = history.opening.time <= begin and finish <= history.until
        period_returns.append(PeriodReturn(start, subtract(end.total_value, before), change, complete))
        before = end.total_value
    return tuple(period_returns)


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time.min, UTC)


def _day_of_end(end: datetime) -> date:
    """Return the day that ends or runs at a time; 00:00 is the end of the day before."""
    return (end.astimezone(UTC) - MICROSECOND).date()
