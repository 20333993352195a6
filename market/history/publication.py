"""The moments at which the closes of bars are published: never before a bar has ended.

To use a close before the end of its bar is look-ahead: nobody could have known it. So where the end of a bar is in
doubt, the later moment counts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np

from market.history.grid import Counts, Grid, Mask, Micros, begins_before, ends, phases
from market.history.timeframe import MICROSECOND, Timeframe
from market.history.timeframe_choice import NOT_DECLARED, ChosenTimeframe, DeclaredTimeframe, choose
from market.history.wording import MAX_NAMED_ROWS, counted, named_rows, span

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MINUTE_US, SECOND_US, MILLISECOND_US = 60_000_000, 1_000_000, 1_000


@dataclass(frozen=True, slots=True)
class NotedRows:
    """Rows that a message names.

    Attributes:
        count: how many they are.
        first: the first ones, by rising number.
    """

    count: int = 0
    first: tuple[int, ...] = ()

    @classmethod
    def of(cls, rows: Micros) -> NotedRows:
        """Note rows."""
        return cls(len(rows), tuple(int(row) for row in np.sort(rows)[:MAX_NAMED_ROWS]))

    def and_(self, other: NotedRows) -> NotedRows:
        """Return both."""
        return NotedRows(self.count + other.count, tuple(sorted(self.first + other.first))[:MAX_NAMED_ROWS])

    def __str__(self) -> str:
        return named_rows(self.first, self.count)


@dataclass(frozen=True, slots=True, kw_only=True)
class Noticed:
    """What was noticed about the bars of a symbol.

    Attributes:
        chosen: the length of the bars, and where it comes from.
        bars: how many there are, without those that were left out.
        first: when the first of them begins; None without bars.
        last: when the last of them is published; None without bars.
        irregular: the rows of bars of another length: they do not end after the timeframe, or the next one begins
            before they end.
        live: the row of a last bar off the grid, which was left out: the state of a bar that was not over.
        incomplete: the rows of last bars that had not ended, which were left out.
        gaps: how often no bar follows where the one before it has ended.
    """

    chosen: ChosenTimeframe
    bars: int
    first: datetime | None
    last: datetime | None
    irregular: NotedRows
    live: int | None
    incomplete: NotedRows
    gaps: int

    @property
    def is_regular(self) -> bool:
        """Whether each bar is as long as the timeframe, and none was left out."""
        return not self.irregular.count and not self.incomplete.count and self.live is None

    def sentence(self, symbol: str) -> str:
        """Return a sentence about the bars of this symbol, for a person."""
        parts = [f"{symbol}: {counted(self.bars, 'bar')} of {self.chosen.timeframe.label}"]
        if self.first is not None and self.last is not None:
            parts.append(span(self.first, self.last))
        if self.gaps:
            parts.append(counted(self.gaps, "gap"))
        if self.irregular.count:
            parts.append(f"{counted(self.irregular.count, 'bar')} of another length: {self.irregular}")
        sentence = ", ".join(parts)
        if self.live is not None:
            sentence += f"; left out as the state of a bar that was not over: {named_rows([self.live])}"
        if self.incomplete.count:
            sentence += f"; left out as not complete: {self.incomplete}"
        return sentence


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Publication:
    """When the closes of a symbol's bars are published, and what was noticed about them.

    Attributes:
        chosen: the length of the bars, and where it comes from.
        kept: the places of the bars in the input, without those that were left out, in the order of publication.
        begin: of each of these bars, in this order.
        published: of each of these bars, in this order.
        irregular: see `Noticed`; all of these rows.
        live: see `Noticed`.
        incomplete: see `Noticed`; all of these rows.
        gaps: see `Noticed`.
    """

    chosen: ChosenTimeframe
    kept: Micros
    begin: Micros
    published: Micros
    irregular: tuple[int, ...]
    live: int | None
    incomplete: tuple[int, ...]
    gaps: int

    @property
    def timeframe(self) -> Timeframe:
        """The length of the bars; that of single ones may differ."""
        return self.chosen.timeframe

    @property
    def noticed(self) -> Noticed:
        """What a message says about them."""
        return Noticed(
            chosen=self.chosen,
            bars=len(self.kept),
            first=time_of(int(self.begin.min())) if len(self.kept) else None,
            last=time_of(int(self.published[-1])) if len(self.kept) else None,
            irregular=NotedRows.of(np.array(self.irregular, np.int64)),
            live=self.live,
            incomplete=NotedRows.of(np.array(self.incomplete, np.int64)),
            gaps=self.gaps,
        )


def publish(
    begins: Micros,
    rows: Micros,
    declared: DeclaredTimeframe = NOT_DECLARED,
    *,
    close_times: Micros | None = None,
    stamps_are_ends: bool = False,
    until: datetime | None = None,
) -> Publication:
    """Return when the closes of one symbol's bars are published.

    A close is published at the latest of begin + timeframe and its close time. A bar that begins off the grid of the
    symbol ends at the next line of the grid if a later bar begins there. A bar of a day or longer ends where a later
    one begins, 1.0 to 1.1 timeframes after its begin: a day may have 25 hours.

    Args:
        begins: the time of each bar, in any order; at least one.
        rows: the number of each bar's row in its file, for a person.
        declared: what is declared of the timeframe.
        close_times: of each bar; one before its begin is unknown, and so are all if this is None.
        stamps_are_ends: the times are those at which the bars end.
        until: when the file was written, at the latest; a bar that ends later was not complete.

    Raises:
        UnknownTimeframe: nothing declares the timeframe, and the distances between the bars do not show it.
    """
    order = np.argsort(begins, kind="stable")
    begins, rows = begins[order], rows[order]
    chosen = choose(begins, declared)
    timeframe = chosen.timeframe
    if stamps_are_ends:
        usual = begins + missing_to_end(timeframe, lambda unit: Counts.of(begins % unit))
        begins = begins_before(timeframe, usual)
    else:
        usual = ends(timeframe, begins)
    overlapping = int(np.count_nonzero(begins[1:] < usual[:-1]))
    grid = grid_of(timeframe, Counts.of(phases(timeframe, begins)), overlapping)
    published = usual if stamps_are_ends else bar_ends(timeframe, grid, begins, usual, begins)
    incomplete = np.zeros(len(begins), dtype=np.bool_)
    if close_times is not None:
        close_times = np.maximum(close_times[order], begins)
        missing = usual - close_times
        is_open = bool(close_times[-1] > begins[-1])
        incomplete[-1] = is_open and closed_too_soon(Counts.of(missing[:-1]), int(missing[-1]))
        published = np.maximum(published, close_times)
    is_live = np.zeros(len(begins), dtype=np.bool_)
    if grid is not None and ends_live(timeframe, grid, begins):
        is_live[-1] = True
        incomplete |= published > (usual if stamps_are_ends else begins)[-1]  # they were not over when it was written
    if until is not None:
        incomplete |= published > (until - EPOCH) // MICROSECOND
    incomplete &= ~is_live
    kept = np.flatnonzero(~is_live & ~incomplete)
    begin, moment = begins[kept], published[kept]
    is_overlapped = np.append(begin[1:] < moment[:-1], [False])[: len(kept)]
    in_order = np.argsort(moment, kind="stable")
    return Publication(
        chosen=chosen,
        kept=order[kept][in_order],
        begin=begin[in_order],
        published=moment[in_order],
        irregular=_numbers(rows[kept][is_overlapped | (moment != usual[kept])]),
        live=int(rows[-1]) if is_live[-1] else None,
        incomplete=_numbers(rows[incomplete]),
        gaps=_gaps(timeframe, begin, moment),
    )


def missing_to_end(timeframe: Timeframe, remainders: Callable[[int], Counts]) -> int:
    """Return the time from a bar's stamp to its end, as a stamp may be the last second or millisecond of a bar.

    Args:
        timeframe: of the bars.
        remainders: counts the remainders of the stamps, divided by a number of microseconds.
    """
    is_short = timeframe.length is not None and timeframe.length < timedelta(minutes=1)
    unit, last = (SECOND_US, MILLISECOND_US) if is_short else (MINUTE_US, SECOND_US)
    missing = unit - remainders(unit).most_frequent()[0]
    return missing if missing <= last else 0


def grid_of(timeframe: Timeframe, phase_counts: Counts, overlapping: int) -> Grid | None:
    """Return the grid on which most bars begin; None where it says nothing about their ends.

    Where bars off the grid are as usual as those on it, its next line says nothing about the end of a bar.

    Args:
        timeframe: of the bars.
        phase_counts: of the bars, see `market.history.grid.phases`.
        overlapping: number of bars that begin before the one before them would have ended.
    """
    phase, count = phase_counts.most_frequent()
    bars = phase_counts.total
    return Grid(timeframe, phase) if 2 * count > bars and 2 * overlapping < bars else None


def bar_ends(timeframe: Timeframe, grid: Grid | None, begins: Micros, usual: Micros, all_begins: Micros) -> Micros:
    """Return when bars have ended, by their begins in rising order.

    Args:
        timeframe: of the bars.
        grid: on which most of them begin; None where it shows no ends.
        begins: of the bars.
        usual: their ends if all are as long as the timeframe.
        all_begins: of these bars and the ones after them, for at least three timeframes.
    """
    result = usual.copy()
    if grid is not None:
        off = np.flatnonzero(~grid.holds(begins))
        lines = grid.lines_after(begins[off])
        # A bar that begins a moment before a line is meant to begin at it, and ends at the next one.
        is_near = (lines - begins[off]) * 100 <= usual[off] - begins[off]
        lines = np.where(is_near, grid.lines_after(lines), lines)
        place = np.minimum(np.searchsorted(all_begins, lines), len(all_begins) - 1)
        result[off] = np.where(all_begins[place] == lines, lines, usual[off])
    if timeframe.is_long:
        place = np.minimum(np.searchsorted(all_begins, usual), len(all_begins) - 1)
        later = all_begins[place]
        is_stretched = (later > usual) & _is_at_most_a_tenth_longer(begins, later, usual)
        result = np.where(is_stretched, np.maximum(result, later), result)
    return result


def _is_at_most_a_tenth_longer(begins: Micros, later: Micros, usual: Micros) -> Mask:
    return (later - begins) * 10 <= (usual - begins) * 11


def ends_live(timeframe: Timeframe, grid: Grid, begins: Micros) -> bool:
    """Return whether the last row is off the grid, and does not continue the bar before it either.

    Args:
        timeframe: of the bars.
        grid: on which most of them begin.
        begins: of the last bars; two are enough.
    """
    before, last = begins[-2:-1], begins[-1:]
    if grid.holds(last)[0]:
        return False
    end = ends(timeframe, before)
    if last[0] < end[0]:
        return True
    if timeframe.is_long and _is_at_most_a_tenth_longer(before, last, end)[0]:
        return False  # a day of 25 hours comes before it
    return bool(Grid(timeframe, int(phases(timeframe, before)[0])).lines_after(last - 1)[0] != last[0])


def closed_too_soon(typical: Counts, missing: int) -> bool:
    """Return whether the last row's close time is that of a bar that was not over, as those of most rows are later.

    Close times are compared by their distance from the usual ends: months differ in length.

    Args:
        typical: those distances of all other rows.
        missing: that distance of the last row.
    """
    if typical.total < 2:
        return False
    usual, count = typical.most_frequent()
    return 2 * count > typical.total and missing > usual


def _gaps(timeframe: Timeframe, begin: Micros, moment: Micros) -> int:
    free = begin[1:] - np.maximum.accumulate(moment)[:-1]
    # Days have 23 to 25 hours, where the time of the year changes.
    slack = (moment - begin)[:-1] // 10 if timeframe.is_long else 0
    return int(np.count_nonzero(free > slack))


def _numbers(rows: Micros) -> tuple[int, ...]:
    return tuple(int(row) for row in np.sort(rows))


def time_of(micros: int) -> datetime:
    """Return a time that is given in microseconds since 1970."""
    return EPOCH + micros * MICROSECOND
