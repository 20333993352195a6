"""One answer of an exchange as exact rows: numbers, not floats; each bar once; each on the grid of its timeframe."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, NamedTuple

from domain.trading.arithmetic import plain
from market.exchange.parsing import positive, volume
from market.history.downloading.grid import Grid, time_of

WIDENED = "widened"
"""The change of a row whose high or low did not hold its open and close."""


class ContradictoryAnswer(Exception):
    """An exchange gave two different bars of one time; the message names it."""


class Row(NamedTuple):
    """The values of a bar, as plain decimal text; the volume is None where it is unknown."""

    open: str
    high: str
    low: str
    close: str
    volume: str | None
    change: str = ""


@dataclass(frozen=True, slots=True)
class Page:
    """An answer.

    Attributes:
        since: the moment from which on the bars were requested.
        rows: the bars that have ended, by begin, in the order of time.
        last: begin of the last bar of the answer, ended or not; None where it has no bar.
        dropped: number of rows without use, by reason.
    """

    since: int
    rows: Mapping[int, Row]
    last: int | None
    dropped: Mapping[str, int]

    def between(self, begin: int, end: int) -> dict[int, Row]:
        """Return the rows that begin in a span, its end excluded."""
        return {at: row for at, row in self.rows.items() if begin <= at < end}

    def tells_of(self, begin: int) -> bool:
        """Return whether the answer covers a moment: it was requested from there or before, and goes on to it."""
        return self.since <= begin and self.last is not None and self.last >= begin


def read_page(answer: Iterable[Sequence[Any]], since: int, grid: Grid, end: int) -> Page:
    """Return an answer of `market.history.downloading.candle_venue.CandleVenue.candles` as exact rows.

    Args:
        answer: rows of begin, open, high, low, close and volume, in any order.
        since: the moment from which on they were requested.
        grid: on which bars begin.
        end: bars from here on are left out: they have not ended, or were not wanted.

    Raises:
        ContradictoryAnswer: two rows of one time differ.
    """
    rows: dict[int, Row] = {}
    dropped: Counter[str] = Counter()
    last = None
    for cells in answer:
        begin, row = _begin(cells), _row(cells)
        if begin is None or row is None:
            dropped["without prices"] += 1
        elif not grid.contains(begin):
            dropped["off the grid"] += 1
        else:
            last = begin if last is None else max(last, begin)
            if begin >= end:
                dropped["not ended"] += 1
            elif rows.setdefault(begin, row) != row:
                raise ContradictoryAnswer(f"it has two different bars of {time_of(begin):%Y-%m-%d %H:%M:%S}")
            else:
                dropped["duplicate"] += rows[begin] is not row
    return Page(since, dict(sorted(rows.items())), last, +dropped)


def runs_without(rows: Iterable[int], grid: Grid, begin: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield begin and end of each span within ``begin`` and ``end`` that has none of the rows."""
    at = begin
    for row in (*sorted(one for one in rows if begin <= one < end), end):
        if row > at:
            yield at, row
        at = grid.move(row, 1)


def _begin(cells: Sequence[Any]) -> int | None:
    begin = cells[0]
    return begin if isinstance(begin, int) else None


def _row(cells: Sequence[Any]) -> Row | None:
    opened, high, low, close = map(positive, cells[1:5])
    if opened is None or high is None or low is None or close is None:
        return None
    highest, lowest = max(high, low, opened, close), min(high, low, opened, close)
    change = "" if (highest, lowest) == (high, low) else WIDENED
    amount = volume(cells[5]) if len(cells) > 5 else None
    return Row(plain(opened), plain(highest), plain(lowest), plain(close), _plain(amount), change)


def _plain(amount: Decimal | None) -> str | None:
    return None if amount is None else plain(amount)
