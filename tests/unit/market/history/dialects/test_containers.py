"""The dialects in the containers in which tools write them: feather, Parquet, JSON, zip, gzip."""

from __future__ import annotations

import gzip
import json
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow
import pytest
from pyarrow import feather, parquet

from tests.support.history.dialect_files import FOLDER, changes, contents, read_file

BEGIN = datetime(2024, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
TIMES = [BEGIN, BEGIN + HOUR]
CANDLES = {
    "open": [42314.0, 42503.4],
    "high": [42603.2, 42830.0],
    "low": [42289.6, 42450.1],
    "close": [42503.5, 0.1 + 0.2],
    "volume": [8196.777, 9550.001],
}
CANDLES["low"][1] = 0.25
EXPECTED = (
    "BTC/USDT: 2 from 2024-01-01T00:00:00Z to 2024-01-01T01:00:00Z",
    "42314 42603.2 42289.6 42503.5 8196.777, last 0.30000000000000004",
)


def frame(unit: str = "ms", name: str = "date", zone: str | None = "UTC") -> pyarrow.Table:
    """Return the table that pandas writes."""
    times = TIMES if zone else [time.replace(tzinfo=None) for time in TIMES]
    return pyarrow.table({name: pyarrow.array(times, pyarrow.timestamp(unit, zone)), **CANDLES})


def as_feather(path: Path) -> None:
    feather.write_feather(frame(), str(path), compression="lz4")


def as_parquet(path: Path) -> None:
    parquet.write_table(frame("ns"), path)


def rows() -> list[list[float]]:
    return [
        [int(time.timestamp() * 1000), *(column[row] for column in CANDLES.values())] for row, time in enumerate(TIMES)
    ]


def as_json(path: Path) -> None:
    path.write_text(json.dumps(rows()), encoding="utf-8")


def as_json_gz(path: Path) -> None:
    path.write_bytes(gzip.compress(json.dumps(rows()).encode()))


@pytest.mark.parametrize(
    ("suffix", "write"),
    [("feather", as_feather), ("parquet", as_parquet), ("json", as_json), ("json.gz", as_json_gz)],
)
@pytest.mark.parametrize(
    ("name", "symbol"), [("BTC_USDT-1h", "BTC/USDT"), ("BTC_USDT_USDT-1h-futures", "BTC/USDT:USDT")]
)
def test_freqtrades_candles(tmp_path: Path, suffix: str, write: Callable[[Path], None], name: str, symbol: str) -> None:
    path = tmp_path / f"{name}.{suffix}"
    write(path)
    reading, read = read_file(path)
    assert ("freqtrade", "1h") == (reading.dialect, str(reading.timeframe))
    assert tuple(line.replace("BTC/USDT:", f"{symbol}:") for line in EXPECTED) == contents(read)
    assert () == changes(read)


@pytest.mark.parametrize("name", ["__index_level_0__", "timestamp", "Date"])
@pytest.mark.parametrize(("unit", "zone"), [("ns", None), ("us", "UTC"), ("ms", "America/New_York"), ("s", None)])
def test_frames_of_pandas(tmp_path: Path, name: str, unit: str, zone: str | None) -> None:
    path = tmp_path / "BTC-USDT.parquet"
    parquet.write_table(frame(unit, name, zone), path)
    assert contents(read_file(path)[1]) == EXPECTED


def test_a_table_of_yfinance_with_two_symbols(tmp_path: Path) -> None:
    """pandas names the columns of a frame with two levels by tuples."""
    path = tmp_path / "shares.parquet"
    table = {"Date": pyarrow.array(TIMES, pyarrow.timestamp("ns", "UTC"))}
    for factor, ticker in ((1, "AAPL"), (2, "MSFT")):
        for field in ("Close", "High", "Low", "Open", "Volume"):
            table[f"('{field}', '{ticker}')"] = pyarrow.array([factor * value for value in CANDLES[field.lower()]])
    parquet.write_table(pyarrow.table(table), path)
    reading, read = read_file(path)
    assert "yfinance" == reading.dialect
    assert ["AAPL", "MSFT"] == [bars.symbol for bars in read.bars]
    assert "84628 85206.4 84579.2 85007 16393.554, last 0.6000000000000001" == contents(read)[3]


@pytest.mark.parametrize("name", ["BTCUSDT-1h-2024-01.csv", "DAT_ASCII_EURUSD_M1_2012.csv", "EURUSD_H1.csv"])
def test_zipped_and_compressed_files_are_read_as_they_are(tmp_path: Path, name: str) -> None:
    packed, compressed = tmp_path / f"{Path(name).stem}.zip", tmp_path / f"{name}.gz"
    with zipfile.ZipFile(packed, "w") as archive:
        archive.write(FOLDER / name, name)
    compressed.write_bytes(gzip.compress((FOLDER / name).read_bytes()))
    assert [contents(read_file(FOLDER / name)[1])] * 2 == [
        contents(read_file(path)[1]) for path in (packed, compressed)
    ]


def test_an_archive_says_the_symbol_where_its_file_does_not(tmp_path: Path) -> None:
    path = tmp_path / "BTCUSDT-1h.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("data.csv", "time,close\n1704067200,5\n")
    reading, read = read_file(path)
    assert ("BTC/USDT", "1h") == (read.bars[0].symbol, str(reading.timeframe))


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "latin-1"])
def test_encodings_and_line_ends_do_not_matter(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "BTC-EUR.csv"
    text = (FOLDER / "BTC-EUR.csv").read_text(encoding="utf-8").replace("\n", "\r\n")
    path.write_bytes(text.encode(encoding))
    assert contents(read_file(FOLDER / "BTC-EUR.csv")[1]) == contents(read_file(path)[1])
