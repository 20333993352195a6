"""What a file is taken for, and what is refused because it may be two things, or none."""

from __future__ import annotations

from pathlib import Path

import pytest

from domain.errors import SettingsError
from market.history.dialects.reading import ReadOptions
from market.history.recognition.file_name import FileName
from market.history.recognition.symbols import market_symbol
from tests.support.history.dialect_files import contents, read_file


def write_file(folder: Path, text: str, name: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def refusal(path: Path, options: ReadOptions | None = None) -> str:
    with pytest.raises(SettingsError) as caught:
        read_file(path, options)
    return str(caught.value).removeprefix(f"{path}: ")


FLAT = "1704067200000,42330,42330,42330,42330,41.5\n1704070800000,42330,42330,42330,42330,41.5\n"


def test_rows_without_header_that_fit_two_dialects_are_asked_for(tmp_path: Path) -> None:
    path = write_file(tmp_path, FLAT, "BTCUSD.csv")
    assert refusal(path) == (
        "the file has no header, and its columns may be open, high, low, close or open, close, high, low: say which"
        " with --as freqtrade or --as bitfinex"
    )
    assert ["bitfinex", "freqtrade"] == [
        read_file(path, ReadOptions(dialect=dialect))[0].dialect for dialect in ("bitfinex", "freqtrade")
    ]
    assert read_file(write_file(tmp_path, FLAT, "BTC_USD-1h.csv"))[0].dialect == "freqtrade"


def test_rows_without_header_in_no_dialect_are_refused(tmp_path: Path) -> None:
    path = write_file(tmp_path, "2026-01-31,1,2,3,4\n2026-02-01,1,2,3,4\n", "BTC-USDT.csv")
    assert refusal(path) == (
        "this file has no header, and its rows are in no known dialect ('2026-01-31, 1, 2, 3, 4'); add a first line"
        " that names the columns, such as time,open,high,low,close,volume, or name the dialect with --as"
    )


def test_a_header_of_unknown_names_is_refused(tmp_path: Path) -> None:
    assert refusal(write_file(tmp_path, "foo,bar\n1,2\n", "BTC-USDT.csv")) == (
        "its first line 'foo,bar' names no column that is known; it must name the columns, such as"
        " time,open,high,low,close,volume"
    )


def test_a_dialect_that_does_not_fit_or_is_none_is_refused(tmp_path: Path) -> None:
    path = write_file(tmp_path, FLAT, "BTCUSD.csv")
    assert refusal(path, ReadOptions(dialect="kraken")) == "it is not in the dialect kraken"
    assert refusal(path, ReadOptions(dialect="krakn")).startswith("'krakn' is no dialect; they are alpaca, binance,")
    assert "did you mean kraken" in refusal(path, ReadOptions(dialect="krakn")).lower()


def test_funding_rates_are_no_prices(tmp_path: Path) -> None:
    text = "date,open,high,low,close,volume\n2024-01-01,0.1,0.1,0.1,0.1,0\n"
    path = write_file(tmp_path, text, "BTC_USDT_USDT-8h-funding_rate.csv")
    assert refusal(path) == "its name says that it holds funding rate, which are no prices"


def test_the_columns_of_a_reading_are_said(tmp_path: Path) -> None:
    text = "Date,Price,Open,High,Low\n2024-01-02,4,3,5,2\n"
    reading, _ = read_file(write_file(tmp_path, text, "BTC-USD-1d.csv"))
    assert reading.summary() == (
        "read as investing; BTC/USD: time from 'Date', open from 'Open', high from 'High', low from 'Low', close from"
        " 'Price'; timeframe 1d; Price is the close; symbol BTC/USD from the file's name"
    )


@pytest.mark.parametrize(
    ("header", "row"),
    [
        ("timestamp,date,close", "1704067200,2024-01-01,5"),
        ("date,timestamp,close", "2024-01-01,2024-01-01T00:00:00,5"),
        ("date,time,close", "2024-01-01,00:00,5"),
        ("date,timestamp,close", "20240101,00:00:00,5"),
        ("date,day,close", "2024-01-01,Monday,5"),
    ],
)
def test_two_columns_of_one_moment_are_one_time(tmp_path: Path, header: str, row: str) -> None:
    _, rows = read_file(write_file(tmp_path, f"{header}\n{row}\n", "BTC-USDT.csv"))
    assert contents(rows) == ("BTC/USDT: 1 from 2024-01-01T00:00:00Z to 2024-01-01T00:00:00Z", "- - - 5 -, last 5")


@pytest.mark.parametrize(
    ("name", "symbol", "timeframe"),
    [
        ("BTC-USDT.csv", "BTC/USDT", None),
        ("BTC_USDT.csv", "BTC/USDT", None),
        ("BTC_USDT-1h.feather", "BTC/USDT", "1h"),
        ("BTC_USDT_USDT-1h-futures.feather", "BTC/USDT:USDT", "1h"),
        ("1INCH-EUR_15m.txt", "1INCH/EUR", "15m"),
        ("BTC-USDT-1M", "BTC/USDT", "1M"),
        ("BTCUSDT-1h-2018-02.zip", "BTC/USDT", "1h"),
        ("BTCUSDT-1mo-2018-02.zip", "BTC/USDT", "1M"),
        ("BTCUSDT (1).csv", "BTC/USDT", None),
        ("BINANCE_BTCUSDT, 60.csv", "BTC/USDT", "1h"),
        ("BATS_AAPL, W.csv", "AAPL", "1w"),
        ("XBTUSD_1440.csv", "BTC/USD", "1d"),
        ("EURUSD_M15.csv", "EUR/USD", "15m"),
        ("EURUSD_MN1.csv", "EUR/USD", "1M"),
        ("Binance_BTCUSDT_d.csv", "BTC/USDT", "1d"),
        ("Bitstamp_BTCUSD_2017_minute.csv", "BTC/USD", "1m"),
        ("AAPL-1d.csv", "AAPL", "1d"),
        ("BTC-1h.csv", "BTC", "1h"),
        ("EURUSD=X.csv", "EUR/USD", None),
        ("^GSPC.csv", "^GSPC", None),
        ("ESM4.csv", "ESM4", None),
        ("EURUSD60.csv", "EUR/USD", "1h"),
        ("GERMAN30.csv", "GERMAN30", None),
        ("Kraken_OHLCVT/XBTUSD_60.csv", "BTC/USD", "1h"),
        ("eurusd-m15-bid-2019-01-01-2019-02-01.csv", "EUR/USD", "15m"),
        ("btcusdt_1h.csv", "BTC/USDT", "1h"),
        ("EUR-USD-quotes.csv", "EUR/USD", None),
        ("candles-1h.csv", None, None),
        ("stockusd.csv", None, None),
        ("prices.csv", None, None),
        ("my-prices.csv", None, None),
        ("DATA-2026.csv", None, None),
        ("TV_iso.csv", None, None),
    ],
)
def test_what_a_files_name_says(name: str, symbol: str | None, timeframe: str | None) -> None:
    assert (symbol, timeframe) == (FileName.parse(name).symbol, FileName.parse(name).timeframe)


@pytest.mark.parametrize(
    ("text", "symbol"),
    [
        ("BTCUSDT", "BTC/USDT"), ("BTCEUR", "BTC/EUR"), ("USDJPY", "USD/JPY"), ("EURUSD=X", "EUR/USD"),
        ("BRK-B", "BRK-B"),
        ("BTC/USDT:USDT", "BTC/USDT:USDT"), ("AAPL", "AAPL"), ("XBTUSD", "BTC/USD"), ("SAP.DE", "SAP.DE"),
    ],
)  # fmt: skip
def test_a_symbol_is_split_where_base_and_quote_are_certain(text: str, symbol: str) -> None:
    assert symbol == market_symbol(text)


def test_a_bad_row_does_not_change_what_a_file_is(tmp_path: Path) -> None:
    rows = [f"{1704067200 + 60 * row},5,6,4,5.5,1,7" for row in range(1_200)]
    rows[7] = "x,5,6,7,5.5,1,7"
    rows[9] = "1704067740,NaN,NaN,NaN,NaN,NaN,NaN"
    reading, read = read_file(write_file(tmp_path, "\n".join(rows), "XBTUSD_1.csv"))
    assert "kraken" == reading.dialect
    assert [1_198] == [len(bars) for bars in read.bars]
    assert ["1 row without a price skipped", "1 bad row left out"] == read.bars[0].changes.sentences()
