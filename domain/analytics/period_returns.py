"""What each day and each month brought, in UTC."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal

from domain.analytics.performance import History
from domain.analytics.returns import DAY, MICROSECOND, Valuation
from domain.trading.arithmetic import ONE, ZERO, add, divide, rate, subtract
from domain.trading.portfolio import Trade


@dataclass(frozen=True, slots=True)
class PeriodReturn:
    """What one day or month brought. Amounts in the portfolio's currency.

    Attributes:
        start: its first day.
        result: value at its end less value at its beginning; of a strategy, Σ net of its closings.
        change: the same as a fraction of the value at its beginning; None for a strategy, and where that
            was not above 0.
        complete: whether all of it lies in the period; the running day does not.
    """

    start: date
    result: Decimal
    change: Decimal | None
    complete: bool


def daily_period_returns(history: History) -> tuple[PeriodReturn, ...]:
    """Return what each day brought a portfolio, as its daily returns have it, then the running day so far."""
    return _gains(history, {_day_of_end(end.time): end for end in _ends(history)}, lambda day: day + DAY)


def monthly_period_returns(history: History) -> tuple[PeriodReturn, ...]:
    """Return what each month brought a portfolio: the value at its end against that at the end of the month before."""
    ends = {_day_of_end(end.time).replace(day=1): end for end in _ends(history)}
    return _gains(history, ends, lambda first: (first + 31 * DAY).replace(day=1))


def strategy_period_returns(trades: Iterable[Trade], *, monthly: bool) -> tuple[PeriodReturn, ...]:
    """Return the net results of closings by the day, or month, on which they were made; others are left out."""
    found: dict[date, Decimal] = {}
    for trade in trades:
        day = trade.exit_time.astimezone(UTC).date()
        start = day.replace(day=1) if monthly else day
        found[start] = add(found.get(start, ZERO), trade.net)
    return tuple(PeriodReturn(start, net, None, complete=True) for start, net in sorted(found.items()))


def by_month(gains: Iterable[PeriodReturn]) -> Mapping[int, Mapping[int, PeriodReturn]]:
    """Return monthly gains by year and month, for a table that has a line for each year."""
    found: dict[int, dict[int, PeriodReturn]] = {}
    for gain in gains:
        found.setdefault(gain.start.year, {})[gain.start.month] = gain
    return found


def _ends(history: History) -> tuple[Valuation, ...]:
    """The closes of whole days, and the last valuation of the running one."""
    closes, line = history.returns.closes, history.line
    known_until = closes[-1].time if closes else history.opening.time
    return (*closes, line[-1]) if line and line[-1].time > known_until else closes


def _gains(
    history: History, ends: Mapping[date, Valuation], next_after: Callable[[date], date]
) -> tuple[PeriodReturn, ...]:
    found = []
    before = history.opening.total_value
    for start, end in ends.items():
        begin, over = _midnight(start), _midnight(next_after(start))
        change = rate(subtract(divide(end.total_value, before), ONE)) if before > ZERO else None
        complete = history.opening.time <= begin and over <= history.until
        found.append(PeriodReturn(start, subtract(end.total_value, before), change, complete))
        before = end.total_value
    return tuple(found)


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time.min, UTC)


def _day_of_end(end: datetime) -> date:
    """The day that ends, or runs, at a moment: 00:00 is the end of the day before."""
    return (end.astimezone(UTC) - MICROSECOND).date()
