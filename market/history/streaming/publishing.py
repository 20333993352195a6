"""The moments of publication of a series that is longer than the memory: the law of `publication`, by pieces.

The law asks about all bars of a series (the most frequent distance, the grid), about the bars just after each one, and
about the last bar. The first and the last are found in two passes over the times; then the bars are published a piece
at a time, with the times of the next three timeframes before one's eyes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow

from market.history.candles import SCHEMA, TIME
from market.history.conversion.rows import SpooledBars
from market.history.conversion.time_formats import NO_TIME
from market.history.grid import NO_COUNTS, Counts, Grid, Mask, Micros, begins_before, ends, phases
from market.history.publication import (
    EPOCH,
    NotedRows,
    Noticed,
    bar_ends,
    closed_too_soon,
    ends_live,
    grid_of,
    missing_to_end,
    time_of,
)  # fmt: skip
from market.history.storage.gaps import GapCounter
from market.history.streaming.ordering import micros
from market.history.streaming.series import SpooledCandles
from market.history.streaming.spool import Spool
from market.history.timeframe import MICROSECOND, Timeframe
from market.history.timeframe_choice import ChosenTimeframe, DeclaredTimeframe, choose_by

AHEAD = 3
"""So many timeframes after its begin, nothing says any more when a bar ended."""
VALUES = SCHEMA.names[2:]


@dataclass(frozen=True, slots=True)
class _Times:
    """Of successive bars, by rising begin: the begin, the usual end, and the close time (its begin where unknown)."""

    begins: Micros
    usual: Micros
    close_times: Micros


@dataclass(frozen=True, slots=True)
class _Law:
    """What all bars of a series say about the end of each of them."""

    grid: Grid | None
    last_is_live: bool
    last_is_incomplete: bool
    known_until: int | None
    """A bar that had ended later was not over when the last row was written."""


@dataclass(slots=True)
class _Seen:
    """What was noticed so far."""

    bars: int = 0
    irregular: NotedRows = field(default_factory=NotedRows)
    incomplete: NotedRows = field(default_factory=NotedRows)
    first: int | None = None
    last: int | None = None
    live: int | None = None
    pending: tuple[int, int, bool] | None = None
    """Row, end and irregularity of the last bar, of which the next one may begin before that end."""


def choose_timeframe(bars: SpooledBars, declared: DeclaredTimeframe) -> ChosenTimeframe:
    """Return the timeframe of bars; see `market.history.timeframe_choice.choose`.

    Raises:
        UnknownTimeframe: nothing declares it, and the distances between the bars do not show it.
    """
    distances, last = NO_COUNTS, None
    for table in bars.tables(("time",)):
        times = micros(table["time"])
        distances = distances.joined(Counts.of(np.diff(times if last is None else np.append(last, times))))
        last = times[-1]
    return choose_by(
        distances,
        lambda: np.concatenate([micros(table["time"]) for table in bars.tables(("time",))]),
        declared,
    )


class Publisher:
    """Publishes the bars of one symbol, by the law of `market.history.publication.publish`.

    Args:
        bars: by rising time; at least two.
        chosen: their timeframe, of a fixed length.
        stamps_are_ends: the times are those at which the bars end.
        until: when the file was written, at the latest; a bar that ends later was not complete.
        keeps_all: bars that would be left out are kept, and published at their close times.
    """

    def __init__(
        self,
        bars: SpooledBars,
        chosen: ChosenTimeframe,
        *,
        stamps_are_ends: bool = False,
        until: datetime | None = None,
        keeps_all: bool = False,
    ) -> None:
        self._bars, self._chosen = bars, chosen
        self._timeframe: Timeframe = chosen.timeframe
        self._stamps_are_ends, self._keeps_all = stamps_are_ends, keeps_all
        self._until = None if until is None else (until - EPOCH) // MICROSECOND
        self._to_end = missing_to_end(self._timeframe, self._remainders) if stamps_are_ends else 0
        self._names = ("time", "end") if bars.has_ends else ("time",)
        self._seen = _Seen()
        self._gaps = GapCounter(self._timeframe)

    def publish(self) -> tuple[SpooledCandles, Noticed]:
        """Return the bars in the order of publication, and what was noticed about them."""
        law = self._law()
        spool = Spool(SCHEMA, memory_bytes=0)
        held: Any = SCHEMA.empty_table()
        for table, ahead in self._windows():
            published = self._published(table, ahead, law)
            held = pyarrow.concat_tables([held, published]) if held.num_rows else published
            moments = micros(held["published"])
            # No later bar is published before it begins.
            ready = moments <= ahead[0] if len(ahead) else np.ones(len(moments), dtype=np.bool_)
            order = np.argsort(moments[ready], kind="stable")
            if ready.all() and (order[1:] > order[:-1]).all():
                spool.add(held)
                held = held.slice(held.num_rows)
            else:
                held = held.combine_chunks()
                spool.add(held.take(pyarrow.array(np.flatnonzero(ready)[order])))
                held = held.filter(pyarrow.array(~ready))
        return SpooledCandles(self._bars.symbol, self._timeframe, spool.blocks(), self._gaps.gaps), self._noticed()

    def _noticed(self) -> Noticed:
        noticed = self._seen
        if noticed.pending is not None and noticed.pending[2]:
            noticed.irregular = noticed.irregular.and_(NotedRows(1, (noticed.pending[0],)))
        return Noticed(
            chosen=self._chosen,
            bars=noticed.bars,
            first=None if noticed.first is None else time_of(noticed.first),
            last=None if noticed.last is None else time_of(noticed.last),
            irregular=noticed.irregular,
            live=noticed.live,
            incomplete=noticed.incomplete,
            gaps=self._gaps.gaps.count,
        )

    def _remainders(self, unit: int) -> Counts:
        counts = NO_COUNTS
        for table in self._bars.tables(("time",)):
            counts = counts.joined(Counts.of(micros(table["time"]) % unit))
        return counts

    def _times(self, table: Any) -> _Times:
        stamps = micros(table["time"])
        close_times = micros(table["end"]) if self._bars.has_ends else stamps
        close_times = np.where(close_times == NO_TIME, stamps, close_times)
        if self._stamps_are_ends:
            usual = stamps + self._to_end
            begins = begins_before(self._timeframe, usual)
        else:
            begins, usual = stamps, ends(self._timeframe, stamps)
        return _Times(begins, usual, np.maximum(close_times, begins))

    def _law(self) -> _Law:
        phase_counts = missing_counts = NO_COUNTS
        overlapping = 0
        last: _Times | None = None
        last_two = np.empty(0, dtype=np.int64)
        for table in self._bars.tables(self._names):
            times = self._times(table)
            phase_counts = phase_counts.joined(Counts.of(phases(self._timeframe, times.begins)))
            missing_counts = missing_counts.joined(Counts.of(times.usual - times.close_times))
            overlapping += int(np.count_nonzero(times.begins[1:] < times.usual[:-1]))
            overlapping += int(last is not None and times.begins[0] < last.usual[-1])
            last, last_two = times, np.append(last_two, times.begins[-2:])[-2:]
        assert last is not None
        grid = grid_of(self._timeframe, phase_counts, overlapping)
        is_live = grid is not None and ends_live(self._timeframe, grid, last_two)
        missing = int(last.usual[-1] - last.close_times[-1])
        missing_counts.counts[missing_counts.values == missing] -= 1
        is_open = bool(last.close_times[-1] > last.begins[-1])
        return _Law(
            grid,
            is_live,
            is_open and closed_too_soon(missing_counts, missing),
            int((last.usual if self._stamps_are_ends else last.begins)[-1]) if is_live else None,
        )

    def _windows(self) -> Iterator[tuple[Any, Micros]]:
        """Yield the rows, a table at a time, each with the begins of bars after it; without any, it is the last."""
        assert self._timeframe.length is not None
        reach = AHEAD * (self._timeframe.length // MICROSECOND)
        tables, is_end = self._bars.tables(), False
        following: deque[tuple[Any, Micros]] = deque()
        while True:
            while not is_end and (len(following) < 2 or following[-1][1][-1] <= following[0][1][-1] + reach):
                table = next(tables, None)
                is_end = table is None
                if table is not None:
                    following.append((table, self._times(table).begins))
            if not following:
                return
            table, begins = following.popleft()
            ahead = [later for _, later in following]
            yield table, np.concatenate(ahead) if ahead else begins[:0]

    def _published(self, table: Any, ahead: Micros, law: _Law) -> Any:
        """Return the bars of a table with their moments, by rising begin."""
        times, noticed = self._times(table), self._seen
        begins, usual, lines = times.begins, times.usual, micros(table["line"])
        published = usual
        if not self._stamps_are_ends:
            published = bar_ends(self._timeframe, law.grid, begins, usual, np.append(begins, ahead))
        published = np.maximum(published, times.close_times)
        kept = self._kept(published, law, is_last=not len(ahead))
        if not len(ahead) and law.last_is_live:
            noticed.live = int(lines[-1])
        left_out = ~kept
        if left_out.any():
            if noticed.live is not None:
                left_out[-1] = False
            noticed.incomplete = noticed.incomplete.and_(NotedRows.of(lines[left_out]))
        if self._keeps_all:
            published = np.where(kept, published, times.close_times)
            kept = np.ones(len(begins), dtype=np.bool_)
        if not kept.all():
            begins, usual, lines, published = begins[kept], usual[kept], lines[kept], published[kept]
            table = table.filter(pyarrow.array(kept))
        self._notice(begins, published, lines, published != usual)
        columns = [pyarrow.array(begins).cast(TIME), pyarrow.array(published).cast(TIME)]
        return pyarrow.table([*columns, *(table[name] for name in VALUES)], schema=SCHEMA)

    def _kept(self, published: Micros, law: _Law, *, is_last: bool) -> Mask:
        kept = np.ones(len(published), dtype=np.bool_)
        if law.known_until is not None:
            kept &= published <= law.known_until
        if self._until is not None:
            kept &= published <= self._until
        if is_last and (law.last_is_live or law.last_is_incomplete):
            kept[-1] = False
        return kept

    def _notice(self, begins: Micros, published: Micros, lines: Micros, is_irregular: Mask) -> None:
        if not len(begins):
            return
        noticed = self._seen
        if noticed.pending is not None:
            row, end, was_irregular = noticed.pending
            if was_irregular or begins[0] < end:
                noticed.irregular = noticed.irregular.and_(NotedRows(1, (row,)))
        is_irregular = is_irregular.copy()
        is_irregular[:-1] |= begins[1:] < published[:-1]
        noticed.irregular = noticed.irregular.and_(NotedRows.of(lines[:-1][is_irregular[:-1]]))
        noticed.pending = int(lines[-1]), int(published[-1]), bool(is_irregular[-1])
        noticed.bars += len(begins)
        noticed.first = int(begins[0]) if noticed.first is None else noticed.first
        noticed.last = max(int(published.max()), noticed.last or 0)
        self._gaps.add(begins, published)
