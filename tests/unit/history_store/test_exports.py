"""Exports of stored series: exact, and as text without exponents."""

from __future__ import annotations

import csv
import gzip
import stat
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import PaperTradingError, SettingsError
from domain.trading.arithmetic import plain
from market.history.storage.exporting import between, export, plain_text
from tests.support.history.candles import BEGIN, candles, closes, row

ROWS = [("110485.85", "110600", "110400", "110510.5", "12.5"), ("1", "1", "0.000000000000000001", "1.10", None)]
TEXT = """timestamp,symbol,timeframe,open,high,low,close,volume,close_time
2025-01-01T00:00:00Z,BTC/USDT,1h,110485.85,110600,110400,110510.5,12.5,2025-01-01T01:00:00Z
2025-01-01T01:00:00Z,BTC/USDT,1h,1,1,0.000000000000000001,1.1,,2025-01-01T02:00:00Z
"""


def test_a_csv_file_has_exact_numbers_and_its_own_symbol_and_timeframe(tmp_path: Path) -> None:
    export(candles(ROWS), tmp_path / "btc.csv")
    assert TEXT == (tmp_path / "btc.csv").read_text()
    export(candles(ROWS), tmp_path / "btc.csv.gz")
    assert TEXT == gzip.decompress((tmp_path / "btc.csv.gz").read_bytes()).decode()


def test_a_long_series_is_written_in_several_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("market.history.storage.exporting.ROWS_A_BATCH", 3)
    export(candles([row(str(number)) for number in range(1, 9)]), tmp_path / "btc.csv")
    with (tmp_path / "btc.csv").open() as file:
        assert [str(number) for number in range(1, 9)] == [line["close"] for line in csv.DictReader(file)]


def test_a_symbol_with_a_comma_or_quotes_is_quoted(tmp_path: Path) -> None:
    export(candles([row("1")], symbol='A,"B'), tmp_path / "x.csv")
    with (tmp_path / "x.csv").open() as file:
        assert ['A,"B'] == [line["symbol"] for line in csv.DictReader(file)]


def test_fractions_of_a_second_are_kept(tmp_path: Path) -> None:
    export(candles([row("1")], begin=BEGIN + timedelta(microseconds=250)), tmp_path / "x.csv")
    line = (tmp_path / "x.csv").read_text().splitlines()[1]
    assert line.startswith("2025-01-01T00:00:00.000250Z,")


def test_a_parquet_file_has_the_same_columns_with_decimals(tmp_path: Path) -> None:
    export(candles(ROWS), tmp_path / "btc.parquet")
    table = pyarrow.parquet.read_table(tmp_path / "btc.parquet")
    assert TEXT.splitlines()[0].split(",") == table.column_names
    assert [Decimal(110400), Decimal("1E-18")] == table["low"].to_pylist()
    assert ["BTC/USDT"] * 2 == table["symbol"].to_pylist()


def test_a_period_has_its_begin_and_not_its_end() -> None:
    series = candles([row(str(number)) for number in range(1, 6)])
    hours = [BEGIN + timedelta(hours=number) for number in (1, 3)]
    assert ["2", "3"] == closes(between(series, *hours))
    assert ["1", "2", "3", "4", "5"] == closes(between(series, None, None))


def test_an_unknown_ending_is_refused_and_a_missing_folder_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"the name must end with \.csv, \.csv\.gz or \.parquet"):
        export(candles(ROWS), tmp_path / "btc.xlsx")
    with pytest.raises(PaperTradingError, match=r"cannot write .*: No such file or directory"):
        export(candles(ROWS), tmp_path / "none" / "btc.csv")
    assert [] == list(tmp_path.iterdir())


@given(st.lists(st.none() | st.decimals(min_value=-(10**19), max_value=10**19, places=18), max_size=20))
def test_the_text_of_a_number_is_exact_and_plain(values: list[Decimal | None]) -> None:
    column = pyarrow.array(values, pyarrow.decimal128(38, 18))
    expected = [None if value is None else plain(abs(value) if value == 0 else value) for value in values]
    assert expected == plain_text(column).to_pylist()
    assert expected[1:] == plain_text(column.slice(1)).to_pylist()


@pytest.mark.parametrize("ending", [".csv", ".csv.gz", ".parquet"])
def test_an_export_is_readable_by_its_owner_alone(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"btc{ending}"
    path.touch()
    path.chmod(0o666)
    export(candles(ROWS), path)
    assert 0o600 == stat.S_IMODE(path.stat().st_mode)
