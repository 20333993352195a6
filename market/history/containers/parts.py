"""Collecting pieces of rows into the parts of a `RawTable`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow

from market.history.containers.raw_table import LeftOut, RawTable, ReadLimits
from market.history.containers.refusal import Source, grouped


@dataclass(frozen=True, slots=True)
class Piece:
    """Rows that were read together.

    Attributes:
        columns: arrays of strings.
        first_line: the line of the first row.
        lines: the line of each row; None where they follow each other.
        left_out: lines among them that are no rows.
    """

    columns: Sequence[Any]
    first_line: int
    lines: Any = None
    left_out: Sequence[LeftOut] = ()


class Parts:
    """The parts of one table: pieces are added, and a part is yielded when it is large enough.

    Args:
        source: for messages.
        names: of the columns; None without a header.
        limits: of the size of a part, and of the number of rows.
        preamble: see `RawTable`.
        more_headers: see `RawTable`.
        is_text: see `RawTable`.
    """

    def __init__(
        self,
        source: Source,
        names: tuple[str, ...] | None,
        limits: ReadLimits,
        preamble: tuple[str, ...] = (),
        more_headers: tuple[tuple[str, ...], ...] = (),
        *,
        is_text: bool = True,
    ) -> None:
        self._source = source
        self._names = names
        self._limits = limits
        self._above = (preamble, more_headers)
        self._is_text = is_text
        self._pieces: list[Piece] = []
        self._size = 0
        self._rows = 0
        self._part = 0

    def add(self, piece: Piece) -> Iterator[RawTable]:
        """Add rows; yield a part if it is large enough.

        Raises:
            RefusedFile: there are too many rows.
        """
        self._pieces.append(piece)
        self._rows += len(piece.columns[0])
        if self._rows > self._limits.max_rows:
            self._source.refuse(f"it has more than {grouped(self._limits.max_rows)} rows; split it")
        self._size += sum(column.nbytes for column in piece.columns)
        if self._size >= self._limits.part_bytes:
            yield self._take(len(piece.columns), piece.first_line)

    def end(self, width: int, next_line: int) -> Iterator[RawTable]:
        """Yield the last part; the only one also without rows."""
        if self._pieces or not self._part:
            yield self._take(width, next_line)

    def _take(self, width: int, next_line: int) -> RawTable:
        pieces, self._pieces, self._size = self._pieces, [], 0
        columns = tuple(_joined([piece.columns[index] for piece in pieces]) for index in range(width))
        lines = _lines(pieces)
        self._part += 1
        return RawTable(
            self._source.path,
            self._source.member,
            self._names,
            columns,
            pieces[0].first_line if pieces else next_line,
            *self._above,
            self._part - 1,
            self._is_text,
            tuple(line for piece in pieces for line in piece.left_out),
            lines,
        )


def _joined(columns: Sequence[Any]) -> Any:
    chunks = [chunk for column in columns for chunk in getattr(column, "chunks", [column])]
    return pyarrow.chunked_array(chunks, pyarrow.string())


def _lines(pieces: Sequence[Piece]) -> Any:
    """Return the line of each row of the pieces; None where all follow each other."""
    if all(piece.lines is None for piece in pieces):
        return None
    numbers = [
        piece.lines
        if piece.lines is not None
        else np.arange(piece.first_line, piece.first_line + len(piece.columns[0]), dtype=np.int64)
        for piece in pieces
    ]
    return np.concatenate(numbers)


def in_larger_parts(parts: Iterable[RawTable], part_bytes: int) -> Iterator[RawTable]:
    """Yield the rows of a table again in larger parts.

    Args:
        parts: of the table.
        part_bytes: size of the cells of a part, after which the next one begins.
    """
    held: list[RawTable] = []
    count = 0
    for part in parts:
        held.append(part)
        if sum(column.nbytes for one in held for column in one.columns) >= part_bytes:
            yield _one_part(held, count)
            held, count = [], count + 1
    if held:
        yield _one_part(held, count)


def _one_part(parts: Sequence[RawTable], number: int) -> RawTable:
    return replace(
        parts[0],
        columns=tuple(_joined([part.columns[index] for part in parts]) for index in range(len(parts[0].columns))),
        part=number,
        left_out=tuple(line for part in parts for line in part.left_out),
        lines=np.concatenate([_lines_of(part) for part in parts]),
    )


def _lines_of(part: RawTable) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Return the line of each row."""
    return np.arange(part.first_line, part.first_line + part.rows, dtype=np.int64) if part.lines is None else part.lines
