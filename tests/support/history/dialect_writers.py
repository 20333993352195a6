"""Writers of a series of bars in each dialect, as the tool or vendor writes it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import NamedTuple

from domain.types import Symbol
from market.history.dialects.reading import ReadOptions

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
EASTERN = timezone(timedelta(hours=-5))
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class Bar(NamedTuple):
    """A bar; the time is its begin, in UTC."""

    time: datetime
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal


Bars = Sequence[Bar]


@dataclass(frozen=True, slots=True)
class Writer:
    """A way to write bars.

    Attributes:
        file_name: of the file; it says the symbol where no column does.
        write: returns the text of the file.
        symbol: of the bars.
        step: from bar to bar.
        options: what a reader may have to say, because some series have two readings.
        has_volume: whether the file holds the volume.
    """

    file_name: str
    write: Callable[[Bars], str]
    symbol: str = "BTC/USDT"
    step: timedelta = MINUTE
    options: ReadOptions = ReadOptions()  # noqa: RUF009
    has_volume: bool = True


def lines(header: str, bars: Bars, row: Callable[[Bar], str]) -> str:
    """Return a header, if there is one, and a row for each bar."""
    return "".join(f"{line}\n" for line in ([header] if header else []) + [row(bar) for bar in bars])


def ohlc(bar: Bar, separator: str = ",") -> str:
    """Return open, high, low and close."""
    return separator.join(format(price, "f") for price in (bar.open, bar.high, bar.low, bar.close))


def unix(bar: Bar, unit_per_second: int = 1) -> int:
    """Return the Unix time of a bar."""
    return int(bar.time.timestamp()) * unit_per_second


def half_day(bar: Bar, form: str) -> str:
    """Return the time of day with AM or PM, in any locale."""
    hour = bar.time.hour
    return form.format(hour=(hour - 1) % 12 + 1, minute=bar.time.minute, half="AM" if hour < 12 else "PM")


def kline(bar: Bar, per_second: int) -> str:
    """Return a row of Binance."""
    end = unix(bar, per_second) + 60 * per_second - 1
    return f"{unix(bar, per_second)},{ohlc(bar)},{bar.volume},{end},1.5,3,0.5,0.7,0"


def comma(price: Decimal) -> str:
    """Return a number as a German spreadsheet writes it: 42.850,1."""
    return f"{price:,f}".translate(str.maketrans(",.", ".,"))


def excel_row(bar: Bar) -> str:
    """Return a row of a German spreadsheet."""
    numbers = ";".join(comma(number) for number in bar[1:])
    return f"{bar.time:%d.%m.%Y %H:%M};{numbers}"


def serial(moment: datetime) -> str:
    """Return a time as Excel's number of days, as a float."""
    return repr((moment - datetime(1899, 12, 30, tzinfo=UTC)) / DAY)


def three_headers(bars: Bars) -> str:
    """Return a file of yfinance."""
    header = "Price,Close,High,Low,Open,Volume\nTicker,AAPL,AAPL,AAPL,AAPL,AAPL\nDate,,,,,"
    return lines(
        header, bars, lambda bar: f"{bar.time:%Y-%m-%d},{bar.close},{bar.high},{bar.low},{bar.open},{bar.volume}"
    )


def two_symbols(bars: Bars) -> str:
    """Return a file of Alpaca with one symbol after the other; the second holds nothing but the first bar."""
    rows = [("BTCUSDT", bar) for bar in bars] + [("AAPL", bars[0])]
    text = "".join(f"{symbol},{bar.time.isoformat(' ')},{ohlc(bar)},{bar.volume},3,1.5\n" for symbol, bar in rows)
    return "symbol,timestamp,open,high,low,close,volume,trade_count,vwap\n" + text


WRITERS = {
    "own bars": Writer(
        "bars.csv",
        lambda bars: lines(
            "timestamp,open,high,low,close,volume,symbol",
            bars,
            lambda bar: f"{bar.time:%Y-%m-%dT%H:%M:%SZ},{ohlc(bar)},{bar.volume},BTC/USDT",
        ),
    ),
    "binance ms": Writer("BTCUSDT-1m-2024-01.csv", lambda bars: lines("", bars, lambda bar: kline(bar, 1_000))),
    "binance us": Writer("BTCUSDT-1m-2025-01.csv", lambda bars: lines("", bars, lambda bar: kline(bar, 1_000_000))),
    "binance header": Writer(
        "BTCUSDT-1m.csv",
        lambda bars: lines(
            "open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,"
            "taker_buy_quote_volume,ignore",
            bars,
            lambda bar: kline(bar, 1_000),
        ),
    ),
    "kraken": Writer(
        "BTCUSDT_1.csv", lambda bars: lines("", bars, lambda bar: f"{unix(bar)},{ohlc(bar)},{bar.volume},7")
    ),
    "cryptodatadownload": Writer(
        "Binance_BTCUSDT_minute.csv",
        lambda bars: lines(
            "https://www.CryptoDataDownload.com\n"
            "Unix,Date,Symbol,Open,High,Low,Close,Volume BTC,Volume USDT,tradecount",
            bars[::-1],
            lambda bar: f"{unix(bar, 1000)},{bar.time:%Y-%m-%d %H:%M:%S},BTCUSDT,{ohlc(bar)},{bar.volume},9.5,7",
        ),
    ),
    "cryptodatadownload 09-AM": Writer(
        "Coinbase_BTCUSDT_1h.csv",
        lambda bars: lines(
            "Data provided by www.cryptodatadownload.com\nDate,Symbol,Open,High,Low,Close,Volume BTC,Volume USDT",
            bars[::-1],
            lambda bar: f"{bar.time:%Y-%m-%d} {half_day(bar, '{hour:02}-{half}')},BTCUSDT,{ohlc(bar)},{bar.volume},9.5",
        ),
        step=60 * MINUTE,
    ),
    "yahoo": Writer(
        "AAPL.csv",
        lambda bars: lines(
            "Date,Open,High,Low,Close,Adj Close,Volume",
            bars,
            lambda bar: f"{bar.time:%Y-%m-%d},{ohlc(bar)},{bar.low},{bar.volume}",
        ),
        "AAPL",
        DAY,
    ),
    "yfinance": Writer("aapl.csv", three_headers, "AAPL", DAY),
    "tradingview": Writer(
        "BINANCE_BTCUSDT, 1.csv",
        lambda bars: lines(
            "time,open,high,low,close,Volume,Volume MA",
            bars,
            lambda bar: f"{unix(bar)},{ohlc(bar)},{bar.volume},NaN",
        ),
    ),
    "tradingview iso": Writer(
        "BINANCE_BTCUSDT, 1.csv",
        lambda bars: lines(
            "time,open,high,low,close", bars, lambda bar: f"{bar.time.astimezone(EASTERN).isoformat()},{ohlc(bar)}"
        ),
        has_volume=False,
    ),
    "alpaca": Writer("crypto.csv", two_symbols),
    "metatrader": Writer(
        "BTCUSDT_M1.csv",
        lambda bars: lines(
            "<DATE>\t<TIME>\t<OPEN>\t<HIGH>\t<LOW>\t<CLOSE>\t<TICKVOL>\t<VOL>\t<SPREAD>",
            bars,
            lambda bar: f"{bar.time:%Y.%m.%d\t%H:%M:%S}\t{ohlc(bar, chr(9))}\t5\t{bar.volume}\t1",
        ),
    ),
    "metatrader 4": Writer(
        "BTCUSDT_M1.csv",
        lambda bars: lines("", bars, lambda bar: f"{bar.time:%Y.%m.%d,%H:%M},{ohlc(bar)},5"),
        has_volume=False,
    ),
    "histdata": Writer(
        "DAT_ASCII_EURUSD_M1_2012.csv",
        lambda bars: lines("", bars, lambda bar: f"{bar.time.astimezone(EASTERN):%Y%m%d %H%M%S};{ohlc(bar, ';')};0"),
        "EUR/USD",
        has_volume=False,
    ),
    "excel": Writer(
        "BTC-USDT.csv",
        lambda bars: lines("Date;Open;High;Low;Close;Volume", bars, excel_row),
        options=ReadOptions(decimal_comma=True),
    ),
    "excel serials": Writer(
        "BTC-USDT.csv",
        lambda bars: lines(
            "Date,Open,High,Low,Close,Volume", bars, lambda bar: f"{serial(bar.time)},{ohlc(bar)},{bar.volume}"
        ),
    ),
    "month first": Writer(
        "BTC-USDT.csv",
        lambda bars: lines(
            "Date,Open,High,Low,Close,Volume",
            bars,
            lambda bar: f"{bar.time:%m/%d/%Y} {half_day(bar, '{hour}:{minute:02} {half}')},{ohlc(bar)},{bar.volume}",
        ),
        options=ReadOptions(day_first=False),
    ),
    "day first": Writer(
        "BTC-USDT.csv",
        lambda bars: lines(
            "Date,Open,High,Low,Close,Volume", bars, lambda bar: f"{bar.time:%d-%m-%Y %H:%M},{ohlc(bar)},{bar.volume}"
        ),
        options=ReadOptions(day_first=True),
    ),
    "six digits": Writer(
        "BTC-USDT.csv",
        lambda bars: lines(
            "Date,Time,Open,High,Low,Close,Volume",
            bars,
            lambda bar: f"{bar.time:%d%m%y,%H%M%S},{ohlc(bar)},{bar.volume}",
        ),
        options=ReadOptions(day_first=True),
    ),
    "fourteen digits": Writer(
        "BTC-USDT.csv",
        lambda bars: lines(
            "time,open,high,low,close,volume", bars, lambda bar: f"{bar.time:%Y%m%d%H%M%S},{ohlc(bar)},{bar.volume}"
        ),
    ),
    "backtrader": Writer(
        "BTC-USDT.csv",
        lambda bars: lines(
            "Date,Time,Open,High,Low,Close,Volume,OpenInterest",
            bars,
            lambda bar: f"{bar.time:%Y-%m-%d,%H:%M:%S},{ohlc(bar)},{bar.volume},0",
        ),
    ),
    "pandas": Writer(
        "BTC_USDT-1m.csv",
        lambda bars: lines(
            ",open,high,low,close,volume", bars, lambda bar: f"{bar.time.isoformat(' ')},{ohlc(bar)},{bar.volume}"
        ),
    ),
    "pandas counters": Writer(
        "BTC_USDT-1m.csv",
        lambda bars: lines(
            "Unnamed: 0,timestamp,open,high,low,close,volume",
            bars,
            lambda bar: f"{bars.index(bar)},{unix(bar, 1000)},{ohlc(bar)},{bar.volume}",
        ),
    ),
    "bitfinex": Writer(
        "tBTCUSDT.csv",
        lambda bars: lines(
            "",
            bars[::-1],
            lambda bar: f"{unix(bar, 1000)},{bar.open},{bar.close},{bar.high},{bar.low},{bar.volume}",
        ),
        options=ReadOptions(dialect="bitfinex"),
    ),
    "freqtrade": Writer(
        "BTC_USDT-1m.csv", lambda bars: lines("", bars, lambda bar: f"{unix(bar, 1000)},{ohlc(bar)},{bar.volume}")
    ),
    "investing": Writer(
        "BTC Historical Data.csv",
        lambda bars: lines(
            '"Date","Price","Open","High","Low","Vol.","Change %"',
            bars[::-1],
            lambda bar: (
                f'"{bar.time:%m/%d/%Y}","{bar.close:,f}","{bar.open:,f}","{bar.high:,f}","{bar.low:,f}",'
                f'"{bar.volume / 1000:f}K","-1.2%"'
            ),
        ),
        step=DAY,
        options=ReadOptions(symbol=Symbol("BTC/USDT"), day_first=False, decimal_comma=False),
    ),
    "dukascopy": Writer(
        "BTCUSDT_Candlestick_1_M_BID_01.02.2024-02.02.2024.csv",
        lambda bars: lines(
            "Gmt time,Open,High,Low,Close,Volume",
            bars,
            lambda bar: f"{bar.time:%d.%m.%Y %H:%M:%S}.000,{ohlc(bar)},{bar.volume}",
        ),
    ),
    "nasdaq": Writer(
        "AAPL.csv",
        lambda bars: lines(
            "Date,Close/Last,Volume,Open,High,Low",
            bars[::-1],
            lambda bar: (
                f"{MONTHS[bar.time.month - 1]} {bar.time.day} {bar.time.year},${bar.close},{bar.volume},"
                f"${bar.open},${bar.high},${bar.low}"
            ),
        ),
        "AAPL",
        DAY,
    ),
}
