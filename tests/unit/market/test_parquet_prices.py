"""Parquet files: the differences from CSV files with the same columns."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from domain.errors import SettingsError
from domain.types import Symbol
from market.files.file_source import PriceFile
from market.files.parsing import Row

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
SECONDS = [1769860800, 1769864400]  # noon and one o'clock


def write_file(folder: Path, columns: Mapping[str, Any], name: str = "BTC_USDT-1h.parquet", **options: Any) -> Path:
    path = folder / name
    parquet.write_table(pa.table(dict(columns)), path, **options)
    return path


def bars(folder: Path, **columns: Any) -> Path:
    return write_file(folder, {"time": SECONDS, "close": [1, 2]} | columns)


def rows(path: Path) -> list[Row]:
    return list(PriceFile(path).rows())


def refusal(path: Path) -> str:
    with pytest.raises(SettingsError) as caught:
        PriceFile(path)
    start = f"prices = {path}"
    assert str(caught.value).startswith(start)
    return str(caught.value).removeprefix(start)


def test_a_file_of_bars(tmp_path: Path) -> None:
    path = write_file(
        tmp_path,
        {
            "Timestamp": pa.array([NOON, NOON + HOUR], pa.timestamp("ms", "UTC")),
            "Open": [100.0, 105.5],
            "High": [110.0, 120.0],
            "Low": [90.0, 105.5],
            "Close": [105.5, 110.85],
            "Volume": [1.5, None],
            "trades": [[1], [2, 3]],
        },
    )
    btc = Symbol("BTC/USDT")
    assert rows(path) == [
        Row(NOON + HOUR, btc, Decimal("105.5"), None, None, Decimal("1.5")),
        Row(NOON + 2 * HOUR, btc, Decimal("110.85"), None, None, None),
    ]


def test_a_file_of_prices(tmp_path: Path) -> None:
    columns = {"time": SECONDS, "symbol": ["A", "B/EUR"], "price": [1, None], "bid": [None, 2.5], "ask": [None, 2.6]}
    assert rows(write_file(tmp_path, columns, "quotes.PQ")) == [
        Row(NOON, Symbol("A"), Decimal(1), None, None, None),
        Row(NOON + HOUR, Symbol("B/EUR"), Decimal("2.55"), Decimal("2.5"), Decimal("2.6"), None),
    ]


def test_sizes_at_bid_and_ask(tmp_path: Path) -> None:
    columns = {
        "time": SECONDS, "symbol": ["A", "A"], "price": [0.5, 0.5], "bid": [0.9, None], "ask": [0.92, 0.92],
        "Bid_Size": pa.array([1500.5, None], pa.float32()), "ASK_SIZE": pa.array([12, None], pa.int64()),
    }  # fmt: skip
    price, bid, ask = Decimal("0.5"), Decimal("0.9"), Decimal("0.92")
    assert [
        Row(NOON, Symbol("A"), price, bid, ask, bid_size=Decimal("1500.5"), ask_size=Decimal(12)),
        Row(NOON + HOUR, Symbol("A"), price, ask=ask),
    ] == rows(write_file(tmp_path, columns))


def test_a_wrong_size_is_refused(tmp_path: Path) -> None:
    columns = {"time": SECONDS, "symbol": ["A", "A"], "price": [1, 1], "ask": [1, 1], "ask_size": [3, 0]}
    assert ", row 2: ask_size is '0'; it must be above 0 and below 1e20" == refusal(write_file(tmp_path, columns))


@pytest.mark.parametrize(
    ("type_", "value", "price"),
    [
        (pa.decimal128(38, 18), Decimal("110485.123456789012345678"), "110485.123456789012345678"),
        (pa.decimal256(60, 30), Decimal("1e-18"), "1e-18"),  # the zeros behind it do not count
        (pa.float64(), 0.1 + 0.2, "0.30000000000000004"),
        (pa.float64(), 1e-7, "1e-7"),
        (pa.float32(), 0.1, "0.1"),
        (pa.float32(), 110485.85, "110485.85"),
        (pa.int64(), 10**18, "1e18"),
        (pa.uint8(), 7, "7"),
        (pa.string(), " 110485.850 ", "110485.85"),
        (pa.large_string(), "7.1", "7.1"),
        (pa.string_view(), "7.1", "7.1"),
        (pa.dictionary(pa.int8(), pa.string()), "7.1", "7.1"),
    ],
)
def test_numbers_are_exact(tmp_path: Path, type_: pa.DataType, value: object, price: str) -> None:
    path = bars(tmp_path, close=pa.array([value, value], type_))
    assert [row.price for row in rows(path)] == [Decimal(price)] * 2


NAIVE = NOON.replace(tzinfo=None)


@pytest.mark.parametrize(
    ("type_", "values"),
    [
        (pa.timestamp("s", "UTC"), [NOON, NOON + HOUR]),
        (pa.timestamp("ms", "Asia/Tokyo"), [NOON, NOON + HOUR]),
        (pa.timestamp("us", "+02:00"), [NOON, NOON + HOUR]),
        (pa.timestamp("us"), [NAIVE, NAIVE + HOUR]),
        (pa.timestamp("ns"), [second * 10**9 + 999 for second in SECONDS]),
        (pa.int64(), SECONDS),
        (pa.int64(), [second * 1000 for second in SECONDS]),
        (pa.float64(), SECONDS),
        (pa.string(), ["2026-01-31 12:00:00", "2026-01-31T14:00:00+01:00"]),
    ],
)
def test_times_of_every_type(tmp_path: Path, type_: pa.DataType, values: Sequence[object]) -> None:
    path = bars(tmp_path, time=pa.array(values, type_))
    assert [row.time for row in rows(path)] == [NOON + HOUR, NOON + 2 * HOUR]


def test_a_date_is_its_midnight(tmp_path: Path) -> None:
    path = bars(tmp_path, time=pa.array([date(2026, 1, 29), date(2026, 1, 30)], pa.date32()))
    assert [row.time.isoformat() for row in rows(path)] == ["2026-01-30T00:00:00+00:00", "2026-01-31T00:00:00+00:00"]


def test_a_close_time_and_a_timeframe(tmp_path: Path) -> None:
    times = pa.array([None, NOON + HOUR + timedelta(seconds=59.999)], pa.timestamp("us", "UTC"))
    path = bars(tmp_path, close_time=times, timeframe=["15m", "1h"])
    assert [row.time - NOON for row in rows(path)] == [timedelta(minutes=15), timedelta(seconds=3659.999)]


def test_row_groups_are_read_one_after_the_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("market.files.parquet_file.BATCH_ROWS", 2)
    path = write_file(tmp_path, {"time": range(1, 8), "close": range(1, 8)}, row_group_size=3)
    assert parquet.ParquetFile(path).num_row_groups == 3
    assert [(row.time.timestamp(), row.price) for row in rows(path)] == [(n + 1, n) for n in range(1, 8)]
    write_file(tmp_path, {"time": range(1, 8), "close": [1, 2, 3, 4, 5, 0, 7]}, row_group_size=3)
    assert refusal(path) == ", row 6: close is '0'; it must be above 0 and below 1e20"


def test_a_batch_is_read_when_the_one_before_is_used_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("market.files.parquet_file.BATCH_ROWS", 2)
    columns = {"time": range(1, 8), "symbol": ["A"] * 7, "price": range(1, 8)}
    file = PriceFile(write_file(tmp_path, columns, row_group_size=3))
    taken: list[int] = []
    original = parquet.ParquetFile.iter_batches

    def counted(self: parquet.ParquetFile, *args: Any, **options: Any) -> Any:
        for batch in original(self, *args, **options):
            taken.append(batch.num_rows)
            yield batch

    monkeypatch.setattr(parquet.ParquetFile, "iter_batches", counted)
    rows = file.rows()
    assert [next(rows).price, taken] == [1, [2]]
    rows.close()


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"close": [1.0, float("nan")]}, ", row 2: close is 'nan'; it must be a number such as 110485.85"),
        ({"close": [1.0, float("inf")]}, ", row 2: close is 'inf'; it must be a number such as 110485.85"),
        (
            {"close": pa.array([1, float("nan")], pa.float32())},
            ", row 2: close is 'nan'; it must be a number such as 110485.85",
        ),
        ({"close": [1.0, None]}, ", row 2: close is empty"),
        ({"close": pa.nulls(2)}, ", row 1: close is empty"),
        ({"close": [1.0, 1e20]}, ", row 2: close is '1e+20'; it must be above 0 and below 1e20"),
        ({"close": [1.0, 1e-19]}, ", row 2: close is '1e-19'; it may have at most 18 decimals"),
        ({"low": [1, 3]}, ", row 2: low 3 is above close 2"),
        ({"volume": [1, -1]}, ", row 2: volume is '-1'; it must be at least 0 and below 1e20"),
        ({"close": [True, True]}, ": the column close holds bool; it must hold numbers, text or times"),
        ({"symbol": [b"A", b"B"]}, ": the column symbol holds binary; it must hold numbers, text or times"),
        ({"price": [1, 1]}, ": the header names price and close; it must name price for prices or close for bars"),
        ({"Close": [1, 1]}, ": the header names close twice"),
        (
            {"time": pa.array([NOON, None], pa.timestamp("us", "UTC"))},
            ", row 2: time is ''; it must be one such as 2026-01-31T12:00:00Z or unix seconds",
        ),
        (
            {"time": pa.array([10**18] * 2, pa.timestamp("us"))},
            f", row 1: time is '{10**18} µs'; it must be one such as 2026-01-31T12:00:00Z or unix seconds",
        ),
        (
            {"time": pa.array([NOON + HOUR, NOON])},
            ", row 2: time goes back from 2026-01-31T13:00:00+00:00 to 2026-01-31T12:00:00+00:00",
        ),
    ],
)
def test_an_invalid_file_is_refused_with_its_row(tmp_path: Path, columns: Mapping[str, Any], message: str) -> None:
    assert refusal(bars(tmp_path, **columns)) == message


def test_a_file_without_rows_and_one_without_the_columns(tmp_path: Path) -> None:
    empty = {"time": pa.array([], pa.int64()), "close": pa.array([], pa.float64())}
    assert refusal(write_file(tmp_path, empty)) == ": it has a header but no prices"
    lacks = "the header must name time, symbol and price, and lacks time, symbol, price"
    assert refusal(write_file(tmp_path, {"x": [1]})) == f": {lacks}"
    lone = "BTC/USDT has only one bar; add a column timeframe, such as 1h, or close_time"
    assert refusal(write_file(tmp_path, {"time": [1], "close": [1]})) == f": {lone}"


def test_a_file_whose_name_is_no_symbol(tmp_path: Path) -> None:
    path = write_file(tmp_path, {"time": SECONDS, "close": [1, 2]}, "prices.parquet")
    message = "the header must name symbol, or the file be named for it, such as BTC-USDT or BTC_USDT-1h"
    assert refusal(path) == f": {message}"


def test_an_unreadable_file_is_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path / "none.parquet") == ": there is no such file"
    (tmp_path / "folder.parquet").mkdir()
    assert refusal(tmp_path / "folder.parquet") == ": it cannot be read: Is a directory"
    path = tmp_path / "text.parquet"
    path.write_text("time,close\n1,1\n2,1\n")
    assert refusal(path).startswith(": it cannot be read: Parquet magic bytes not found")
    path.write_bytes(b"")
    assert refusal(path).startswith(": it cannot be read: ")


def test_a_damaged_page_and_broken_text_are_refused(tmp_path: Path) -> None:
    path = bars(tmp_path, symbol=["AAAA", "BBBB"])
    content = path.read_bytes()
    path.write_bytes(content[:4] + bytes(100) + content[104:])
    assert refusal(path).startswith(": it cannot be read: ")
    path = bars(tmp_path, symbol=pa.array([b"\xff", b"A"]).cast(pa.string(), safe=False))
    assert refusal(path).startswith(": it cannot be read: 'utf-8' codec can't decode")
    long_ago = bars(tmp_path, time=pa.array([10**7] * 2, pa.int32()).cast(pa.date32()))
    assert refusal(long_ago).startswith(": it cannot be read: ")


def test_without_pyarrow_the_message_says_how_to_install_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = bars(tmp_path)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.delitem(sys.modules, "market.files.parquet_file", raising=False)
    message = "a Parquet file needs pyarrow, which is not installed: pip install 'pyarrow>=16'"
    assert f": {message}" == refusal(path)


def test_without_pyarrow_a_wrong_path_is_reported_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.delitem(sys.modules, "market.files.parquet_file", raising=False)
    assert ": there is no such file" == refusal(tmp_path / "none.parquet")
    assert ": there is no such file" == refusal(tmp_path / "none.pq")
    (tmp_path / "folder.parquet").mkdir()
    assert ": it cannot be read: Is a directory" == refusal(tmp_path / "folder.parquet")
    (tmp_path / "file").touch()
    assert ": it cannot be read: Not a directory" == refusal(tmp_path / "file" / "none.parquet")


@pytest.mark.parametrize("name", ["nul\0.csv", "nul\0.parquet"])
def test_a_path_that_no_file_can_have_is_refused(tmp_path: Path, name: str) -> None:
    assert ": it cannot be read: embedded null byte" == refusal(tmp_path / name)
