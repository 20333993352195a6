"""The clock of an exchange, and the age of its prices by it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from domain.trading.freshness.age import ClockKind, Fresh, Freshness, TimeMark
from market.exchange.exchange_clock import ClockReading, ExchangeClock, time_in_headers
from tests.support.values.builders import NOON, instant

THERE = NOON + timedelta(hours=1)


def an_hour_ahead() -> ExchangeClock:
    clock = ExchangeClock(60)
    clock.set(ClockReading(THERE, ClockKind.EXCHANGE), instant())
    return clock


def milliseconds(time: datetime) -> int:
    return int(time.timestamp() * 1000)


def test_before_it_is_measured_it_is_our_own() -> None:
    clock = ExchangeClock(60)
    assert (NOON, ClockKind.OWN) == (clock.time(instant()), clock.kind)


def test_it_runs_on_from_its_measurement_whatever_our_wall_clock_does() -> None:
    clock = an_hour_ahead()
    later = instant(NOON + timedelta(seconds=90))
    assert THERE + timedelta(seconds=90) == clock.time(later._replace(time=NOON - timedelta(days=3)))
    assert ClockKind.EXCHANGE is clock.kind


@pytest.mark.parametrize(
    ("behind_s", "with_book", "without"),
    [
        (0, Fresh.ALL, Fresh.ALL),
        (60, Fresh.ALL, Fresh.ALL),
        (-60, Fresh.ALL, Fresh.ALL),
        (60.001, Fresh.BOOK, Fresh.NOTHING),
        (600, Fresh.BOOK, Fresh.NOTHING),
    ],
)
def test_a_price_is_old_by_the_clock_of_the_exchange(behind_s: float, with_book: Fresh, without: Fresh) -> None:
    stamp = THERE - timedelta(seconds=behind_s)
    for has_book, fresh in ((True, with_book), (False, without)):
        expected = stamp, Freshness(THERE, ClockKind.EXCHANGE, None, fresh)
        assert expected == an_hour_ahead().read(milliseconds(stamp), instant(), has_book=has_book)


@pytest.mark.parametrize("nothing", [None, "", "soon", float("nan"), 1e20, [1]])
def test_without_a_time_the_arrival_counts(nothing: object) -> None:
    expected = NOON, Freshness(THERE, ClockKind.EXCHANGE, TimeMark.NO_TIME)
    assert expected == an_hour_ahead().read(nothing, instant(), has_book=False)


@pytest.mark.parametrize(
    ("behind", "fresh"),
    [
        (timedelta(days=400), Fresh.NOTHING),
        (THERE - datetime(1970, 1, 1, tzinfo=UTC), Fresh.NOTHING),  # a time in seconds that counts as milliseconds
        (-timedelta(seconds=61), Fresh.ALL),
        (-timedelta(days=10_000), Fresh.ALL),
    ],
)
def test_a_time_that_cannot_be_is_kept_and_marked(behind: timedelta, fresh: Fresh) -> None:
    stamp = THERE - behind
    expected = stamp, Freshness(THERE, ClockKind.EXCHANGE, TimeMark.IMPOSSIBLE, fresh)
    assert expected == an_hour_ahead().read(milliseconds(stamp), instant(), has_book=False)


@pytest.mark.parametrize(
    ("headers", "time"),
    [
        ({"Date": "Mon, 05 Jan 2026 12:00:00 GMT"}, NOON),
        ({"date": "Mon, 05 Jan 2026 13:00:00 +0100"}, NOON),
        ({"Date": "Mon, 05 Jan 2026 12:00:00 -0000"}, NOON),
        ({"Date": "Mon, 05 Jan 2026 11:59:00 GMT", "Age": "60"}, NOON),  # a cache sent it
        ({"Date": "Mon, 05 Jan 2026 12:00:00 GMT", "Age": "-5"}, NOON),
        ({"Date": "now"}, None),
        ({"Date": ""}, None),
        ({}, None),
    ],
)
def test_the_time_in_the_headers_of_an_answer(headers: dict[str, str], time: datetime | None) -> None:
    assert time == time_in_headers(headers)
