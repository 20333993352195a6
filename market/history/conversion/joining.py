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


@dataclass(slots=True)
class Joined:
    """All good rows of a file, in the order of group and time, equal times in the order of the file.

    Attributes:
        reordered: by group, how many rows were before the row above.
    """

    groups: RowNumbers
    times: Microseconds
    ends: Microseconds | None
    lines: RowNumbers
    values: dict[str, Any]
    reordered: RowNumbers

    @classmethod
    def of(cls, pieces: Sequence[Piece], count: int) -> Joined:
        """Join the pieces of ``count`` groups."""
        groups, times, lines = (
            np.concatenate([getattr(piece, name) for piece in pieces]) for name in ("groups", "times", "lines")
        )
        ends = None
        if pieces[0].ends is not None:
            ends = np.concatenate([piece.ends for piece in pieces if piece.ends is not None])
        values = {name: pa.concat_arrays([piece.values[name] for piece in pieces]) for name in pieces[0].values}
        joined = cls(groups, times, ends, lines, values, np.zeros(count, dtype=np.int64))
        by_group = np.argsort(groups, kind="stable") if (groups[1:] < groups[:-1]).any() else None
        sorted_groups, in_file_order = (groups, times) if by_group is None else (groups[by_group], times[by_group])
        back = (in_file_order[1:] < in_file_order[:-1]) & (sorted_groups[1:] == sorted_groups[:-1])
        joined.reordered = np.bincount(sorted_groups[1:][back], minlength=count)
        if by_group is not None or back.any() or ends is not None:
            keys = (times, groups) if ends is None else (ends, times, groups)
            order = np.lexsort(keys)
            if not (order[1:] > order[:-1]).all():
                joined.take(order)
        return joined

    def take(self, rows: RowNumbers) -> None:
        """Keep these rows, in this order."""
        self.groups, self.times, self.lines = self.groups[rows], self.times[rows], self.lines[rows]
        self.ends = None if self.ends is None else self.ends[rows]
        indices = pa.array(rows)
        self.values = {name: array.take(indices) for name, array in self.values.items()}

    def bounds(self, group: int) -> tuple[int, int]:
        """Return the first row of a group and the one after its last."""
        first, last = np.searchsorted(self.groups, [group, group + 1])
        return int(first), int(last)
