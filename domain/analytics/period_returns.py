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
        result: value at its end less value at its beginning, without deposits and withdrawals; of a strategy, Σ net of
            its closings.
        change: the time-weighted return, a fraction: without deposits and withdrawals the result as a fraction of the
            value at its beginning; None for a strategy, and where that value was not above 0.
        complete: True where all of it lies in the period; False for the running day.
    """

    start: date
    result: Decimal
    change: Decimal | None
    complete: bool


def daily_period_returns(history: History) -> tuple[PeriodReturn, ...]:
    """Return a portfolio's result of each day, as in its daily returns, and of the running day so far."""
    return _period_returns(history, {_day_of_end(pair[0].time): pair for pair in _ends(history)}, lambda day: day + DAY)


def monthly_period_returns(history: History) -> tuple[PeriodReturn, ...]:
    """Return a portfolio's result of each month: its end less the end of the month before, without deposits."""
    ends = {_day_of_end(pair[0].time).replace(day=1): pair for pair in _ends(history)}
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


def _ends(history: History) -> tuple[tuple[Valuation, Valuation], ...]:
    """Return the closes of whole days and the last valuation of the running one, each with its weighted one."""
    pairs = tuple(zip(history.closes, history.returns.closes, strict=True))
    line = history.line
    closed_until = pairs[-1][0].time if pairs else history.opening.time
    if line and line[-1].time > closed_until:
        return (*pairs, (line[-1], history.weighted[-1] if history.weighted else history.opening))
    return pairs


def _period_returns(
    history: History, ends: Mapping[date, tuple[Valuation, Valuation]], next_after: Callable[[date], date]
) -> tuple[PeriodReturn, ...]:
    period_returns = []
    before = weighted_before = history.opening
    for start, (end, weighted) in ends.items():
        begin, finish = _midnight(start), _midnight(next_after(start))
        value = weighted_before.total_value
        change = rate(subtract(divide(weighted.total_value, value), ONE)) if value > ZERO else None
        complete = history.opening.time <= begin and finish <= history.until
        period_returns.append(PeriodReturn(start, subtract(end.gain, before.gain), change, complete))
        before, weighted_before = end, weighted
    return tuple(period_returns)


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time.min, UTC)


def _day_of_end(end: datetime) -> date:
    """Return the day that ends or runs at a time; 00:00 is the end of the day before."""
    return (end.astimezone(UTC) - MICROSECOND).date()
