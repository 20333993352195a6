"""A Parquet file as fields of text, as in a CSV file. Importing this module needs pyarrow."""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Iterable, Sequence
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any, TypeAlias

import pyarrow
import pyarrow.parquet
from pyarrow import types

from domain.trading.arithmetic import plain
from market.files.parsing import EPOCH, refuse, refusing_unreadable

BATCH_ROWS = 4096
"""Rows of a row group that are in memory as text at a time."""

_Converter: TypeAlias = Callable[[Any], Iterable[str]]


def lines(path: Path, names: Collection[str]) -> Generator[tuple[str, Sequence[str]], None, None]:
    """Yield the header and each row, with a place such as ``row 3``; only the columns in ``names`` (lower case).

    Numbers are exact, a float has the fewest digits that identify it, and a time is in UTC, to the microsecond.

    Raises:
        SettingsError: the file cannot be read, or is not valid Parquet.
    """
    # pyarrow reports a damaged page by an OSError without strerror; text that is not UTF-8 and dates after 9999 raise
    # Python's own errors.
    with refusing_unreadable(path, pyarrow.ArrowException, OverflowError), path.open("rb") as file:
        yield from _lines(path, pyarrow.parquet.ParquetFile(file), names)


def _lines(path: Path, file: Any, names: Collection[str]) -> Generator[tuple[str, Sequence[str]], None, None]:
    fields = [field for field in file.schema_arrow if field.name.strip().lower() in names]
    yield "", [field.name for field in fields]
    converters = [_converter(path, field) for field in fields]
    numbers = count(1)
    for batch in file.iter_batches(BATCH_ROWS, columns=[field.name for field in fields], use_threads=False):
        columns = [convert(column) for convert, column in zip(converters, batch.columns, strict=True)]
        for fields_of_row in zip(*columns, strict=True):
            yield f"row {next(numbers)}", fields_of_row


def _converter(path: Path, field: Any) -> _Converter:
    """Return the function that converts the field's columns to text."""
    value_type = field.type.value_type if types.is_dictionary(field.type) else field.type
    for fits, convert in _CONVERTERS:
        if fits(value_type):
            return convert
    return refuse(path, f"the column {field.name} holds {field.type}; it must hold numbers, text or times")


def _by(convert: Callable[[Any], str]) -> _Converter:
    return lambda column: ["" if value is None else convert(value) for value in column.to_pylist()]


def _timestamps(column: Any) -> Iterable[str]:
    # A zoned timestamp counts from 1970 in UTC as well, so the zone does not matter. Only nanoseconds may lose digits,
    # as they do in the text of a CSV file; a coarser unit that does not fit is an error.
    micro = column.cast(pyarrow.timestamp("us", column.type.tz), safe=column.type.unit != "ns").cast(pyarrow.int64())
    return _by(_timestamp)(micro)


def _timestamp(microseconds: int) -> str:
    try:
        return (EPOCH + timedelta(microseconds=microseconds)).isoformat()
    except OverflowError:
        return f"{microseconds} µs"  # not a valid time, so the row will be refused


def _short_floats(column: Any) -> Iterable[str]:
    # As Python floats they would be of double precision, 0.10000000149011612 in place of 0.1.
    return _by(str)(column.cast(pyarrow.string()))


_CONVERTERS: tuple[tuple[Callable[[Any], bool], _Converter], ...] = (
    (types.is_timestamp, _timestamps),
    (types.is_float64, _by(repr)),
    (types.is_floating, _short_floats),
    (types.is_decimal, _by(plain)),
    (types.is_integer, _by(str)),
    (types.is_date, _by(str)),
    (types.is_string, _by(str)),
    (types.is_large_string, _by(str)),
    (types.is_string_view, _by(str)),
    (types.is_null, _by(str)),
)
