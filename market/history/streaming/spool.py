"""Rows of several series that wait for their next step: in memory while they are few, and on disk from then on."""

from __future__ import annotations

import os
import tempfile
import weakref
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import pyarrow

from domain.errors import PaperTradingError

MEMORY_BYTES = 16 << 20
"""While the rows of a spool have fewer bytes, they stay in memory."""
BLOCK_ROWS = 1 << 16
"""Rows of a block, at most."""


class _File:
    """A file without a name: nothing is left of it, however the process ends. It is closed with its last user."""

    def __init__(self) -> None:
        try:
            file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - open as long as something can be read from it
        except OSError as error:
            raise _cannot_write(error) from error
        weakref.finalize(self, file.close)
        self._handle = file.fileno()
        self._size = 0

    def append(self, data: Any) -> tuple[int, int]:
        """Write bytes behind the others; return their position and length."""
        position, rest = self._size, memoryview(data)
        self._size += len(rest)
        try:
            while rest:
                rest = rest[os.pwrite(self._handle, rest, self._size - len(rest)) :]
        except OSError as error:
            raise _cannot_write(error) from error
        return position, self._size - position

    def read(self, position: int, length: int) -> bytes:
        """Return bytes that were written."""
        return os.pread(self._handle, length, position)


def _cannot_write(error: OSError) -> PaperTradingError:
    return PaperTradingError(
        f"cannot write a temporary file in {tempfile.gettempdir()}: {error.strerror}; set TMPDIR to use another folder"
    )


class Block:
    """Successive rows of one series.

    Args:
        rows: how many.
        schema: of their columns.
        table: the rows, where they are in memory.
        file: that holds them otherwise.
        places: position and length of each column in the file.
    """

    def __init__(
        self,
        rows: int,
        schema: Any,
        table: Any = None,
        file: _File | None = None,
        places: Mapping[str, tuple[int, int]] | None = None,
    ) -> None:
        self.rows = rows
        self._schema = schema
        self._table = table
        self._file = file
        self._places = places or {}

    def read(self, names: Sequence[str] | None = None) -> Any:
        """Return a table of these columns, or of all; the others are not read."""
        names = self._schema.names if names is None else names
        if self._table is not None:
            return self._table.select(names)
        schema = pyarrow.schema([self._schema.field(name) for name in names])
        return pyarrow.table([self._column(name) for name in names], schema=schema)

    def _column(self, name: str) -> Any:
        assert self._file is not None
        data = pyarrow.py_buffer(self._file.read(*self._places[name]))
        return pyarrow.ipc.read_record_batch(data, pyarrow.schema([self._schema.field(name)])).column(0)


class Spool:
    """Rows in blocks, by the number of their series.

    Args:
        schema: of the rows.
        memory_bytes: so many stay in memory.
    """

    def __init__(self, schema: Any, memory_bytes: int | None = None) -> None:
        self.schema = schema
        self._memory_bytes = MEMORY_BYTES if memory_bytes is None else memory_bytes
        self._bytes = 0
        self._waiting: dict[int, list[Any]] = {}
        self._blocks: dict[int, list[Block]] = {}
        self._file: _File | None = None

    def add(self, table: Any, series: int = 0) -> None:
        """Add rows behind the others of their series.

        Raises:
            PaperTradingError: the disk is full.
        """
        if table.num_rows:
            self._waiting.setdefault(series, []).append(table)
            self._bytes += table.nbytes
            if self._bytes > self._memory_bytes:
                self._write()

    def blocks(self, series: int = 0) -> list[Block]:
        """Return the rows of a series so far, in the order in which they came."""
        in_memory = [Block(table.num_rows, self.schema, table) for table in _joined(self._waiting.get(series))]
        return [*self._blocks.get(series, ()), *in_memory]

    def _write(self) -> None:
        self._file = self._file or _File()
        for series, tables in self._waiting.items():
            blocks = self._blocks.setdefault(series, [])
            blocks += [self._written(table, self._file) for table in _joined(tables)]
        self._waiting.clear()
        self._bytes = 0

    def _written(self, table: Any, file: _File) -> Block:
        places = {}
        for name in self.schema.names:
            schema = pyarrow.schema([self.schema.field(name)])
            batch = pyarrow.record_batch([table[name].chunk(0)], schema=schema)
            places[name] = file.append(batch.serialize())
        return Block(table.num_rows, self.schema, None, file, places)


def _joined(tables: Sequence[Any] | None) -> Iterator[Any]:
    """Yield successive tables as tables of one chunk."""
    if tables:
        table = pyarrow.concat_tables(tables)
        for first in range(0, table.num_rows, BLOCK_ROWS):
            yield table.slice(first, BLOCK_ROWS).combine_chunks()


def of_equal_size(tables: Iterable[Any]) -> Iterator[Any]:
    """Yield the rows of tables again in tables of `BLOCK_ROWS` each; the last one has the rest."""
    held: list[Any] = []
    for table in tables:
        held.append(table)
        if sum(one.num_rows for one in held) >= BLOCK_ROWS:
            joined = pyarrow.concat_tables(held)
            full = joined.num_rows // BLOCK_ROWS * BLOCK_ROWS
            yield from (joined.slice(first, BLOCK_ROWS) for first in range(0, full, BLOCK_ROWS))
            held = [joined.slice(full)] if full < joined.num_rows else []
    if held:
        yield pyarrow.concat_tables(held)
