"""Parquet and feather files become columns of text."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path
from struct import pack
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import feather, parquet

from market.history.containers import arrow_tables
from market.history.containers.ipc_sizes import batch_sizes
from market.history.containers.raw_table import ReadLimits
from market.history.containers.reading import read_tables
from market.history.containers.refusal import RefusedFile
from tests.support.raw_tables import refusal, rows_of, table_in, write

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


def write_parquet(table: Any, path: Path, **options: Any) -> None:
    parquet.write_table(table, path, **options)


def write_lz4(table: Any, path: Path) -> None:
    feather.write_feather(table, path, compression="lz4")


def write_zstd(table: Any, path: Path) -> None:
    feather.write_feather(table, path, compression="zstd")


def write_uncompressed(table: Any, path: Path) -> None:
    feather.write_feather(table, path, compression="uncompressed")


FORMATS = [write_parquet, write_lz4, write_zstd, write_uncompressed]
IPC = [write_lz4, write_zstd, write_uncompressed]
Writer = Callable[[Any, Path], None]


def written(folder: Path, columns: Mapping[str, Any], writer: Writer = write_parquet) -> Path:
    path = folder / "prices"
    writer(pa.table(dict(columns)), path)
    return path


def cells(folder: Path, column: Any, writer: Writer = write_parquet) -> list[str]:
    table = table_in(written(folder, {"x": column}, writer))
    assert table.names == ("x",)
    return [row[0] for row in rows_of(table)]


@pytest.mark.parametrize("writer", FORMATS)
def test_a_table(tmp_path: Path, writer: Writer) -> None:
    table = table_in(
        written(
            tmp_path,
            {
                " date ": pa.array([NOON, None], pa.timestamp("ms", "UTC")),
                "open": [0.1, 1.0310000106983352e-05],
                "volume": pa.array([None, 2**53 + 1], pa.int64()),
                "symbol": ["BTC/USDT", " É "],
            },
            writer,
        )
    )
    assert ("date", "open", "volume", "symbol") == table.names
    assert [
        ("2026-01-31 12:00:00Z", "0.1", "", "BTC/USDT"),
        ("", "0.000010310000106983352", "9007199254740993", "É"),
    ] == (rows_of(table))
    assert (False, 1, "row 2", None, 0) == (table.is_text, table.first_line, table.place(1), table.member, table.part)


@pytest.mark.parametrize("writer", FORMATS)
def test_a_float_is_the_shortest_text_that_identifies_it(tmp_path: Path, writer: Writer) -> None:
    doubles = [0.1, 1e-7, 100.0, 1e22, 123456789.123, -0.5, math.nan, math.inf]
    texts = cells(tmp_path, pa.array(doubles), writer)
    assert ["0.1", "1e-7", "100", "1e+22", "123456789.123", "-0.5", "nan", "inf"] == texts
    assert ["0.1", "16777216"] == cells(tmp_path, pa.array([0.1, 16777216.0], pa.float32()), writer)
    assert ["0.1", "", "nan"] == cells(tmp_path, pa.array([np.float16(0.1), None, np.float16("nan")], pa.float16()))


def test_the_text_of_each_type(tmp_path: Path) -> None:
    assert ["1.50", "-0.01"] == cells(tmp_path, pa.array([Decimal("1.5"), Decimal("-0.01")], pa.decimal128(10, 2)))
    (tiny,) = cells(tmp_path, pa.array([Decimal("1e-18")], pa.decimal128(38, 18)))
    assert Decimal(tiny) == Decimal("1e-18")
    assert ["2026-01-31", ""] == cells(tmp_path, pa.array([date(2026, 1, 31), None]))
    assert ["12:30:00.000"] == cells(tmp_path, pa.array([time(12, 30)], pa.time32("s")))
    assert ["true", "false"] == cells(tmp_path, pa.array([True, False]))
    assert ["", ""] == cells(tmp_path, pa.nulls(2))
    assert ["a", "b", ""] == cells(tmp_path, pa.array(["a", "b", None]).dictionary_encode())
    assert ["a"] == cells(tmp_path, pa.array(["a"], pa.large_string()))
    assert ["18446744073709551615"] == cells(tmp_path, pa.array([2**64 - 1], pa.uint64()))


@pytest.mark.parametrize("writer", FORMATS)
def test_timestamps_are_in_utc(tmp_path: Path, writer: Writer) -> None:
    count = 1769860800
    for zone in (None, "UTC", "America/New_York", "+02:00"):
        for unit, factor in (("s", 1), ("ms", 1_000), ("us", 1_000_000), ("ns", 1_000_000_000)):
            column = pa.array([count * factor, None], pa.timestamp(unit, zone))
            assert ["2026-01-31 12:00:00Z", ""] == cells(tmp_path, column, writer)
    column = pa.array([count * 10**9 + 1_500_000, count * 10**9], pa.timestamp("ns"))
    assert ["2026-01-31 12:00:00.001500Z", "2026-01-31 12:00:00.000000Z"] == cells(tmp_path, column, writer)
    assert ["2026-01-31 12:00:00.000000001Z"] == cells(
        tmp_path, pa.array([count * 10**9 + 1], pa.timestamp("ns", "UTC")), writer
    )


@pytest.mark.parametrize("named", [True, False])
def test_an_index_of_pandas_is_a_column(tmp_path: Path, named: bool) -> None:
    # As pandas writes it: the index comes last, and its metadata names it.
    name = "Date" if named else "__index_level_0__"
    path = written(tmp_path, {"Close": [1.5], name: pa.array([NOON], pa.timestamp("ns"))})
    table = table_in(path)
    assert (("Close", name), [("1.5", "2026-01-31 12:00:00Z")]) == (table.names, rows_of(table))


@pytest.mark.parametrize("writer", FORMATS)
def test_columns_that_are_no_cells_are_left_out(tmp_path: Path, writer: Writer) -> None:
    columns = {"a": [[1]], "time": [1], "b": [{"c": 1}], "d": [b"x"], "close": [2]}
    assert ("time", "close") == table_in(written(tmp_path, columns, writer)).names
    columns = {"a": [[1]]}
    assert ": none of its columns holds numbers, text or times" == refusal(written(tmp_path, columns, writer))


@pytest.mark.parametrize("writer", FORMATS)
def test_a_table_without_rows(tmp_path: Path, writer: Writer) -> None:
    table = table_in(written(tmp_path, {"time": pa.array([], pa.int64()), "close": pa.array([], pa.float64())}, writer))
    assert (("time", "close"), 0) == (table.names, table.rows)


@pytest.mark.parametrize("writer", FORMATS)
def test_a_long_file_comes_in_parts(tmp_path: Path, writer: Writer) -> None:
    numbers = np.arange(200_000)
    path = written(tmp_path, {"time": numbers, "close": numbers / 4}, writer)
    parts = list(read_tables(path, ReadLimits(part_bytes=1 << 20)))
    assert len(parts) > 1
    assert list(range(len(parts))) == [part.part for part in parts]
    assert list(map(str, numbers)) == [cell for part in parts for cell in part.columns[0].to_pylist()]
    assert [1] + [part.line(part.rows - 1) + 1 for part in parts[:-1]] == [part.first_line for part in parts]


@pytest.mark.parametrize("writer", FORMATS)
def test_a_damaged_file(tmp_path: Path, writer: Writer) -> None:
    path = written(tmp_path, {"time": np.arange(1000), "close": np.arange(1000) / 7}, writer)
    content = path.read_bytes()
    kind = "Parquet" if writer is write_parquet else "feather"
    for size in (8, 12, 100, len(content) // 2):
        path.write_bytes(content[:size])
        assert refusal(path).startswith(f": it is not a valid {kind} file: "), size


@pytest.mark.parametrize("writer", FORMATS)
def test_a_file_with_other_bytes_is_refused_or_read_but_never_fails(tmp_path: Path, writer: Writer) -> None:
    path = written(tmp_path, {"time": np.arange(300), "close": np.arange(300) / 7}, writer)
    content = path.read_bytes()
    random = np.random.default_rng(7)
    for _ in range(60):
        changed = bytearray(content)
        for place in random.integers(6, len(content), 3):
            changed[place] = random.integers(256)
        path.write_bytes(changed)
        try:
            list(read_tables(path))
        except RefusedFile as error:
            assert error.reason


def test_text_must_be_utf_8(tmp_path: Path) -> None:
    path = written(tmp_path, {"symbol": pa.array([b"\xff", b"A"]).cast(pa.string(), safe=False)})
    assert refusal(path).startswith(": it is not a valid Parquet file: Invalid UTF8")


@pytest.mark.parametrize("writer", FORMATS)
def test_limits(tmp_path: Path, writer: Writer) -> None:
    start = ", row 2: a cell has 32 768 characters; at most 1 000 are possible: '777"
    assert refusal(written(tmp_path, {"a": ["1", "7" * 32768]}, writer)).startswith(start)
    assert ["é" * 1000] == cells(tmp_path, pa.array(["é" * 1000]), writer)
    path = written(tmp_path, {str(number): [1] for number in range(101)}, writer)
    assert ": it has 101 columns; at most 100 are possible" == refusal(path)
    path = written(tmp_path, {"a": [1, 2, 3]}, writer)
    assert ": it has more than 2 rows; split it" == refusal(path, ReadLimits(max_rows=2))


def test_a_parquet_file_that_unpacks_to_too_much(tmp_path: Path) -> None:
    path = written(tmp_path, {"a": np.arange(100_000)})
    assert refusal(path, ReadLimits(max_unpacked_bytes=500_000)).endswith("; at most 488 kB are possible")


@pytest.mark.parametrize("writer", IPC)
def test_the_sizes_of_batches_are_known_before_they_are_unpacked(tmp_path: Path, writer: Writer) -> None:
    numbers = np.zeros(100_000, np.int64)
    path = written(tmp_path, {"a": numbers, "b": pa.array(["x"] * 100_000).dictionary_encode()}, writer)
    with path.open("rb") as file:
        sizes = list(batch_sizes(file, path.stat().st_size))
    assert [65536, 34464] == [batch.rows for batch in sizes if batch.rows > 1]
    assert sum(batch.size for batch in sizes) == pytest.approx(100_000 * 12, rel=0.01)


@pytest.mark.parametrize("writer", [write_lz4, write_zstd])
def test_a_feather_bomb_is_refused_before_it_is_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, writer: Writer
) -> None:
    monkeypatch.setattr(arrow_tables, "MAX_BATCH_BYTES", 500_000)
    path = written(tmp_path, {"a": np.zeros(65536, np.int64)}, writer)
    assert path.stat().st_size < 10_000
    assert ": one of its batches unpacks to 512 kB; at most 488 kB are possible" == refusal(path)


def test_impossible_lengths_in_a_feather_file(tmp_path: Path) -> None:
    start = ": it is not a valid feather file: "
    magic = b"ARROW1\0\0"
    for content, reason in (
        (magic, "it is cut off"),
        (magic + pack("<Ii", 1, 8), "a message does not begin as it must"),
        (magic + pack("<Ii", 0xFFFFFFFF, -1), "a message has an impossible length"),
        (magic + pack("<Ii", 0xFFFFFFFF, 1 << 30), "a message has an impossible length"),
        (magic + pack("<Ii", 0xFFFFFFFF, 8) + b"1234", "it is cut off"),
        (magic + pack("<Ii", 0xFFFFFFFF, 8) + b"\xff" * 8, "a message is invalid"),
    ):
        assert start + reason == refusal(write(tmp_path, content))
    stream = io.BytesIO()
    with pa.ipc.new_stream(stream, pa.schema([("a", pa.int64())])):
        pass
    assert refusal(write(tmp_path, stream.getvalue())).startswith(": it is binary")


def test_the_first_version_of_feather(tmp_path: Path) -> None:
    expected = (
        ": it is a feather file of version 1, as written before 2020; write it again, in Python by"
        " pandas.read_feather(OLD).to_feather(NEW)"
    )
    assert expected == refusal(write(tmp_path, b"FEA1" + bytes(100) + b"FEA1"))
