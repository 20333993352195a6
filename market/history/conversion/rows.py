"""`Rows`: what the rows of a file say once they are clean, exact and in order, and what was changed for that."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from domain.types import Symbol
from market.history.containers.refusal import grouped
from market.history.conversion.time_formats import Microseconds
from market.history.timeframe import Timeframe

RowNumbers = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True, slots=True)
class Changes:
    """How many rows of a symbol were changed, and how.

    Attributes:
        reordered: rows whose time is before that of the row above; the rows were sorted.
        duplicates: rows that repeat another one; they were dropped.
        skipped: rows without a price; they were left out.
        widened: bars whose high or low was one rounding step beside open or close, and was moved there.
        rounded: numbers with more than 18 decimals.
        left_out: bad rows.
        zero_volumes: rows with a volume of 0 in a column with hardly any other; their volume counts as unknown.
    """

    reordered: int = 0
    duplicates: int = 0
    skipped: int = 0
    widened: int = 0
    rounded: int = 0
    left_out: int = 0
    zero_volumes: int = 0

    def sentences(self) -> list[str]:
        """Return what was changed, one part of a sentence each."""
        texts = (
            (self.reordered, "sorted by time: {} before the row above", "row was", "rows were"),
            (self.duplicates, "{} dropped", "repeated row", "repeated rows"),
            (self.skipped, "{} without a price skipped", "row", "rows"),
            (self.widened, "{} one rounding step beside open or close widened", "high or low", "highs or lows"),
            (self.rounded, "{} rounded to 18 decimals", "number", "numbers"),
            (self.left_out, "{} left out", "bad row", "bad rows"),
            (self.zero_volumes, "volume unknown: 0 in {}", "row", "rows"),
        )
        return [
            text.format(f"{grouped(count)} {one if count == 1 else many}") for count, text, one, many in texts if count
        ]


@dataclass(frozen=True, slots=True, eq=False)
class BarRows:
    """The bars of one symbol and length, in the order of their times.

    Attributes:
        symbol: of all bars.
        timeframe: their length, where a column says it.
        begin: the time of each bar, microseconds since 1970; the end of the bar for a reader who says so.
        end: when each bar ends, `NO_TIME` where the file does not say it; None: it does so for none.
        open, high, low: decimal128(38, 18); null where unknown.
        close: never null.
        volume: null where unknown; 0 where nothing was traded.
        lines: the line, or row, of each bar in the file.
        changes: what was changed.
    """

    symbol: Symbol
    timeframe: Timeframe | None
    begin: Microseconds
    end: Microseconds | None
    open: Any
    high: Any
    low: Any
    close: Any
    volume: Any
    lines: RowNumbers
    changes: Changes

    def __len__(self) -> int:
        return len(self.begin)


@dataclass(frozen=True, slots=True, eq=False)
class TickRows:
    """The single prices of one symbol, in the order of their times.

    Attributes:
        symbol: of all prices.
        time: of each price, microseconds since 1970.
        price: decimal128(38, 18), never null.
        bid, ask, volume, bid_size, ask_size: null where unknown.
        lines: the line, or row, of each price in the file.
        changes: what was changed.
    """

    symbol: Symbol
    time: Microseconds
    price: Any
    bid: Any
    ask: Any
    volume: Any
    bid_size: Any
    ask_size: Any
    lines: RowNumbers
    changes: Changes

    def __len__(self) -> int:
        return len(self.time)


@dataclass(frozen=True, slots=True)
class Rows:
    """The clean rows of a file: either bars or single prices.

    Attributes:
        bars: one for each symbol and length, in the order in which they begin in the file.
        ticks: one for each symbol.
        notes: sentences about how times and numbers were read, and about bad rows.
    """

    bars: tuple[BarRows, ...] = ()
    ticks: tuple[TickRows, ...] = ()
    notes: tuple[str, ...] = ()
