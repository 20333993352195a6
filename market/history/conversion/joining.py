"""The rows of all parts of a file together: grouped by symbol and length, sorted, their changes counted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from market.history.conversion.part import Encoded, Part
from market.history.conversion.rows import RowNumbers
from market.history.conversion.time_formats import Microseconds
from market.history.streaming.ordering import Ordered
from market.history.streaming.spool import Spool


@dataclass(slots=True)
class GroupCounts:
    """What happened to the rows of one group before they were joined."""

    skipped: int = 0
    left_out: int = 0
    widened: int = 0
    rounded: int = 0


@dataclass(slots=True)
class Groups:
    """The groups of a file, in the order in which they begin: a number for each key."""

    numbers: dict[tuple[Any, ...], int] = field(default_factory=dict)
    counts: list[GroupCounts] = field(default_factory=list)

    def number(self, key: tuple[Any, ...]) -> int:
        """Return the number of a group; a new key gets the next one."""
        if key not in self.numbers:
            self.numbers[key] = len(self.counts)
            self.counts.append(GroupCounts())
        return self.numbers[key]

    def of_rows(self, columns: Sequence[Encoded]) -> RowNumbers:
        """Return the group of each row, whose key has a value of each column."""
        combined = columns[0].codes
        for column in columns[1:]:
            combined = combined * len(column.values) + column.codes
        if not combined.size:
            return combined
        if all(len(column.values) == 1 for column in columns):
            return combined + self.number(tuple(column.values[0] for column in columns))
        _, firsts, inverse = np.unique(combined, return_index=True, return_inverse=True)
        numbers = np.zeros(len(firsts), dtype=np.int64)
        for index in np.argsort(firsts):
            row = firsts[index]
            numbers[index] = self.number(tuple(column.values[column.codes[row]] for column in columns))
        return numbers[inverse]

    def count(self, part: Part, groups: RowNumbers, widened: np.ndarray[Any, Any] | None = None) -> None:
        """Add what happened to the rows of a part."""
        kept = ~(part.bad | part.skipped)
        for name, weights in (
            ("skipped", part.skipped),
            ("left_out", part.bad),
            ("rounded", part.rounded * kept),
            ("widened", None if widened is None else widened & kept),
        ):
            if weights is not None and weights.any():
                sums = np.bincount(groups, weights=weights, minlength=len(self.counts))
                for number in np.flatnonzero(sums):
                    counts = self.counts[number]
                    setattr(counts, name, getattr(counts, name) + int(sums[number]))


@dataclass(slots=True)
class Piece:
    """The good rows of a part: group, time and line of each, and its values by name."""

    groups: RowNumbers
    times: Microseconds
    ends: Microseconds | None
    lines: RowNumbers
    values: Mapping[str, Any]

    @classmethod
    def of(
        cls,
        part: Part,
        groups: RowNumbers,
        times: Microseconds,
        ends: Microseconds | None,
        values: Mapping[str, Any],
    ) -> Piece:
        """Take the good rows of a part."""
        lines = part.lines
        if not (part.bad.any() or part.skipped.any()):
            return cls(groups, times, ends, lines, values)
        good = ~(part.bad | part.skipped)
        mask = pa.array(good)
        return cls(
            groups[good],
            times[good],
            None if ends is None else ends[good],
            lines[good],
            {name: array.filter(mask) for name, array in values.items()},
        )


class Sorter:
    """The good rows of a file by group, on disk where they are many; they are sorted when they are read."""

    def __init__(self) -> None:
        self.reordered: dict[int, int] = {}
        """By group, how many rows were before the row above."""
        self.has_ends = False
        self._spool: Spool | None = None
        self._last: dict[int, int] = {}

    def add(self, piece: Piece) -> None:
        """Add rows that are below those before in the file."""
        columns = {"time": pa.array(piece.times), "line": pa.array(piece.lines)}
        if piece.ends is not None:
            columns["end"] = pa.array(piece.ends)
            self.has_ends = True
        table = pa.table({**columns, **piece.values})
        if self._spool is None:
            self._spool = Spool(table.schema)
        groups = piece.groups
        if not len(groups):
            return
        if (groups == groups[0]).all():
            self._add(int(groups[0]), table, piece.times)
            return
        order = np.argsort(groups, kind="stable")
        table, groups, times = table.take(pa.array(order)), groups[order], piece.times[order]
        firsts = np.flatnonzero(np.append(True, groups[1:] != groups[:-1])).tolist()
        for first, after in zip(firsts, [*firsts[1:], len(groups)], strict=True):
            self._add(int(groups[first]), table.slice(first, after - first), times[first:after])

    def _add(self, group: int, table: Any, times: Microseconds) -> None:
        assert self._spool is not None
        back = int(np.count_nonzero(times[1:] < times[:-1])) + int(times[0] < self._last.get(group, times[0]))
        self.reordered[group] = self.reordered.get(group, 0) + back
        self._last[group] = int(times[-1])
        self._spool.add(table, group)

    def ordered(self, group: int) -> Ordered:
        """Return the rows of a group by their times, then their ends, then their order in the file."""
        blocks = [] if self._spool is None else self._spool.blocks(group)
        return Ordered(blocks, ("time", "end", "line") if self.has_ends else ("time", "line"))

    def spool(self) -> Spool:
        """Return another spool for such rows."""
        assert self._spool is not None
        return Spool(self._spool.schema)
