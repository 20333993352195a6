"""The moments at which the closes of bars are published: never before a bar has ended.

To use a close before the end of its bar is look-ahead: nobody could have known it. So where the end of a bar is in
doubt, the later moment counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np

from market.history.grid import Grid, Mask, Micros, begins_before, ends, most_frequent
from market.history.timeframe import MICROSECOND, Timeframe
from market.history.timeframe_choice import NOT_DECLARED, ChosenTimeframe, DeclaredTimeframe, choose
from market.history.wording import counted, named_rows, span

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MINUTE_US, SECOND_US, MILLISECOND_US = 60_000_000, 1_000_000, 1_000


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Publication:
    """When the closes of a symbol's bars are published, and what was noticed about them.

    Attributes:
        chosen: the length of the bars, and where it comes from.
        kept: the places of the bars in the input, without those that were left out, in the order of publication.
        begin: of each of these bars, in this order.
        published: of each of these bars, in this order.
        irregular: the rows of kept bars of another length: they do not end after the timeframe, or the next one begins
            before they end.
        live: the row of a last bar off the grid, which was left out: the state of a bar that was not over.
        incomplete: the rows of last bars that had not ended, which were left out.
        gaps: how often no bar follows where the one before it has ended.
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
    def is_regular(self) -> bool:
        """Whether each bar is as long as the timeframe, and none was left out."""
        return not self.irregular and not self.incomplete and self.live is None

    def sentence(self, symbol: str) -> str:
        """Return a sentence about the bars of this symbol, for a person."""
        parts = [f"{symbol}: {counted(len(self.kept), 'bar')} of {self.timeframe.label}"]
        if len(self.kept):
            parts.append(span(_time(int(self.begin.min())), _time(int(self.published[-1]))))
        if self.gaps:
            parts.append(counted(self.gaps, "gap"))
        if self.irregular:
            parts.append(f"{counted(len(self.irregular), 'bar')} of another length: {named_rows(self.irregular)}")
        sentence = ", ".join(parts)
        if self.live is not None:
            sentence += f"; left out as the state of a bar that was not over: {named_rows([self.live])}"
        if self.incomplete:
            sentence += f"; left out as not complete: {named_rows(self.incomplete)}"
        return sentence


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
        usual = _excluded_ends(timeframe, begins)
        begins = begins_before(timeframe, usual)
    else:
        usual = ends(timeframe, begins)
    lines = Grid(timeframe, begins)
    # Where bars off the grid are as usual as those on it, its next line says nothing about the end of a bar.
    says_ends = lines.covers_most and 2 * np.count_nonzero(begins[1:] < usual[:-1]) < len(begins)
    grid = lines if says_ends else None
    published = usual if stamps_are_ends else _ends(timeframe, grid, begins, usual)
    incomplete = np.zeros(len(begins), dtype=np.bool_)
    if close_times is not None:
        close_times = np.maximum(close_times[order], begins)
        incomplete[-1] = _closed_too_soon(begins, usual, close_times)
        published = np.maximum(published, close_times)
    is_live = np.zeros(len(begins), dtype=np.bool_)
    if grid is not None and _ends_live(timeframe, grid, begins):
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


def _excluded_ends(timeframe: Timeframe, stamps: Micros) -> Micros:
    """Return the ends of bars whose stamps may be the last second or millisecond that belongs to them."""
    is_short = timeframe.length is not None and timeframe.length < timedelta(minutes=1)
    unit, last = (SECOND_US, MILLISECOND_US) if is_short else (MINUTE_US, SECOND_US)
    missing = unit - most_frequent(stamps % unit)[0]
    return stamps + missing if missing <= last else stamps


def _ends(timeframe: Timeframe, grid: Grid | None, begins: Micros, usual: Micros) -> Micros:
    """Return when bars have ended, by their begins in rising order.

    Args:
        timeframe: of the bars.
        grid: on which most of them begin; None where it shows no ends.
        begins: of the bars.
        usual: their ends if all are as long as the timeframe.
    """
    bar_ends = usual.copy()
    if grid is not None:
        off = np.flatnonzero(~grid.on_grid)
        lines = grid.lines_after(begins[off])
        # A bar that begins a moment before a line is meant to begin at it, and ends at the next one.
        is_near = (lines - begins[off]) * 100 <= usual[off] - begins[off]
        lines = np.where(is_near, grid.lines_after(lines), lines)
        place = np.minimum(np.searchsorted(begins, lines), len(begins) - 1)
        bar_ends[off] = np.where(begins[place] == lines, lines, usual[off])
    if timeframe.is_long:
        place = np.minimum(np.searchsorted(begins, usual), len(begins) - 1)
        later = begins[place]
        is_stretched = (later > usual) & _is_at_most_a_tenth_longer(begins, later, usual)
        bar_ends = np.where(is_stretched, np.maximum(bar_ends, later), bar_ends)
    return bar_ends


def _is_at_most_a_tenth_longer(begins: Micros, later: Micros, usual: Micros) -> Mask:
    return (later - begins) * 10 <= (usual - begins) * 11


def _ends_live(timeframe: Timeframe, grid: Grid, begins: Micros) -> bool:
    """Return whether the last row is off the grid, and does not continue the bar before it either."""
    if grid.on_grid[-1]:
        return False
    before, last = begins[-2:-1], begins[-1:]
    end = ends(timeframe, before)
    if last[0] < end[0]:
        return True
    if timeframe.is_long and _is_at_most_a_tenth_longer(before, last, end)[0]:
        return False  # a day of 25 hours comes before it
    return bool(Grid(timeframe, before).lines_after(last - 1)[0] != last[0])


def _closed_too_soon(begins: Micros, usual: Micros, close_times: Micros) -> bool:
    """Return whether the last row's close time is that of a bar that was not over, as those of most rows are later.

    Close times are compared by their distance from the usual ends: months differ in length.
    """
    missing = usual - close_times
    if len(missing) < 3:
        return False
    typical, count = most_frequent(missing[:-1])
    return 2 * count > len(missing) - 1 and bool(missing[-1] > typical and close_times[-1] > begins[-1])


def _gaps(timeframe: Timeframe, begin: Micros, moment: Micros) -> int:
    free = begin[1:] - np.maximum.accumulate(moment)[:-1]
    # Days have 23 to 25 hours, where the time of the year changes.
    slack = (moment - begin)[:-1] // 10 if timeframe.is_long else 0
    return int(np.count_nonzero(free > slack))


def _numbers(rows: Micros) -> tuple[int, ...]:
    return tuple(int(row) for row in np.sort(rows))


def _time(micros: int) -> datetime:
    return EPOCH + micros * MICROSECOND
