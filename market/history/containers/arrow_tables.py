"""Parquet and feather files as tables of text."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any, BinaryIO

import pyarrow
import pyarrow.compute
import pyarrow.ipc
import pyarrow.parquet
from pyarrow import types

from market.history.containers.ipc_sizes import MAGIC, DamagedFile, batch_sizes
from market.history.containers.layout import refuse_cell
from market.history.containers.parts import Parts, Piece
from market.history.containers.raw_table import RawTable, ReadLimits
from market.history.containers.refusal import Source, grouped, size

BATCH_ROWS = 1 << 16
"""Rows that become text together."""
MAX_BATCH_BYTES = 1 << 30
"""A batch of a feather file is in memory at once."""

# pyarrow reports a damaged page by an OSError; dates after 9999 and invalid text raise Python's own errors.
_ERRORS = (pyarrow.ArrowException, OSError, ValueError, OverflowError, MemoryError)


def parquet_tables(file: BinaryIO, source: Source, limits: ReadLimits) -> Iterator[RawTable]:
    """Yield the parts of a Parquet file's table.

    Raises:
        RefusedFile: it is damaged, holds no text, number or time, or exceeds a limit.
    """
    with source.refusing(*_ERRORS, reason="it is not a valid Parquet file"):
        # With a buffer, a column is read piece by piece, not a row group at once.
        parquet = pyarrow.parquet.ParquetFile(file, buffer_size=1 << 20)
        metadata = parquet.metadata
        _require_columns(metadata.num_columns, source, limits)
        _require_rows(metadata.num_rows, source, limits)
        unpacked = sum(metadata.row_group(index).total_byte_size for index in range(metadata.num_row_groups))
        if unpacked > limits.max_unpacked_bytes:
            source.refuse(f"it unpacks to {size(unpacked)}; at most {size(limits.max_unpacked_bytes)} are possible")
        schema = parquet.schema_arrow
    batches = parquet.iter_batches(BATCH_ROWS, use_threads=False)
    yield from _tables(schema, batches, source, limits, "it is not a valid Parquet file")


def feather_tables(file: BinaryIO, source: Source, limits: ReadLimits) -> Iterator[RawTable]:
    """Yield the parts of a feather file's table (since 2020 feather is another name of Arrow's IPC format).

    Raises:
        RefusedFile: it is damaged, holds no text, number or time, or exceeds a limit.
    """
    reason = "it is not a valid feather file"
    file.seek(0)
    if file.read(len(MAGIC)) != MAGIC:
        # pyarrow's reader of this version is to be removed, and a damaged file ends the process.
        source.refuse(
            "it is a feather file of version 1, as written before 2020; write it again, in Python by"
            " pandas.read_feather(OLD).to_feather(NEW)"
        )
    with source.refusing(*_ERRORS, DamagedFile, reason=reason):
        schema, batches = _ipc_batches(file, source, limits)
        _require_columns(len(schema), source, limits)
    yield from _tables(schema, batches, source, limits, reason)


def _ipc_batches(file: BinaryIO, source: Source, limits: ReadLimits) -> tuple[Any, Iterator[Any]]:
    rows = 0
    for batch in batch_sizes(file, _size_of(file)):
        rows += batch.rows
        _require_rows(rows, source, limits)
        if batch.size > MAX_BATCH_BYTES:
            source.refuse(
                f"one of its batches unpacks to {size(batch.size)}; at most {size(MAX_BATCH_BYTES)} are possible"
            )
    # As a stream, not by the footer's positions: these are the batches whose sizes are known now.
    file.seek(len(MAGIC))
    reader = pyarrow.ipc.open_stream(file)
    return reader.schema, _slices(reader)


def _slices(reader: Any) -> Iterator[Any]:
    for batch in reader:
        batch.validate(full=True)  # pyarrow would follow an offset of a damaged file to anywhere
        for start in range(0, max(batch.num_rows, 1), BATCH_ROWS):
            yield batch.slice(start, BATCH_ROWS)


def _size_of(file: BinaryIO) -> int:
    return file.seek(0, os.SEEK_END)


def _require_rows(rows: int, source: Source, limits: ReadLimits) -> None:
    if rows > limits.max_rows:
        source.refuse(f"it has more than {grouped(limits.max_rows)} rows; split it")


def _require_columns(count: int, source: Source, limits: ReadLimits) -> None:
    if count > limits.max_columns:
        source.refuse(f"it has {grouped(count)} columns; at most {limits.max_columns} are possible")


def _tables(schema: Any, batches: Iterator[Any], source: Source, limits: ReadLimits, reason: str) -> Iterator[RawTable]:
    with source.refusing(*_ERRORS, reason=reason):  # a name may be no UTF-8
        indices = [index for index, field in enumerate(schema) if converter_of(field.type)]
        names = tuple(schema.field(index).name.strip() for index in indices)
    if not indices:
        source.refuse("none of its columns holds numbers, text or times")
    parts = Parts(source, names, limits, is_text=False)
    next_row = 1
    while True:
        with source.refusing(*_ERRORS, reason=reason):
            batch = next(batches, None)
            if batch is None:
                break
            columns = [_text(batch.column(index)) for index in indices]
        _require_short_cells(columns, next_row, source, limits)
        yield from parts.add(Piece(columns, next_row))
        next_row += batch.num_rows
    yield from parts.end(len(indices), next_row)


def _require_short_cells(columns: Sequence[Any], first_row: int, source: Source, limits: ReadLimits) -> None:
    for column in columns:
        lengths = pyarrow.compute.binary_length(column)
        if (pyarrow.compute.max(lengths).as_py() or 0) > limits.max_cell_characters:
            lengths = pyarrow.compute.utf8_length(column)
            too_long = pyarrow.compute.greater(lengths, limits.max_cell_characters)
            row = pyarrow.compute.index(too_long, value=True).as_py()
            if row >= 0:
                refuse_cell(column[row].as_py(), f"row {first_row + row}", source, limits)


def _text(column: Any) -> Any:
    """Return a column as strings without nulls."""
    convert = converter_of(column.type)
    assert convert is not None
    return pyarrow.compute.fill_null(convert(column), "")


def converter_of(value_type: Any) -> Callable[[Any], Any] | None:
    """Return the function that turns a column of a type into strings; None for a type that is no cell."""
    if types.is_dictionary(value_type):
        inner = converter_of(value_type.value_type)
        return None if inner is None else lambda column: inner(column.dictionary_decode())
    return next((convert for fits, convert in _CONVERTERS if any(test(value_type) for test in fits)), None)


def _cast(column: Any) -> Any:
    return column.cast(pyarrow.string())


def _valid_text(column: Any) -> Any:
    text = _cast(column)
    text.validate(full=True)
    return pyarrow.compute.utf8_trim_whitespace(text)


def _half_floats(column: Any) -> Any:
    # pyarrow would write 0.1 as 0.0999755859375.
    values = zip(column.to_numpy(zero_copy_only=False), column.is_valid().to_pylist(), strict=True)
    texts = [str(value) if is_valid else None for value, is_valid in values]
    return pyarrow.array(texts, pyarrow.string())


def _timestamps(column: Any) -> Any:
    # A zoned timestamp counts from 1970 in UTC as well, so the zone does not matter.
    times = column.cast(pyarrow.timestamp(column.type.unit, "UTC"))
    for unit in ("s", "ms", "us"):  # the shortest text that says all
        try:
            return _cast(times.cast(pyarrow.timestamp(unit, "UTC")))
        except pyarrow.ArrowInvalid:
            continue
    return _cast(times)


_CONVERTERS: tuple[tuple[tuple[Callable[[Any], bool], ...], Callable[[Any], Any]], ...] = (
    ((types.is_timestamp,), _timestamps),
    ((types.is_float16,), _half_floats),
    (
        (
            types.is_floating, types.is_decimal, types.is_integer, types.is_date, types.is_time, types.is_boolean,
            types.is_null,
        ),
        _cast,
    ),
    ((types.is_string, types.is_large_string, types.is_string_view), _valid_text),
)  # fmt: skip
