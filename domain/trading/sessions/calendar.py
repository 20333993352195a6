"""Exchange calendars: the session of a moment."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from typing import NamedTuple, TypeAlias

from domain.trading.sessions import table

CALENDARS = tuple(sorted(table.HOURS))
"""The calendars that there are, by the market identifier codes of ISO 10383."""
ONE_DAY = timedelta(days=1)
LONGEST_PAUSE = timedelta(days=6)
"""More than between any two sessions of the table."""
SATURDAY = 5

_Hours: TypeAlias = tuple[time, time]


class Session(NamedTuple):
    """One trading session of an exchange.

    Attributes:
        calendar: code of the exchange.
        opens: UTC and aware.
        closes: UTC and aware; no longer part of the session.
    """

    calendar: str
    opens: datetime
    closes: datetime


@dataclass(frozen=True, slots=True)
class NoSession:
    """The reason why there is no session: a sentence for a person."""

    reason: str


class _Days(NamedTuple):
    """The table of one exchange, read.

    Attributes:
        changes: the dates from which other regular hours hold, ascending.
        regular: the regular hours from each of these dates on.
        special: the hours of dates with others, such as half days.
        closed: the dates from Monday to Friday without a session.
    """

    changes: list[date]
    regular: list[_Hours]
    special: Mapping[date, _Hours]
    closed: frozenset[date]


def session_of(calendar: str, at: datetime) -> Session | NoSession:
    """Return the session that holds ``at``; outside sessions the next one. At its close a session is over.

    >>> session_of("XNYS", datetime(2026, 11, 27, 15, tzinfo=UTC)).closes.isoformat()
    '2026-11-27T18:00:00+00:00'

    Args:
        calendar: one of `CALENDARS`.
        at: aware.
    """
    moment = at.astimezone(UTC)
    unknown = NoSession(f"the sessions of {calendar} are known for {table.FIRST_YEAR} to {table.LAST_YEAR} only")
    if moment.year < table.FIRST_YEAR:
        return unknown
    day = moment.date()
    while day.year <= table.LAST_YEAR:
        session = session_on(calendar, day)
        if session is not None and session.closes > moment:
            return session
        day += ONE_DAY
    return unknown


def session_on(calendar: str, day: date) -> Session | None:
    """Return the session of a date in the years of the table; None where the exchange is closed all day."""
    days = _days(calendar)
    if day.weekday() >= SATURDAY or day in days.closed:
        return None
    opens, closes = days.special.get(day) or days.regular[bisect_right(days.changes, day) - 1]
    return Session(calendar, datetime.combine(day, opens, UTC), datetime.combine(day, closes, UTC))


@cache
def _days(calendar: str) -> _Days:
    """Read the table of an exchange, at its first use."""
    regular = dict(_hours(table.HOURS[calendar]))
    special = dict(_hours(table.SPECIAL_HOURS[calendar]))
    closed = frozenset(date.fromisoformat(day) for day in table.CLOSED[calendar].split())
    return _Days(list(regular), list(regular.values()), special, closed)


def _hours(rows: str) -> Iterator[tuple[date, _Hours]]:
    words = iter(rows.split())
    for day, opens, closes in zip(words, words, words, strict=True):
        yield date.fromisoformat(day), (time.fromisoformat(opens), time.fromisoformat(closes))
