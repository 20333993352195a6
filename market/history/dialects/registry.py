"""All dialects, and the recognition of a file's dialect: by its content first, by its name second."""

from __future__ import annotations

from dataclasses import replace

from domain.errors import SettingsError
from domain.wording import did_you_mean, quoted
from market.history.containers.raw_table import RawTable
from market.history.containers.refusal import RefusedFile
from market.history.dialects.binance import BinanceKlines, BinanceTrades
from market.history.dialects.candle_lists import Bitfinex, Freqtrade
from market.history.dialects.cryptodatadownload import CryptoDataDownload
from market.history.dialects.headed import Headed
from market.history.dialects.kraken import Kraken, KrakenTrades
from market.history.dialects.metatrader import HistData, MetaTrader, NinjaTrader
from market.history.dialects.reading import Reading, ReadOptions
from market.history.dialects.tradingview import TradingView
from market.history.dialects.vendors import Alpaca, CoinGecko, CoinGeckoCandles, CoinMarketCap, Dukascopy, Investing
from market.history.dialects.yahoo import Yahoo, YFinance
from market.history.recognition.dialect import Dialect
from market.history.recognition.header import looks_like_header
from market.history.recognition.sample import Sample

DIALECTS: tuple[Dialect, ...] = (
    BinanceKlines(), BinanceTrades(), Kraken(), KrakenTrades(), HistData(), NinjaTrader(), MetaTrader(), Freqtrade(),
    Bitfinex(), YFinance(), CryptoDataDownload(), Yahoo(), Investing(), CoinGecko(), CoinGeckoCandles(),
    CoinMarketCap(), Dukascopy(), Alpaca(), TradingView(), Headed(),
)  # fmt: skip
"""The dialects in the order in which they are tried: those that ask for more come first."""
BY_NAME = {dialect.name: dialect for dialect in DIALECTS}
NAMES = tuple(sorted(BY_NAME))
"""What ``--as`` accepts."""


def recognise(raw: RawTable, file_name: str, options: ReadOptions) -> Reading:
    """Return how a table is read.

    Args:
        raw: the table, or its first part.
        file_name: the name of the file, or of the file in an archive.
        options: what its reader says; a dialect that is named there is the only one that is tried.

    Raises:
        SettingsError: no dialect fits.
    """
    sample = Sample.of(raw, file_name)
    if options.dialect is not None and options.dialect not in BY_NAME:
        hint = did_you_mean(options.dialect, NAMES)
        raise SettingsError(f"{quoted(options.dialect)} is no dialect; they are {', '.join(NAMES)}{hint}")
    for dialect in DIALECTS if options.dialect is None else (BY_NAME[options.dialect],):
        reading = dialect.read(sample, options)
        if reading is not None:
            return replace(reading, header=raw.names)
    raise RefusedFile(raw.path, _why_nothing_fits(raw, sample, options), raw.member)


def _why_nothing_fits(raw: RawTable, sample: Sample, options: ReadOptions) -> str:
    if options.dialect is not None:
        return f"it is not in the dialect {options.dialect}"
    if not sample.rows:
        return "it has a header but no prices" if raw.names else "it is empty"
    example = ", ".join(sample.rows[0])
    if raw.names is None:
        return (
            f"this file has no header, and its rows are in no known dialect ({quoted(example)}); add a first line that"
            " names the columns, such as time,open,high,low,close,volume, or name the dialect with --as"
        )
    if not looks_like_header(raw.names):
        return (
            f"its first line {quoted(','.join(raw.names))} names no column that is known; it must name the columns,"
            " such as time,open,high,low,close,volume"
        )
    missing = "neither close (for bars) nor price, or bid and ask (for single prices)"
    return f"the header names {missing}; it names {quoted(', '.join(raw.names))}"
