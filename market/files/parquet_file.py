"""A Parquet file as lines of text, as a CSV file would hold them. Importing this needs pyarrow."""

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
from market.files.parsing import EPOCH, refuse

BATCH = 4096
"""So many rows of a row group are in memory as text at a time."""

_Write: TypeAlias = Callable[[Any], Iterable[str]]


def lines(path: Path, known: Collection[str]) -> Generator[tuple[str, Sequence[str]], None, None]:
    """Yield the header and each row, with a place such as ``row 3``; of the columns, those ``known`` in lower case.

    Numbers are written exactly, a float with the fewest digits that are that float, a time in UTC to the microsecond.

    Raises:
        SettingsError: the file cannot be read, or is no Parquet.
    """
    try:
        with path.open("rb") as file:
            yield from _lines(path, pyarrow.parquet.ParquetFile(file), known)
    except FileNotFoundError:
        refuse(path, "there is no such file")
    except (pyarrow.ArrowException, OSError, ValueError, OverflowError) as error:
        # That a page is damaged pyarrow says by an OSError, too, but one that has no strerror; text that is no UTF-8
        # and dates after 9999 are Python's own errors.
        reason = getattr(error, "strerror", None) or (str(error).splitlines() or [type(error).__name__])[0]
        refuse(path, f"it cannot be read: {reason}")


def _lines(path: Path, file: Any, known: Collection[str]) -> Generator[tuple[str, Sequence[str]], None, None]:
    fields = [field for field in file.schema_arrow if field.name.strip().lower() in known]
    yield "", [field.name for field in fields]
    writers = [_writer(path, field) for field in fields]
    numbers = count(1)
    for batch in file.iter_batches(BATCH, columns=[field.name for field in fields], use_threads=False):
        columns = [write(column) for write, column in zip(writers, batch.columns, strict=True)]
        for cells in zip(*columns, strict=True):
            yield f"row {next(numbers)}", cells


def _writer(path: Path, field: Any) -> _Write:
    """Return what writes the field's columns."""
    held = field.type.value_type if types.is_dictionary(field.type) else field.type
    for fits, write in _WRITERS:
        if fits(held):
            return write
    return refuse(path, f"the column {field.name} holds {field.type}, it must hold numbers, text or times")


def _by(write: Callable[[Any], str]) -> _Write:
    return lambda column: ["" if cell is None else write(cell) for cell in column.to_pylist()]


def _moments(column: Any) -> Iterable[str]:
    # A zoned timestamp counts from 1970 in UTC as well, so no zone has to be known. Only nanoseconds may lose digits,
    # as they do in the text of a CSV file; a coarser unit that does not fit is an error.
    micro = column.cast(pyarrow.timestamp("us", column.type.tz), safe=column.type.unit != "ns").cast(pyarrow.int64())
    return _by(_moment)(micro)


def _moment(microseconds: int) -> str:
    try:
        return (EPOCH + timedelta(microseconds=microseconds)).isoformat()
    except OverflowError:
        return f"{microseconds} µs"  # no time that anybody can read, so the row will be refused


def _short_floats(column: Any) -> Iterable[str]:
    # As Python floats they would be of double precision, 0.10000000149011612 in place of 0.1.
    return _by(str)(column.cast(pyarrow.string()))


_WRITERS: tuple[tuple[Callable[[Any], bool], _Write], ...] = (
    (types.is_timestamp, _moments),
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
