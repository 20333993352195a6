"""Pieces of a series: a page, what it left out, and the proof of what the exchange does not have.

An answer is never taken for complete because it is short, or because it is empty: some are cut off silently, as in
https://github.com/ccxt/ccxt/issues/30095, where the first of several pages was taken for all of them, and others leave
out bars. So the next page begins after the last bar of this one, and each missing bar is requested again, by a request
of another form. A span is a gap once an answer that reaches beyond it has brought no bar of it for the second time.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

from market.history.downloading.grid import DAY_MS, time_of
from market.history.downloading.journal import Piece, merged_spans
from market.history.downloading.pages import Page, Row, runs_without
from market.history.downloading.source import DownloadFailed, PageSource, Series

COMPARED_SHARE = 0.01
"""Share of the pages that are fetched a second time and compared."""
LOOK_BACK_BARS = 3
"""So many bars before a gap a second answer begins: bars that are there show that the answer reaches up to the gap."""
Rows = dict[int, Row]
Span = tuple[int, int]


@dataclass
class Comparison:
    """What the second fetches have shown.

    Attributes:
        pages: compared.
        different: bars that were different in the second answer; a third one decided.
        fetched_again: missing bars that a second answer had.
    """

    pages: int = 0
    different: int = 0
    fetched_again: int = 0


class PieceReader:
    """Reads one series piece by piece.

    Args:
        source: the pages.
        series: which series.
        seed: decides which pages are compared; that of the same request is the same.

    Attributes:
        comparison: the counts so far.
    """

    def __init__(self, source: PageSource, series: Series, seed: str) -> None:
        self.comparison = Comparison()
        self._source = source
        self._symbol = series.symbol
        self._grid = series.grid
        self._seed = seed
        self._newest: int | None = None
        self._asked_newest = False

    async def read(self, begin: int, end: int, *, compare: bool = False) -> Piece:
        """Return the piece that begins at ``begin``; it ends at ``end`` or before.

        Args:
            begin: begin of its first bar, in milliseconds since 1970.
            end: end of its last bar at most.
            compare: fetch it a second time in any case.

        Raises:
            DownloadFailed: the exchange refuses, was away for too long, or contradicts itself.
        """
        page = await self._source.page(begin)
        rows = page.between(begin, end)
        stop = await self._stop(page, begin, end)
        compared = 0
        draw = random.Random(f"{self._seed} {begin}").random()  # nosec B311  # noqa: S311 - it must be reproducible
        if compare or draw < COMPARED_SHARE:
            compared = await self._compare(rows, begin, stop)
        gaps, empty = await self._fill(rows, begin, stop)
        return Piece(begin, stop, dict(sorted(rows.items())), gaps, empty, compared)

    async def _stop(self, page: Page, begin: int, end: int) -> int:
        """Return up to where an answer says which bars there are."""
        if page.last is not None and page.last >= begin:
            return min(self._grid.move(page.last, 1), end)
        # Some exchanges answer with no more than a span of time: an empty answer need not be the last one.
        if not self._asked_newest:
            self._asked_newest, self._newest = True, await self._source.newest()
        if self._newest is not None and self._newest < begin:
            return end
        # Others answer with the first bars of a day, however late in it the request begins: the next day is tried.
        tomorrow = self._grid.ceil((begin // DAY_MS + 1) * DAY_MS)
        return min(self._grid.move(begin, self._source.page_bars), tomorrow, end)

    async def _fill(self, rows: Rows, begin: int, stop: int) -> tuple[list[Span], list[Span]]:
        """Fetch missing bars again; add them to ``rows``.

        Returns:
            The spans for which the exchange has no bars, and those of them about which each answer was empty.
        """
        gaps: list[Span] = []
        empty: list[Span] = []
        pending = deque(runs_without(rows, self._grid, begin, stop))
        page: Page | None = None
        while pending:
            run_begin, run_end = pending.popleft()
            if page is None or not page.tells_of(run_begin):
                page = await self._second_page(run_begin, run_end)
            reach = run_end
            if page.last is not None and page.last >= run_begin:
                reach = min(self._grid.move(page.last, 1), run_end)
            new = page.between(run_begin, reach)
            if not new:
                gaps.append((run_begin, reach))
                if not page.tells_of(run_begin):
                    empty.append((run_begin, reach))
                if reach < run_end:
                    pending.appendleft((reach, run_end))
                continue
            rows.update(new)
            self.comparison.fetched_again += len(new)
            rest = list(runs_without(new, self._grid, run_begin, run_end))
            pending.extendleft(reversed(rest))
            if rest:  # an answer that brought some of them is no proof about the others
                page = None
        return merged_spans(gaps), merged_spans(empty)

    async def _second_page(self, begin: int, end: int) -> Page:
        """Return the answer to another request for the bars of a span."""
        page = await self._source.other_page(self._grid.move(begin, -LOOK_BACK_BARS))
        if not page.tells_of(begin):
            page = await self._source.other_page(begin)
        if page.between(begin, end) or self._grid.count(begin, end) <= self._source.page_bars:
            return page
        # Some exchanges answer with their newest bars, however early the first one was to be.
        try:
            limited = await self._source.other_page(begin, self._grid.move(begin, self._source.page_bars))
        except DownloadFailed:  # this exchange does not know such a request
            return page
        return limited if limited.between(begin, end) else page

    async def _compare(self, rows: Rows, begin: int, stop: int) -> int:
        """Fetch a page a second time; of a bar that differs, two of three answers decide. Return the bars compared."""
        second = (await self._source.page(begin)).between(begin, stop)
        common = rows.keys() & second.keys()
        different = sorted(at for at in common if rows[at] != second[at])
        if different:
            third = (await self._source.page(begin)).between(begin, stop)
            for at in different:
                rows[at] = self._majority(at, (rows[at], second[at]), third)
        self.comparison.pages += 1
        self.comparison.different += len(different)
        return len(common)

    def _majority(self, begin: int, rows: tuple[Row, Row], third: Mapping[int, Row]) -> Row:
        decisive = third.get(begin)
        if decisive is None or decisive not in rows:
            raise DownloadFailed(
                f"the answers about {self._symbol} contradict each other: the bar of"
                f" {time_of(begin):%Y-%m-%d %H:%M:%S} UTC was different each time; try again later"
            )
        return decisive
