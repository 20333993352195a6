"""Trading sessions: days worked out by hand, and the whole table against the package exchange_calendars."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from types import ModuleType

import pytest

from domain.trading.instruments import Calendars
from domain.trading.sessions import table
from domain.trading.sessions.calendar import CALENDARS, LONGEST_PAUSE, NoSession, Session, session_of, session_on

pytestmark = pytest.mark.clock


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


SESSIONS = [
    # An ordinary Monday in winter, before, at and in the session.
    ("XNYS", "2026-01-05 00:00", "2026-01-05 14:30", "2026-01-05 21:00"),
    ("XNYS", "2026-01-05 14:29:59", "2026-01-05 14:30", "2026-01-05 21:00"),
    ("XNYS", "2026-01-05 14:30", "2026-01-05 14:30", "2026-01-05 21:00"),
    ("XNYS", "2026-01-05 20:59:59", "2026-01-05 14:30", "2026-01-05 21:00"),
    # At its close a session is over.
    ("XNYS", "2026-01-05 21:00", "2026-01-06 14:30", "2026-01-06 21:00"),
    ("XNAS", "2026-01-05 21:00", "2026-01-06 14:30", "2026-01-06 21:00"),
    ("XLON", "2026-01-05 16:29:59", "2026-01-05 08:00", "2026-01-05 16:30"),
    ("XETR", "2026-01-05 16:30", "2026-01-06 08:00", "2026-01-06 16:30"),
    # Summer.
    ("XNYS", "2026-07-01 12:00", "2026-07-01 13:30", "2026-07-01 20:00"),
    ("XLON", "2026-07-01 12:00", "2026-07-01 07:00", "2026-07-01 15:30"),
    ("XETR", "2026-07-01 15:30", "2026-07-02 07:00", "2026-07-02 15:30"),
    # A weekend.
    ("XNYS", "2026-01-09 21:00", "2026-01-12 14:30", "2026-01-12 21:00"),
    ("XLON", "2026-01-10 12:00", "2026-01-12 08:00", "2026-01-12 16:30"),
    ("XETR", "2026-01-11 23:59:59", "2026-01-12 08:00", "2026-01-12 16:30"),
    # New York's clocks change in the nights of 8 March and 1 November 2026, Europe's on 29 March and 25 October.
    ("XNYS", "2026-03-06 20:30", "2026-03-06 14:30", "2026-03-06 21:00"),
    ("XNYS", "2026-03-06 21:00", "2026-03-09 13:30", "2026-03-09 20:00"),
    ("XNYS", "2026-03-08 07:00", "2026-03-09 13:30", "2026-03-09 20:00"),
    ("XNYS", "2026-10-30 20:00", "2026-11-02 14:30", "2026-11-02 21:00"),
    ("XNAS", "2026-11-01 06:00", "2026-11-02 14:30", "2026-11-02 21:00"),
    ("XLON", "2026-03-27 16:30", "2026-03-30 07:00", "2026-03-30 15:30"),
    ("XETR", "2026-03-29 01:00", "2026-03-30 07:00", "2026-03-30 15:30"),
    ("XLON", "2026-10-23 15:30", "2026-10-26 08:00", "2026-10-26 16:30"),
    ("XETR", "2026-10-25 01:00", "2026-10-26 08:00", "2026-10-26 16:30"),
    # In the three weeks between the two changes Europe has winter time and New York summer time.
    ("XLON", "2026-03-16 12:00", "2026-03-16 08:00", "2026-03-16 16:30"),
    ("XNYS", "2026-03-16 12:00", "2026-03-16 13:30", "2026-03-16 20:00"),
    # Thanksgiving, and the half day after it.
    ("XNYS", "2026-11-26 15:00", "2026-11-27 14:30", "2026-11-27 18:00"),
    ("XNYS", "2026-11-27 17:59:59", "2026-11-27 14:30", "2026-11-27 18:00"),
    ("XNAS", "2026-11-27 18:00", "2026-11-30 14:30", "2026-11-30 21:00"),
    # A half day in summer time: 3 July 2024, before Independence Day.
    ("XNYS", "2024-07-03 12:00", "2024-07-03 13:30", "2024-07-03 17:00"),
    ("XNYS", "2024-07-03 17:00", "2024-07-05 13:30", "2024-07-05 20:00"),
    # London's half days and its Boxing Day on the Monday after a Saturday; Frankfurt's last session of a year.
    ("XLON", "2026-12-24 12:00", "2026-12-24 08:00", "2026-12-24 12:30"),
    ("XLON", "2026-12-24 12:30", "2026-12-29 08:00", "2026-12-29 16:30"),
    ("XETR", "2026-12-23 16:30", "2026-12-28 08:00", "2026-12-28 16:30"),
    ("XETR", "2026-12-30 09:00", "2026-12-30 08:00", "2026-12-30 13:00"),
    ("XETR", "2026-12-30 13:00", "2027-01-04 08:00", "2027-01-04 16:30"),
    # Easter: Good Friday and Monday in Europe, Friday alone in New York.
    ("XLON", "2026-04-02 15:30", "2026-04-07 07:00", "2026-04-07 15:30"),
    ("XETR", "2026-04-02 15:30", "2026-04-07 07:00", "2026-04-07 15:30"),
    ("XNYS", "2026-04-02 20:00", "2026-04-06 13:30", "2026-04-06 20:00"),
    # Closed once: the funerals of George H. W. Bush and of Elizabeth II.
    ("XNYS", "2018-12-05 15:00", "2018-12-06 14:30", "2018-12-06 21:00"),
    ("XLON", "2022-09-19 10:00", "2022-09-20 07:00", "2022-09-20 15:30"),
]


@pytest.mark.parametrize(("calendar", "moment", "opens", "closes"), SESSIONS)
def test_the_session_of_a_moment_or_the_next_one(calendar: str, moment: str, opens: str, closes: str) -> None:
    assert Session(calendar, at(opens), at(closes)) == session_of(calendar, at(moment))


def test_a_moment_may_be_in_any_zone() -> None:
    assert session_of("XNYS", at("2026-01-05 21:00")) == session_of(
        "XNYS", datetime.fromisoformat("2026-01-06T02:30+05:30")
    )


@pytest.mark.parametrize("calendar", CALENDARS)
def test_outside_its_years_the_table_knows_no_session(calendar: str) -> None:
    unknown = NoSession(f"the sessions of {calendar} are known for 2015 to 2035 only")
    assert unknown == session_of(calendar, at("2014-12-31 23:59:59"))
    assert isinstance(session_of(calendar, at("2015-01-01 00:00")), Session)
    assert isinstance(session_of(calendar, at("2035-12-28 12:00")), Session)
    assert unknown == session_of(calendar, at("2035-12-31 23:59:59"))
    assert unknown == session_of(calendar, at("2999-01-01 00:00"))


def test_a_symbol_has_its_calendar_in_any_usual_spelling() -> None:
    calendars = Calendars({"AAPL/USD": "XNAS", "VOD": "XLON"})
    assert ["XNAS", "XNAS", "XLON", None, None] == [
        calendars.of(symbol) for symbol in ("aapl-usd", "AAPL/USD", "vod", "AAPL", "BTC/USDT")
    ]


@pytest.mark.parametrize("calendar", CALENDARS)
def test_no_pause_between_two_sessions_is_longer_than_the_longest(calendar: str) -> None:
    sessions = [session for day in days() if (session := session_on(calendar, day)) is not None]
    assert LONGEST_PAUSE > max(later.opens - earlier.closes for earlier, later in pairwise(sessions))


@pytest.fixture(scope="module")
def source() -> ModuleType:
    """Return the module that reads the package; the tests with it are skipped where that cannot be installed."""
    pytest.importorskip("exchange_calendars")
    from tests.support.sessions import table as source  # noqa: PLC0415

    return source


@pytest.mark.parametrize("calendar", CALENDARS)
def test_every_day_of_the_table_is_as_the_package_has_it(source: ModuleType, calendar: str) -> None:
    expected = source.sessions(calendar)
    in_table = {day: session for day in days() if (session := session_on(calendar, day)) is not None}
    assert len(expected) > 5_000
    assert expected == {day: (session.opens, session.closes) for day, session in in_table.items()}


def test_the_table_is_what_its_command_writes(source: ModuleType) -> None:
    assert source.text() == source.TABLE.read_text(encoding="utf-8")
    assert CALENDARS == source.EXCHANGES


def days() -> Iterator[date]:
    first, last = date(table.FIRST_YEAR, 1, 1), date(table.LAST_YEAR, 12, 31)
    return (first + timedelta(days=number) for number in range((last - first).days + 1))
