"""Bars begin on a grid: of fixed lengths, weeks and calendar months, in the exchange's own days."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from market.history.downloading.grid import Grid, milliseconds_of, time_of
from market.history.timeframe import Timeframe

HOUR_MS = 3_600_000


def at(text: str) -> int:
    return milliseconds_of(datetime.fromisoformat(text).replace(tzinfo=UTC))


@pytest.mark.parametrize(
    ("timeframe", "moment", "before", "after"),
    [
        ("1m", "2026-01-05T12:00:59.999", "2026-01-05T12:00", "2026-01-05T12:01"),
        ("15m", "2026-01-05T12:14", "2026-01-05T12:00", "2026-01-05T12:15"),
        ("1d", "2026-01-05T12:00", "2026-01-05T00:00", "2026-01-06T00:00"),
        ("1w", "2026-01-08T12:00", "2026-01-05T00:00", "2026-01-12T00:00"),
        ("1M", "2026-02-28T23:59", "2026-02-01T00:00", "2026-03-01T00:00"),
        ("3M", "2026-02-28T23:59", "2026-01-01T00:00", "2026-04-01T00:00"),
    ],
)
def test_a_moment_lies_between_two_begins(timeframe: str, moment: str, before: str, after: str) -> None:
    grid = Grid(Timeframe.parse(timeframe))
    assert (at(before), at(after)) == (grid.floor(at(moment)), grid.ceil(at(moment)))
    assert at(before) == grid.ceil(at(before))
    assert at(after) == grid.move(at(before), 1)
    assert at(before) == grid.move(at(after), -1)
    assert 1 == grid.count(at(before), at(after))
    assert (True, False) == (grid.contains(at(before)), grid.contains(at(before) + 1))


@pytest.mark.parametrize(
    ("timeframe", "begins"),
    [
        ("1d", ["2026-01-04T16:00", "2026-01-05T16:00", "2026-01-06T17:00"]),
        ("1w", ["2026-01-01T00:00", "2026-01-08T00:00", "2026-01-15T00:00"]),
        ("1M", ["2025-12-31T16:00", "2026-01-31T16:00", "2026-02-28T16:00"]),
    ],
)
def test_the_exchanges_own_days_decide(timeframe: str, begins: list[str]) -> None:
    usual = Grid(Timeframe.parse(timeframe))
    grid = Grid(Timeframe.parse(timeframe), usual.phase_of(map(at, begins)))
    assert at(begins[0]) == grid.floor(at(begins[0]) + HOUR_MS)
    assert at(begins[1]) == grid.move(at(begins[0]), 1)
    assert grid.contains(at(begins[1]))


def test_only_long_bars_have_phases() -> None:
    usual = {text: Grid(Timeframe.parse(text)).has_usual_phase for text in ("1m", "4h", "6h", "1d", "1w", "1M")}
    assert {"1m": True, "4h": True, "6h": False, "1d": False, "1w": False, "1M": False} == usual


def test_times_are_kept_to_the_millisecond() -> None:
    assert datetime(2026, 1, 5, 12, 0, 0, 123000, tzinfo=UTC) == time_of(at("2026-01-05T12:00:00.123999"))
