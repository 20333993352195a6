"""The text of domain/trading/sessions/table.py, from the package exchange_calendars."""

from __future__ import annotations

import textwrap
import warnings
from collections.abc import Iterable, Mapping
from datetime import date, datetime, timedelta
from pathlib import Path

import exchange_calendars

TABLE = Path(__file__).parents[3] / "domain" / "trading" / "sessions" / "table.py"
EXCHANGES = ("XETR", "XLON", "XNAS", "XNYS")
FIRST_YEAR, LAST_YEAR = 2015, 2035
WIDTH = 114

Hours = tuple[datetime, datetime]

HEAD = '''"""The sessions of exchanges, by date. Written by ``python -m tests.support.sessions``, never by hand.

All times are UTC. A date from Monday to Friday has the regular hours, unless it has special ones or is closed.
Source: the package exchange_calendars. What an exchange announces later is in it only after it was written again.
"""

from __future__ import annotations

FIRST_YEAR = {first}
LAST_YEAR = {last}
'''


def sessions(exchange: str) -> dict[date, Hours]:
    """Return opening and close of each session of an exchange in the years of the table, in UTC."""
    schedule = _calendar(exchange).schedule
    return {
        day.date(): (opens.to_pydatetime(), closes.to_pydatetime())
        for day, opens, closes in zip(schedule.index, schedule["open"], schedule["close"], strict=True)
    }


def _calendar(exchange: str) -> exchange_calendars.ExchangeCalendar:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pandas about how the package uses it
        return exchange_calendars.get_calendar(exchange, start=f"{FIRST_YEAR}-01-01", end=f"{LAST_YEAR}-12-31")


def text() -> str:
    """Return the module's text."""
    regular: dict[str, str] = {}
    special: dict[str, str] = {}
    closed: dict[str, str] = {}
    for exchange in EXCHANGES:
        of_day, calendar = sessions(exchange), _calendar(exchange)
        assert all(day.weekday() < 5 and {day} == {time.date() for time in hours} for day, hours in of_day.items())
        irregular = {day.date() for day in (*calendar.early_closes, *calendar.late_opens)}
        usual = {day: hours for day, hours in of_day.items() if day not in irregular}
        regular[exchange] = _rows(_changes(usual))
        special[exchange] = _rows({day: of_day[day] for day in sorted(irregular)})
        closed[exchange] = _lines(f"{day}" for day in _weekdays() if day not in of_day)
    parts = [
        HEAD.format(first=FIRST_YEAR, last=LAST_YEAR),
        _mapping("HOURS", regular, "Regular opening and close from a date on."),
        _mapping("SPECIAL_HOURS", special, "Opening and close of dates with others, such as half days."),
        _mapping("CLOSED", closed, "Dates from Monday to Friday without a session."),
    ]
    return "\n".join(parts)


def _changes(usual: Mapping[date, Hours]) -> dict[date, Hours]:
    """Return the hours of the first date, and of each whose hours are not those of the date before."""
    hours_from: dict[date, Hours] = {}
    before: list[object] = []
    for day, hours in usual.items():
        present: list[object] = [moment.time() for moment in hours]
        if present != before:
            hours_from[day if hours_from else date(FIRST_YEAR, 1, 1)] = hours
            before = present
    return hours_from


def _weekdays() -> Iterable[date]:
    first, last = date(FIRST_YEAR, 1, 1), date(LAST_YEAR, 12, 31)
    days = (first + timedelta(days=number) for number in range((last - first).days + 1))
    return (day for day in days if day.weekday() < 5)


def _rows(hours: Mapping[date, Hours]) -> str:
    # A row is never broken in two.
    return _lines(f"{day}_{opens:%H:%M}_{closes:%H:%M}" for day, (opens, closes) in hours.items()).replace("_", " ")


def _lines(words: Iterable[str]) -> str:
    return "\n".join(textwrap.wrap(" ".join(words), WIDTH, break_on_hyphens=False))


def _mapping(name: str, texts: Mapping[str, str], what: str) -> str:
    """Return a constant by exchange; an exchange with the same text as one before shares it."""
    owners: dict[str, list[str]] = {}
    for exchange, of_exchange in texts.items():
        owners.setdefault(of_exchange, []).append(exchange)
    lines = [f'_{"_".join(names)}_{name} = """\n{shared}\n"""' for shared, names in owners.items()]
    constant = {exchange: f"_{'_'.join(names)}_{name}" for names in owners.values() for exchange in names}
    entries = [f'    "{exchange}": {constant[exchange]},' for exchange in texts]
    return "\n".join([*lines, f"{name} = {{", *entries, "}", f'"""{what}"""', ""])
