"""Blocks of rows in the order of their times, with few of them in memory where the blocks are nearly in order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow

from market.history.grid import Micros
from market.history.streaming.spool import Block


class _Span(NamedTuple):
    first: int
    last: int
    is_rising: bool


class Ordered:
    """The rows of a series by rising time.

    Args:
        blocks: of its rows.
        keys: names of the columns by which they are ordered: the time, and what orders rows of one time.
    """

    def __init__(self, blocks: Sequence[Block], keys: Sequence[str]) -> None:
        self.blocks = blocks
        self._keys = keys
        self._spans = [_span(micros(block.read(keys[:1])[keys[0]])) for block in blocks]
        self.is_rising = all(span.is_rising for span in self._spans) and all(
            before.last < after.first for before, after in zip(self._spans, self._spans[1:], strict=False)
        )
        """Whether the blocks are in this order already, and no two rows have the same time."""

    def tables(self) -> Iterator[Any]:
        """Yield tables, one after the other; rows of one time are all in one of them."""
        if self.is_rising:
            yield from (block.read() for block in self.blocks)
            return
        order = sorted(range(len(self.blocks)), key=lambda index: self._spans[index].first)
        held: list[Any] = []
        for index, following in zip(order, [*order[1:], None], strict=True):
            held.append(self.blocks[index].read())
            if following is None:
                yield self._sorted(held)
                return
            below = self._spans[following].first
            ready = sum(int(np.count_nonzero(micros(table[self._keys[0]]) < below)) for table in held)
            # Where blocks overlap much, they are sorted rarely rather than with each block.
            if 2 * ready >= sum(table.num_rows for table in held):
                table = self._sorted(held)
                yield table.slice(0, ready)
                held = [table.slice(ready)] if ready < table.num_rows else []

    def _sorted(self, tables: Sequence[Any]) -> Any:
        table = pyarrow.concat_tables(tables)
        columns = [micros(table[name]) for name in self._keys]
        order = np.lexsort(columns[::-1])
        if (order[1:] > order[:-1]).all():
            return table
        return table.combine_chunks().take(pyarrow.array(order))


def micros(column: Any) -> Micros:
    """Return a column of times, or of whole numbers, as an array."""
    values: Micros = column.cast(pyarrow.int64()).to_numpy()
    return values


def _span(times: Micros) -> _Span:
    return _Span(int(times.min()), int(times.max()), bool((times[1:] > times[:-1]).all()))
