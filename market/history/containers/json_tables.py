"""JSON as tables of text: lists of rows, objects that hold them, and lines of objects.

A list of rows is read piece by piece; numbers are the text that the file has, so none loses a digit. An object must be
in memory at once.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any

import pyarrow
import pyarrow.compute

from market.history.containers.csv_tables import RowReader
from market.history.containers.json_objects import FoundTable, tables_in
from market.history.containers.layout import Layout, refuse_cell
from market.history.containers.parts import Parts, Piece
from market.history.containers.raw_table import RawTable, ReadLimits
from market.history.containers.refusal import Source, grouped, quoted, shortened, size

_WHITE = b" \t\r\n"
_ROW_OF = {b"[": b"]", b"{": b"}"}
_SPACES = re.compile(rb"\s*([\[\],])\s*")
_NULL = re.compile(rb"\bnull\b")


def is_json(text: bytes) -> bool:
    """Return whether a text begins as JSON: with a list or an object."""
    return text.lstrip(_WHITE)[:1] in {b"[", b"{"}


def json_tables(blocks: Iterator[bytes], source: Source, limits: ReadLimits) -> Iterator[RawTable]:
    """Yield the tables in a JSON text of UTF-8, in one or several parts each.

    Raises:
        RefusedFile: it is not valid JSON, holds no table, or exceeds a limit.
    """
    start = b""
    for block in blocks:
        start = (start + block).lstrip(_WHITE)
        if not start[1:].isspace() or len(start) > limits.max_line_bytes:
            break
    inner = start[1:].lstrip(_WHITE)
    if start.startswith(b"[") and inner[:1] in _ROW_OF:
        yield from _list_tables(chain((inner,), blocks), source, limits)
    elif start.startswith(b"["):
        reason = "it is empty" if inner.strip(_WHITE) == b"]" else "it is JSON, and its list holds no rows"
        source.refuse(reason)
    else:
        yield from _object_tables(chain((start,), blocks), source, limits)


def _list_tables(blocks: Iterator[bytes], source: Source, limits: ReadLimits) -> Iterator[RawTable]:
    rows: _Lists | _Objects | None = None
    for text in _row_texts(blocks, source, limits):
        if rows is None:
            rows = _Lists(source, limits) if text.startswith(b"[") else _Objects(source, limits)
        piece = rows.read(text)  # first: the names of objects are in the first of them
        yield from rows.parts.add(piece)
    assert rows is not None  # the first row's bracket was there
    yield from rows.parts.end(rows.width, 1)


def _row_texts(blocks: Iterator[bytes], source: Source, limits: ReadLimits) -> Iterator[bytes]:
    """Yield pieces of a list: one or several rows each, separated by commas, without the list's own brackets."""
    rest = b""
    closing = b""
    is_first = True
    for block in blocks:
        rest += block
        closing = closing or _ROW_OF[rest[:1]]
        # At the end of the file the last row's bracket is followed by the list's own; before, by a comma or nothing.
        cut = rest.rfind(closing) + 1
        if rest.strip(_WHITE) == b"]":
            continue
        if closing == b"]" and rest[cut - 1 :].strip(_WHITE) == b"]" and rest[: cut - 1].rstrip(_WHITE).endswith(b"]"):
            cut -= 1  # it is the list's own
        text = rest[:cut].strip(_WHITE)
        if not text.strip(b","):
            _require_short_row(rest, source, limits)
            continue
        rest = rest[cut:]
        yield _between(text, source, is_first=is_first)
        is_first = False
    if rest.strip(_WHITE) != b"]":
        source.refuse("it is not valid JSON: its list does not end, or something follows it")


def _between(text: bytes, source: Source, *, is_first: bool) -> bytes:
    """Return a piece without the comma that separates it from the one before."""
    if is_first:
        return text
    if not text.startswith(b","):
        source.refuse("it is not valid JSON: there is no comma between two rows")
    return text[1:].lstrip(_WHITE)


def _require_short_row(rest: bytes, source: Source, limits: ReadLimits) -> None:
    if len(rest) > limits.max_line_bytes:
        source.refuse(f"a row of its list is longer than {size(limits.max_line_bytes)}")


class _Lists:
    """A reader of rows that are lists: those of numbers alone as lines of CSV, others by Python's parser."""

    def __init__(self, source: Source, limits: ReadLimits) -> None:
        self.parts = Parts(source, None, limits, is_text=False)
        self.width = 0
        self._source = source
        self._limits = limits
        self._next_row = 1

    def read(self, text: bytes) -> Piece:
        columns = self._of_numbers(text)
        if columns is None:
            rows = _parsed(text, self._source)
            self._set_width(len(rows[0]) if isinstance(rows[0], list) else 0)
            for number, row in enumerate(rows, self._next_row):
                if not isinstance(row, list) or len(row) != self.width:
                    self._refuse_width(number, len(row) if isinstance(row, list) else None)
            columns = _columns(zip(*rows, strict=True), self._next_row, self._source, self._limits)
        piece = Piece(columns, self._next_row)
        self._next_row += len(columns[0])
        return piece

    def _set_width(self, width: int) -> None:
        if not self.width:
            if width > self._limits.max_columns:
                self._source.refuse(
                    f"its rows have {grouped(width)} cells; at most {self._limits.max_columns} are possible"
                )
            if not width:
                self._refuse_width(self._next_row, None)
            self.width = width

    def _refuse_width(self, number: int, width: int | None) -> None:
        cells = "1 cell" if width == 1 else f"{width} cells"
        kind = f"it has {cells}, the first row {self.width}" if width is not None and self.width else "it is no row"
        self._source.refuse(kind, f"row {number}")

    def _of_numbers(self, text: bytes) -> Sequence[Any] | None:
        """Return the columns of rows without text; None where Python's parser must read them."""
        if b'"' in text or b"{" in text:
            return None
        text = text.replace(b", ", b",")
        if any(space in text for space in (b" ", b"\n", b"\t", b"\r")):
            text = _SPACES.sub(rb"\1", text)
            if any(space in text for space in (b" ", b"\n", b"\t", b"\r")):
                return None
        count = text.count(b"],[") + 1
        if not (text.startswith(b"[") and text.endswith(b"]") and count == text.count(b"[") == text.count(b"]")):
            return None
        lines = text[1:-1].replace(b"],[", b"\n") + b"\n"
        if b"null" in lines:
            lines = _NULL.sub(b"", lines)
        width = lines.count(b",", 0, lines.find(b"\n")) + 1
        if width < 2 or lines.startswith(b"\n") or b"\n\n" in lines:
            return None
        self._set_width(width)
        layout = Layout(",", self.width, None, (), (), 0)
        reader = RowReader(layout, self._source, self._limits, first_line=self._next_row, unit="row")
        piece = reader.read(lines)
        if piece.left_out:
            return None  # for the message
        return piece.columns


class _Objects:
    """A reader of rows that are objects; the first one's keys are the names."""

    def __init__(self, source: Source, limits: ReadLimits) -> None:
        self._source = source
        self._limits = limits
        self._keys: dict[str, None] = {}
        self._next_row = 1

    @property
    def width(self) -> int:
        return len(self._keys)

    def read(self, text: bytes) -> Piece:
        rows = _parsed(text, self._source)
        if not self._keys:
            self._begin(rows[0])
        keys = self._keys.keys()
        for number, row in enumerate(rows, self._next_row):
            if not isinstance(row, dict):
                self._source.refuse("it is no object, and the first row is one", f"row {number}")
            if row.keys() != keys and (more := row.keys() - keys):
                self._source.refuse(f"it has the key {quoted(min(more))}, and the first row has not", f"row {number}")
        cells = ([row.get(key) for row in rows] for key in keys)
        piece = Piece(_columns(cells, self._next_row, self._source, self._limits), self._next_row)
        self._next_row += len(rows)
        return piece

    def _begin(self, row: dict[str, Any]) -> None:
        if not row:
            self._source.refuse("it has no keys", "row 1")
        if len(row) > self._limits.max_columns:
            self._source.refuse(
                f"its rows have {grouped(len(row))} keys; at most {self._limits.max_columns} are possible"
            )
        self._keys = dict.fromkeys(row)
        self.parts = Parts(self._source, tuple(key.strip() for key in row), self._limits, is_text=False)


def _parsed(text: bytes, source: Source) -> list[Any]:
    """Return the rows in a piece of a list."""
    rows = _loads(b"[" + text + b"]", source)
    assert isinstance(rows, list)
    return rows


def _loads(text: bytes, source: Source) -> Any:
    """Return parsed JSON, with numbers as they are written."""
    try:
        return json.loads(text, parse_float=str, parse_int=str, parse_constant=str)
    except json.JSONDecodeError as error:
        source.refuse(f"it is not valid JSON: {error.msg[0].lower()}{error.msg[1:]}, {_near(text, error)}")
    except RecursionError:
        source.refuse("it is JSON that is nested too deeply")


def _near(text: bytes, error: json.JSONDecodeError) -> str:
    start = text.decode()[error.pos : error.pos + 30]
    return f"at {shortened(repr(start))}" if start else "at its end"


def _columns(columns: Any, first_row: int, source: Source, limits: ReadLimits) -> list[Any]:
    return [_column(cells, first_row, source, limits) for cells in columns]


def _column(cells: Sequence[Any], first_row: int, source: Source, limits: ReadLimits) -> Any:
    """Return cells as strings without nulls."""
    try:
        texts = pyarrow.array(cells, pyarrow.string())
    except (pyarrow.ArrowException, UnicodeError):
        texts = pyarrow.array(_plain_texts(cells, first_row, source), pyarrow.string())
    texts = pyarrow.compute.fill_null(pyarrow.compute.utf8_trim_whitespace(texts), "")
    if (pyarrow.compute.max(pyarrow.compute.binary_length(texts)).as_py() or 0) > limits.max_cell_characters:
        for number, cell in enumerate(texts.to_pylist(), first_row):
            if len(cell) > limits.max_cell_characters:
                refuse_cell(cell, f"row {number}", source, limits)
    return texts


def _plain_texts(cells: Sequence[Any], first_row: int, source: Source) -> Sequence[str | None]:
    """Return cells of which some are no texts as texts."""
    texts = []
    for number, cell in enumerate(cells, first_row):
        if isinstance(cell, (list, dict)):
            kind = "a list" if isinstance(cell, list) else "an object"
            source.refuse(f"one of its cells is {kind}; it must be a number, a text or null", f"row {number}")
        text = str(cell).lower() if isinstance(cell, bool) else cell
        # JSON can write half of a character, which no text can hold.
        texts.append(None if text is None else text.encode(errors="replace").decode())
    return texts


def _object_tables(blocks: Iterator[bytes], source: Source, limits: ReadLimits) -> Iterator[RawTable]:
    text = b""
    for block in blocks:
        text += block
        if len(text) > limits.max_object_bytes:
            source.refuse(
                f"it is one JSON object of over {size(limits.max_object_bytes)}; a list of rows may be longer"
            )
    if re.match(rb"\{[^{}]*\}\s*\{", text):  # one object a line
        yield from _list_tables(iter((_as_list(text),)), source, limits)
        return
    tables = list(tables_in(_loads(text, source)))
    if not tables:
        source.refuse("it is JSON, and holds no list of rows")
    for table in tables:
        yield from _table(table, source, limits)


def _as_list(text: bytes) -> bytes:
    """Return lines of objects as a list without its opening bracket."""
    return b",".join(line for line in text.splitlines() if line.strip()) + b"]"


def _table(table: FoundTable, source: Source, limits: ReadLimits) -> Iterator[RawTable]:
    if len(table.columns) > limits.max_columns:
        source.refuse(f"its rows have {grouped(len(table.columns))} cells; at most {limits.max_columns} are possible")
    inner = Source(source.path, " ".join(filter(None, (source.member, table.key))) or None)
    parts = Parts(inner, table.names, limits, is_text=False)
    columns = _columns(table.columns, 1, inner, limits)
    yield from parts.add(Piece(columns, 1))
    yield from parts.end(len(columns), 1)
