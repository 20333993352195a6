"""`Rows`: what the rows of a file say once they are clean, exact and in order, and what was changed for that."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from domain.types import Symbol
from market.history.containers.refusal import grouped
from market.history.conversion.time_formats import Microseconds
from market.history.streaming.spool import Block
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


@dataclass(frozen=True, slots=True, eq=False)
class SpooledBars:
    """The bars of one symbol and length, in the order of their times; few of them are in memory.

    Attributes:
        symbol: of all bars.
        timeframe: their length, where a column says it.
        blocks: of their rows, with the columns ``time``, ``line``, ``open``, ``high``, ``low``, ``close``, ``volume``.
        changes: what was changed.
        has_ends: whether there is a column ``end``.
    """

    symbol: Symbol
    timeframe: Timeframe | None
    blocks: Sequence[Block]
    changes: Changes
    has_ends: bool

    def __len__(self) -> int:
        return sum(block.rows for block in self.blocks)

    def tables(self, names: Sequence[str] | None = None) -> Iterator[Any]:
        """Yield the rows of some columns, or of all, a table at a time."""
        for block in self.blocks:
            table = block.read(names)
            if self.changes.zero_volumes and "volume" in table.schema.names:
                index = table.schema.get_field_index("volume")
                field = table.schema.field(index)
                table = table.set_column(index, field, pa.nulls(table.num_rows, field.type))
            yield table

    def load(self) -> BarRows:
        """Return all bars at once."""
        columns = _columns(self.tables())
        begin, lines, end = columns.pop("time"), columns.pop("line"), columns.pop("end", None)
        return BarRows(
            self.symbol,
            self.timeframe,
            begin.to_numpy(),
            None if end is None else end.to_numpy(),
            **columns,
            lines=lines.to_numpy(),
            changes=self.changes,
        )


@dataclass(frozen=True, slots=True, eq=False)
class SpooledTicks:
    """The single prices of one symbol, in the order of their times; few of them are in memory.

    Attributes:
        symbol: of all prices.
        blocks: of their rows, with the columns ``time``, ``line``, ``price``, ``bid``, ``ask``, ``volume``,
            ``bid_size`` and ``ask_size``.
        changes: what was changed.
    """

    symbol: Symbol
    blocks: Sequence[Block]
    changes: Changes

    def __len__(self) -> int:
        return sum(block.rows for block in self.blocks)

    def pieces(self) -> Iterator[TickRows]:
        """Yield the prices, a piece at a time."""
        for block in self.blocks:
            yield self._rows([block.read()])

    def load(self) -> TickRows:
        """Return all prices at once."""
        return self._rows(block.read() for block in self.blocks)

    def _rows(self, tables: Iterable[Any]) -> TickRows:
        columns = _columns(tables)
        time, lines = columns.pop("time").to_numpy(), columns.pop("line").to_numpy()
        return TickRows(self.symbol, time, **columns, lines=lines, changes=self.changes)


def _columns(tables: Iterable[Any]) -> dict[str, Any]:
    """Return the columns of tables together, an array each."""
    table = pa.concat_tables(tables)
    return {name: _array(table[name]) for name in table.schema.names}


def _array(column: Any) -> Any:
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


@dataclass(frozen=True, slots=True)
class Rows:
    """The clean rows of a file: either bars or single prices.

    Attributes:
        bars: one for each symbol and length, in the order in which they begin in the file.
        ticks: one for each symbol.
        notes: sentences about how times and numbers were read, and about bad rows.
    """

    bars: tuple[SpooledBars, ...] = ()
    ticks: tuple[SpooledTicks, ...] = ()
    notes: tuple[str, ...] = ()
