"""`RawTable`: the rows of a file as text, whatever container they were in; and the limits of reading."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow


@dataclass(frozen=True, slots=True)
class ReadLimits:
    """What no file of prices exceeds; a file that does is refused before it costs time or memory.

    Attributes:
        max_line_bytes: length of a line, or of a row of JSON.
        max_cell_characters: length of a cell.
        max_columns: number of columns.
        max_rows: number of rows of one file, or of one member of an archive.
        max_left_out: lines with another number of cells than the others, see `RawTable.left_out`.
        max_members: files in a zip archive.
        max_unpacked_bytes: size of what a compressed file holds.
        max_ratio: how many times larger that may be than the compressed file; counts from 16 MB on.
        max_object_bytes: size of a JSON file that is one object, which must be in memory at once; a list need not.
        part_bytes: size of the cells of one `RawTable`, after which the next part begins.
    """

    max_line_bytes: int = 1 << 20
    max_cell_characters: int = 1_000
    max_columns: int = 100
    max_rows: int = 100_000_000
    max_left_out: int = 1_000
    max_members: int = 1_000
    max_unpacked_bytes: int = 16 << 30
    max_ratio: int = 100
    max_object_bytes: int = 64 << 20
    part_bytes: int = 8 << 20


class LeftOut(NamedTuple):
    """A line of a table that is no row of it: its number, and what is wrong."""

    line: int
    reason: str


@dataclass(frozen=True, slots=True)
class RawTable:
    """Rows of a file as columns of text, or a part of them.

    A long file comes in several parts, so that the memory does not grow with it: they have the same path, member,
    names, preamble and further headers, and ``part`` counts from 0. A year of minute bars fits into one. So recognise
    the dialect from part 0, convert each part by itself, and join the results. A table without rows has one part,
    with empty columns.

    No cell is null: a missing one is the empty text. White space around cells is removed. Numbers of Parquet, feather
    and JSON files are the shortest text that identifies them, perhaps with an exponent (``1e-05``, ``1E-18``), ``nan``
    or ``inf``; their timestamps are as ``2026-01-31 12:00:00Z``, with a fraction of 3, 6 or 9 digits where some have
    one (a timestamp without zone counts as UTC); dates are as ``2026-01-31``. Columns of lists and other nested values
    are left out.

    Attributes:
        path: of the file.
        member: the file inside a zip archive, or the key of the table in a JSON object; None otherwise.
        names: the header's, as written but for white space; an unnamed column is empty. None where the first line
            is a row already.
        columns: one array of strings a column, all of one length.
        first_line: the line of the first row of this part, or the number of that row; see `place`.
        preamble: lines above the header that are no part of the table, such as a vendor's link.
        more_headers: further lines of names below the first, as yfinance writes (Price, Ticker, Date).
        part: number of this part.
        is_text: True where places are lines of a text, False where they are rows.
        left_out: lines whose number of cells differs from all others'; they are not in the columns.
        lines: the line of each row, where they do not follow each other (empty lines, lines left out).
    """

    path: Path
    member: str | None
    names: tuple[str, ...] | None
    columns: tuple[pyarrow.ChunkedArray, ...]
    first_line: int
    preamble: tuple[str, ...] = ()
    more_headers: tuple[tuple[str, ...], ...] = ()
    part: int = 0
    is_text: bool = True
    left_out: tuple[LeftOut, ...] = ()
    lines: np.ndarray[tuple[int], np.dtype[np.int64]] | None = None

    @property
    def rows(self) -> int:
        """Return the number of rows."""
        return len(self.columns[0])

    def line(self, row: int) -> int:
        """Return the line, or the number, of a row; ``row`` counts from 0 in this part."""
        return self.first_line + row if self.lines is None else int(self.lines[row])

    def place(self, row: int) -> str:
        """Return where a row is, for a message: ``line 17`` of a text, ``row 17`` of another file."""
        return f"{'line' if self.is_text else 'row'} {self.line(row)}"
