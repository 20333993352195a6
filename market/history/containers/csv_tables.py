"""Separated text as tables: CSV and its relatives."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NoReturn

import numpy as np
import pyarrow
import pyarrow.compute
import pyarrow.csv

from market.history.containers.layout import Layout, layout_of, refuse_cell
from market.history.containers.parts import Parts, Piece
from market.history.containers.raw_table import LeftOut, RawTable, ReadLimits
from market.history.containers.refusal import Source, first_line
from market.history.containers.text import line_blocks

_PARSER_BLOCK_BYTES = 256 << 10
"""Fits into a processor's cache: twice as fast as pyarrow's default."""


def csv_tables(blocks: Iterator[bytes], source: Source, limits: ReadLimits) -> Iterator[RawTable]:
    """Yield the parts of the table in a text of UTF-8.

    Raises:
        RefusedFile: it is no table, or exceeds a limit.
    """
    lines = line_blocks(blocks, limits, source)
    first = next(lines, b"")
    layout = layout_of(first, source, limits)
    rows = _without_lines(first, layout.header_lines)
    parts = Parts(source, layout.names, limits, layout.preamble, layout.more_headers)
    reader = RowReader(layout, source, limits, first_line=layout.header_lines + 1)
    while rows or (rows := next(lines, b"")):
        yield from parts.add(reader.read(rows))
        rows = b""
    yield from parts.end(layout.width, reader.next_line)


def _without_lines(block: bytes, count: int) -> bytes:
    start = 0
    for _ in range(count):
        start = block.find(b"\n", start) + 1
        if not start:
            return b""
    return block[start:]


class RowReader:
    """A reader of one block of lines after another; it counts the lines.

    Args:
        layout: of the text.
        source: for messages.
        limits: of cells.
        first_line: number of the first line.
        unit: what a line is called in messages.
    """

    def __init__(
        self, layout: Layout, source: Source, limits: ReadLimits, *, first_line: int, unit: str = "line"
    ) -> None:
        self._layout = layout
        self._source = source
        self._limits = limits
        self._left_out = 0
        self._unit = unit
        self.next_line = first_line
        separator = layout.separator.encode()
        self._spaces = (separator + b" ", b" " + separator, b" \n", b" \r\n", b"\n ")
        names = [str(number) for number in range(layout.width)]  # a header may name a column twice
        self._read = pyarrow.csv.ReadOptions(column_names=names, use_threads=False, block_size=_PARSER_BLOCK_BYTES)
        self._convert = pyarrow.csv.ConvertOptions(
            column_types=dict.fromkeys(names, pyarrow.string()), strings_can_be_null=False, null_values=[]
        )

    def read(self, block: bytes) -> Piece:
        """Return the rows of a block of whole lines."""
        if b" " in block:
            separator = self._layout.separator.encode()
            block = block.replace(separator + b' "', separator + b'"')
        skipped: dict[int, str] = {}
        columns = self._columns(block, skipped)
        self._require_short_cells(columns, block)
        if b" " in block and (block[:1] == b" " or any(space in block for space in self._spaces)):
            columns = [pyarrow.compute.utf8_trim_whitespace(column) for column in columns]
        first_line = self.next_line
        count = _line_count(block)
        self.next_line += count
        if len(columns[0]) == count:
            return Piece(columns, first_line)
        lines = _filled_lines(block) + first_line
        row_lines = np.delete(lines, [row for row in skipped if row < len(lines)])
        if len(row_lines) != len(columns[0]):
            self._refuse_open_quote(columns, row_lines)
        left_out = [LeftOut(int(lines[row]), reason) for row, reason in skipped.items() if reason]
        return Piece(columns, first_line, row_lines, left_out)

    def _refuse_open_quote(self, columns: list[Any], row_lines: Any) -> NoReturn:
        """Refuse a cell that goes over several lines: it would swallow rows, and no price or time does."""
        rows = [pyarrow.compute.index(pyarrow.compute.match_substring(column, "\n"), value=True) for column in columns]
        first = min((row.as_py() for row in rows if row.as_py() >= 0), default=None)
        # Without such a cell it is in a line with another number of cells.
        place = "" if first is None else f"{self._unit} {_at(row_lines, first)}"
        self._source.refuse("a cell in quotes goes over several lines; perhaps a quote has no end", place)

    def _columns(self, block: bytes, skipped: dict[int, str]) -> list[Any]:
        """Return the columns; add the rows that are not in them to ``skipped``, each with what is wrong."""

        def skip(row: Any) -> str:
            reason = ""
            if row.text.strip():
                cells = "1 cell" if row.actual_columns == 1 else f"{row.actual_columns} cells"
                reason = f"it has {cells}, the other lines {row.expected_columns}"
                self._left_out += 1
            skipped[row.number - 1] = reason  # empty lines do not count
            return "error" if self._left_out > self._limits.max_left_out else "skip"

        if block.isspace():
            return [pyarrow.array([], pyarrow.string())] * self._layout.width
        parse = pyarrow.csv.ParseOptions(delimiter=self._layout.separator, invalid_row_handler=skip)
        try:
            table = pyarrow.csv.read_csv(pyarrow.BufferReader(block), self._read, parse, self._convert)
        except pyarrow.ArrowException as error:
            if self._left_out > self._limits.max_left_out:
                row, reason = next(reversed(skipped.items()))
                place = f"{self._unit} {self.next_line + _at(_filled_lines(block), row)}"
                self._source.refuse(f"{reason}, as over {self._limits.max_left_out} lines before it", place)
            self._source.refuse(f"it is no valid CSV: {first_line(error)}", f"after line {self.next_line - 1}")
        return list(table.columns)

    def _require_short_cells(self, columns: list[Any], block: bytes) -> None:
        limit = self._limits.max_cell_characters
        for column in columns:
            longest = pyarrow.compute.max(pyarrow.compute.binary_length(column)).as_py() or 0
            if longest > limit:
                lengths = pyarrow.compute.utf8_length(column)
                row = pyarrow.compute.index(pyarrow.compute.greater(lengths, limit), value=True).as_py()
                if row >= 0:
                    cell = column[row].as_py()
                    # By its text: lines that are empty or left out stand between the rows.
                    line = self.next_line + block[: max(block.find(cell.encode()), 0)].count(b"\n")
                    refuse_cell(cell, f"{self._unit} {line}", self._source, self._limits)


def _line_count(block: bytes) -> int:
    return block.count(b"\n") + (not block.endswith(b"\n"))


def _filled_lines(block: bytes) -> Any:
    """Return the positions of the lines that are not empty; the first line is 0."""
    characters = np.frombuffer(block, np.uint8)
    ends = np.flatnonzero(characters == ord("\n"))
    if not block.endswith(b"\n"):
        ends = np.append(ends, len(block))
    starts = np.concatenate(([0], ends[:-1] + 1))
    lengths = ends - starts
    is_return = characters[starts] == ord("\r")
    return np.flatnonzero((lengths > 1) | ((lengths == 1) & ~is_return)).astype(np.int64)


def _at(lines: Any, row: int) -> int:
    return int(lines[min(row, len(lines) - 1)])
