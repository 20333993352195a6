"""Daily summaries and quiet hours over changes of the clock, in zones east and west."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.trading_messages.schedule import QuietHours, day_until, moment_of

pytestmark = pytest.mark.clock
BERLIN, NEW_YORK, KATHMANDU, LORD_HOWE = map(
    ZoneInfo, ("Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe")
)
HOUR = timedelta(hours=1)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("zone", "day", "at", "expected"),
    [
        (BERLIN, "2026-03-28", "18:00", "2026-03-28 17:00"),
        (BERLIN, "2026-03-29", "18:00", "2026-03-29 16:00"),  # summer time began in the night
        (BERLIN, "2026-03-29", "02:30", "2026-03-29 01:30"),  # skipped: 03:30 by the clock
        (BERLIN, "2026-10-25", "02:30", "2026-10-25 00:30"),  # the first of two
        (NEW_YORK, "2026-03-08", "02:00", "2026-03-08 07:00"),
        (NEW_YORK, "2026-11-01", "01:00", "2026-11-01 05:00"),
        (KATHMANDU, "2026-03-29", "00:00", "2026-03-28 18:15"),
        (LORD_HOWE, "2026-10-04", "02:15", "2026-10-03 15:45"),  # half an hour is skipped
    ],
)
def test_the_moment_of_a_time_of_day(zone: ZoneInfo, day: str, at: str, expected: str) -> None:
    assert utc(expected) == moment_of(date.fromisoformat(day), time.fromisoformat(at), zone)


@pytest.mark.parametrize(
    ("now", "since", "until"),
    [
        ("2026-03-28 16:59:59", "2026-03-26 17:00", "2026-03-27 17:00"),
        ("2026-03-28 17:00", "2026-03-27 17:00", "2026-03-28 17:00"),
        ("2026-03-29 16:00", "2026-03-28 17:00", "2026-03-29 16:00"),  # a day of 23 hours
        ("2026-10-25 17:00", "2026-10-24 16:00", "2026-10-25 17:00"),  # one of 25
        ("2026-01-01 12:00", "2025-12-30 17:00", "2025-12-31 17:00"),
    ],
)
def test_the_day_of_a_summary(now: str, since: str, until: str) -> None:
    assert (utc(since), utc(until)) == day_until(time(18), BERLIN, utc(now))


def test_a_summary_at_a_time_that_is_skipped_or_comes_twice_is_due_once_a_day() -> None:
    for first in (date(2026, 3, 26), date(2026, 10, 22)):
        begin = datetime.combine(first, time(), UTC)
        due = {
            day_until(time(2, 30), BERLIN, begin + timedelta(minutes=minute))[1] for minute in range(0, 6 * 1440, 10)
        }
        assert 7 == len(due)
        days = [moment.astimezone(BERLIN).date() for moment in sorted(due)]
        assert [days[0] + timedelta(days=number) for number in range(7)] == days


@given(
    now=st.datetimes(datetime(2024, 1, 1), datetime(2028, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
    minutes=st.integers(0, 1439),
    zone=st.sampled_from([BERLIN, NEW_YORK, KATHMANDU, LORD_HOWE, ZoneInfo("UTC")]),
)
def test_the_last_day_of_a_summary_has_just_ended_and_joins_the_one_before(
    now: datetime, minutes: int, zone: ZoneInfo
) -> None:
    at = time(minutes // 60, minutes % 60)
    since, until = day_until(at, zone, now)
    assert until <= now < until + 26 * HOUR
    assert 22 * HOUR <= until - since <= 26 * HOUR
    assert since == day_until(at, zone, until - timedelta(microseconds=1))[1]


@pytest.mark.parametrize(
    ("now", "hours"),
    [
        ("2026-01-05 20:59", 0),
        ("2026-01-05 21:00", 9),  # 22:00 in Berlin
        ("2026-01-06 05:00", 1),
        ("2026-01-06 06:00", 0),
        ("2026-03-28 21:00", 8),  # the night that is an hour shorter
        ("2026-10-24 20:00", 10),  # the one that is an hour longer
        ("2026-10-25 00:30", 5.5),  # 02:30, for the first time
        ("2026-10-25 01:30", 4.5),  # and again
    ],
)
def test_quiet_hours_over_midnight_and_over_changes_of_the_clock(now: str, hours: float) -> None:
    quiet = QuietHours(time(22), time(7), BERLIN)
    assert timedelta(hours=hours) == quiet.remaining(utc(now))


def test_quiet_hours_within_a_day() -> None:
    quiet = QuietHours(time(12), time(13, 30), NEW_YORK)
    assert [0, 90, 1, 0] == [
        quiet.remaining(utc(f"2026-07-01 {at}")).total_seconds() / 60 for at in ("15:59", "16:00", "17:29", "17:30")
    ]
    assert [False, True, True, False] == [quiet.contains(time(*at)) for at in ((11, 59), (12,), (13, 29), (13, 30))]
    night = QuietHours(time(22), time(7), NEW_YORK)
    assert [True, True, False] == [night.contains(time(hour)) for hour in (22, 6, 7)]
    assert "22:00-07:00" == str(night)
