"""A stored series as a file that other programs read, and that this program reads back as the same series."""

from __future__ import annotations

import gzip
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy
import pyarrow
import pyarrow.parquet
from pyarrow import compute

from domain.errors import SettingsError
from domain.files.private_files import written_atomically
from market.history.candles import Candles

FORMATS = (".csv", ".csv.gz", ".parquet")
"""Endings of the names of files that can be written."""
COLUMNS = ("timestamp", "symbol", "timeframe", "open", "high", "low", "close", "volume", "close_time")
ROWS_A_BATCH = 65_536
_DECIMALS = 18


def format_of(path: Path) -> str:
    """Return the format that a file's name asks for.

    Raises:
        SettingsError: its ending is none of `FORMATS`.
    """
    for ending in FORMATS:
        if path.name.lower().endswith(ending):
            return ending
    raise SettingsError(f"{path}: the name must end with {', '.join(FORMATS[:-1])} or {FORMATS[-1]}")


def between(candles: Candles, since: datetime | None, until: datetime | None) -> Candles:
    """Return the bars that begin at ``since`` or later, and before ``until``."""
    table = candles.table
    if since is not None:
        table = table.filter(compute.greater_equal(table["begin"], pyarrow.scalar(since, table["begin"].type)))
    if until is not None:
        table = table.filter(compute.less(table["begin"], pyarrow.scalar(until, table["begin"].type)))
    return Candles(candles.symbol, candles.timeframe, table)


def export(candles: Candles, path: Path) -> None:
    """Write a series to a file that only this user may read, completely or not at all; an existing file is replaced.

    Numbers are exact. ``timestamp`` is the begin of a bar, ``close_time`` when its close was published. A value that is
    not known is empty.

    Raises:
        SettingsError: the ending of the name is none of `FORMATS`.
        PaperTradingError: the file cannot be written.
    """
    ending = format_of(path)
    with ExitStack() as stack:
        stream: BinaryIO = stack.enter_context(written_atomically(path))
        if ending == ".parquet":
            pyarrow.parquet.write_table(_named(candles), stream, compression="zstd")
            return
        if ending == ".csv.gz":
            compressed = gzip.GzipFile(filename="", mode="wb", compresslevel=6, fileobj=stream, mtime=0)
            stream = cast("BinaryIO", stack.enter_context(compressed))
        stream.write(",".join(COLUMNS).encode() + b"\n")
        for start in range(0, len(candles), ROWS_A_BATCH):
            stream.write(_lines(candles, candles.table.slice(start, ROWS_A_BATCH).combine_chunks()))


def plain_text(column: Any) -> Any:
    """Return the exact numbers of a decimal128(38, 18) array as text, without exponents or trailing zeros."""
    # The same bytes as whole numbers: their text never has an exponent, as that of small decimals has.
    integers = pyarrow.Array.from_buffers(
        pyarrow.decimal128(38, 0), len(column), column.buffers(), column.null_count, column.offset
    )
    negative = compute.less(column, pyarrow.scalar(0).cast(column.type))
    digits = compute.utf8_lpad(compute.abs(integers).cast(pyarrow.string()), _DECIMALS + 1, "0")
    before = compute.utf8_slice_codeunits(digits, 0, -_DECIMALS)
    after = compute.utf8_rtrim(compute.utf8_slice_codeunits(digits, -_DECIMALS), "0")
    text = compute.if_else(
        compute.equal(after, ""), before, compute.binary_join_element_wise(before, after, pyarrow.scalar("."))
    )
    return compute.if_else(negative, compute.binary_join_element_wise("-", text, ""), text)


def _lines(candles: Candles, table: Any) -> Any:
    """Return the bytes of the lines for a table that is one piece."""
    begin, published = (_moments(table[name].chunk(0)) for name in ("begin", "published"))
    name = pyarrow.scalar(f"{_csv_field(candles.symbol)},{candles.timeframe}")
    numbers = [compute.fill_null(plain_text(table[column].chunk(0)), "") for column in table.column_names[2:]]
    lines = compute.binary_join_element_wise(begin, name, *numbers, published, ",")
    lines = compute.binary_join_element_wise(lines, pyarrow.scalar("\n"), "")
    _, offsets, data = lines.buffers()
    last = numpy.frombuffer(offsets, dtype=numpy.int32)[lines.offset + len(lines)]
    return memoryview(data)[:last]


def _csv_field(text: str) -> str:
    return '"' + text.replace('"', '""') + '"' if any(character in text for character in ',"\r\n') else text


def _moments(column: Any) -> Any:
    """Return UTC times as ISO 8601; whole seconds have no fraction."""
    text = compute.strftime(column, "%Y-%m-%dT%H:%M:%S")  # with the fraction of the column's unit
    short = compute.replace_substring_regex(text, r"\.0+$", "")
    return compute.binary_join_element_wise(short, pyarrow.scalar("Z"), "")


def _named(candles: Candles) -> Any:
    """Return the rows as a table with `COLUMNS`."""
    begin, published, *numbers = candles.table.columns
    constants = [
        pyarrow.repeat(pyarrow.scalar(text, pyarrow.string()), len(candles))
        for text in (str(candles.symbol), str(candles.timeframe))
    ]
    return pyarrow.table([begin, *constants, *numbers, published], names=list(COLUMNS))
