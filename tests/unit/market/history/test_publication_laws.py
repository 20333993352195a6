"""The law of publication: no close is published before its bar has ended, whatever the rows look like.

The series are made from bars whose true ends are known, because the maker has put them there; nothing of the program
under test has a part in that.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from market.history.publication import Publication, publish
from market.history.timeframe import Timeframe
from market.history.timeframe_choice import NOT_DECLARED, DeclaredTimeframe

MILLISECOND = timedelta(milliseconds=1)
FIXED = {
    "1m": timedelta(minutes=1),
    "5m": timedelta(minutes=5),
    "1h": timedelta(hours=1),
    "4h": timedelta(hours=4),
    "1d": timedelta(days=1),
    "1w": timedelta(weeks=1),
}
MONTHS = {"1M": 1, "3M": 3, "12M": 12}
INTRADAY = frozenset({"1m", "5m", "1h", "4h"})


class TrueBar(NamedTuple):
    """A row, and when the bar that it stands for has ended."""

    begin: datetime
    end: datetime
    kind: str


def grid_of(timeframe: str, first: datetime, count: int) -> list[datetime]:
    """Return the times at which count bars, one after the other, begin; and the end of the last."""
    if timeframe in FIXED:
        return [first + number * FIXED[timeframe] for number in range(count + 1)]
    start = first.year * 12 + first.month - 1
    numbers = [start + number * MONTHS[timeframe] for number in range(count + 1)]
    return [first.replace(year=number // 12, month=number % 12 + 1, day=1) for number in numbers]


@st.composite
def series(draw: st.DrawFn) -> tuple[str, list[TrueBar]]:
    """Draw a timeframe, and rows in any order: most of them on a grid, some missing, doubled, late or beside a line."""
    timeframe = draw(st.sampled_from([*FIXED, *MONTHS]))
    first = datetime(draw(st.integers(1990, 2030)), draw(st.integers(1, 12)), 1, tzinfo=UTC)
    if timeframe in FIXED:
        first += draw(st.timedeltas(timedelta(0), timedelta(days=40))) // MILLISECOND * MILLISECOND
    count = draw(st.integers(24, 60))
    lines = grid_of(timeframe, first, count)
    bars = {number: TrueBar(lines[number], lines[number + 1], "on the grid") for number in range(count)}
    # Few, so that most distances are those of the grid: what the most frequent one is, is not in question here.
    for number in draw(st.lists(st.integers(4, count - 4), max_size=3)):
        bars.pop(number, None)
    for number in draw(st.lists(st.integers(4, count - 4), max_size=2)):
        if number in bars:
            length = lines[number + 1] - lines[number]
            late = length * draw(st.integers(2, 98)) // 100
            bars[number] = TrueBar(lines[number] + late, lines[number + 1], "late")
    rows = [bars[number] for number in sorted(bars)]
    for place in draw(st.lists(st.integers(2, len(rows) - 3), max_size=2)):
        bar = rows[place]
        if bar.kind == "on the grid":
            beside = draw(st.integers(-5, 5)) * MILLISECOND
            # It stands for the same bar, whichever side of the line it is on.
            rows.append(TrueBar(bar.begin + beside, bar.end + min(beside, timedelta(0)), "beside"))
    return timeframe, draw(st.permutations(rows))


def published(rows: list[TrueBar], declared: DeclaredTimeframe = NOT_DECLARED) -> Publication:
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    begins = np.array([(row.begin - epoch) // timedelta(microseconds=1) for row in rows], dtype=np.int64)
    return publish(begins, np.arange(len(rows), dtype=np.int64), declared)


def moments(publication: Publication) -> dict[int, datetime]:
    """Return the moment at which each kept row is published, by its place among the rows."""
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    pairs = zip(publication.kept, publication.published, strict=True)
    return {int(place): epoch + timedelta(microseconds=int(moment)) for place, moment in pairs}


@given(series(), st.booleans())
def test_no_close_is_published_before_its_bar_has_ended(drawn: tuple[str, list[TrueBar]], is_declared: bool) -> None:
    timeframe, rows = drawn
    declared = DeclaredTimeframe(option=Timeframe.parse(timeframe)) if is_declared else NOT_DECLARED
    publication = published(rows, declared)
    assert timeframe == str(publication.timeframe)
    times = moments(publication)
    early = [(rows[place], moment) for place, moment in times.items() if moment < rows[place].end]
    assert [] == early
    # Nothing is left out but what is reported.
    assert set(range(len(rows))) - times.keys() == {*publication.incomplete, publication.live} - {None}
    # Neither is it needlessly late: odd rows change nothing for the others.
    late = [
        (row, times[place])
        for place, row in enumerate(rows)
        if timeframe in INTRADAY and row.kind == "on the grid" and place in times and times[place] != row.end
    ]
    assert [] == late


@given(series(), st.integers(2, 98))
def test_a_live_row_and_the_bar_that_it_is_in_are_left_out(drawn: tuple[str, list[TrueBar]], percent: int) -> None:
    timeframe, rows = drawn
    last = max(rows)
    stamp = last.begin + (last.end - last.begin) * percent // 100
    publication = published([*rows, TrueBar(stamp, last.end, "live")])
    assert len(rows) == publication.live
    assert rows.index(last) in publication.incomplete
    assert all(moment <= stamp for moment in moments(publication).values())
    assert timeframe == str(publication.timeframe)


@given(
    st.sampled_from(["Europe/Berlin", "America/New_York", "Asia/Tokyo", "Australia/Sydney", "Pacific/Auckland"]),
    st.dates(date(1995, 1, 1), date(2035, 1, 1)),
    st.integers(20, 800),
)
def test_days_and_months_of_any_zone(zone: str, first: date, count: int) -> None:
    start = datetime(first.year, first.month, first.day, tzinfo=ZoneInfo(zone))
    # Within a zone, Python adds days by the wall clock.
    days = [(start + timedelta(days=number)).astimezone(UTC) for number in range(count)]
    numbers = [start.year * 12 + start.month - 1 + number for number in range(count // 10 + 12)]
    months = [datetime(n // 12, n % 12 + 1, 1, tzinfo=start.tzinfo).astimezone(UTC) for n in numbers]
    for timeframe, lines in (("1d", days), ("1M", months)):
        rows = [TrueBar(begin, end, "local") for begin, end in pairwise(lines)]
        publication = published(rows)
        assert timeframe == str(publication.timeframe)
        times = moments(publication)
        # Whether the last one is longer than usual, no row shows.
        early = [row for place, row in enumerate(rows[:-1]) if place in times and times[place] < row.end]
        assert [] == early
        assert 0 == publication.gaps


@given(series())
def test_stamps_that_are_ends_are_the_moments(drawn: tuple[str, list[TrueBar]]) -> None:
    _, rows = drawn
    ends = sorted({row.end for row in rows if row.kind == "on the grid" and not row.end.second})
    if len(ends) < 20:
        return
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    stamps = np.array([(end - epoch) // timedelta(microseconds=1) for end in ends], dtype=np.int64)
    publication = publish(stamps, np.arange(len(ends), dtype=np.int64), stamps_are_ends=True)
    assert stamps.tolist() == publication.published.tolist()
    assert (publication.begin < publication.published).all()
