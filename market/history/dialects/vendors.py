"""Vendors whose files have a header of their own: CoinGecko, CoinMarketCap, Dukascopy, Investing.com, Alpaca."""

from __future__ import annotations

from market.history.dialects.reading import Kind, Reading, ReadOptions, Role
from market.history.recognition.dialect import PRICES, header_columns, of_one_symbol, positions
from market.history.recognition.header import Header
from market.history.recognition.sample import Sample


class CoinGecko:
    """snapped_at, price, market_cap, total_volume: one price a day; the volume is the world's of 24 hours.

    The answers of its interface have prices, market_caps and total_volumes, each with its times.
    """

    name = "coingecko"

    def read(self, sample: Sample, options: ReadOptions) -> Reading | None:
        """Recognise a file by its header."""
        header = Header.of(sample)
        time, price = header.index("snappedat"), header.index("price")
        if header.index("marketcaps") is not None:
            time, price = header.index("time"), header.index("prices")
        if time is None or price is None:
            return None
        return of_one_symbol(self.name, Kind.TICKS, {Role.TIME: time, Role.PRICE: price}, sample, options)


class CoinGeckoCandles:
    """Unix milliseconds, open, high, low, close, without header; the times are the ends of the bars."""

    name = "coingecko-ohlc"

    def read(self, sample: Sample, options: ReadOptions) -> Reading | None:
        """Recognise a file by five columns of numbers, the first of them Unix milliseconds."""
        if sample.names is not None or sample.width != 1 + len(PRICES) or not sample.are_numbers(1, 4):
            return None
        if not sample.is_unix(0) or sample.is_unix(0, seconds=True) or not sample.is_ohlc(1, 2, 3, 4):
            return None
        notes = ("CoinGecko's times are the ends of bars, which --bar-time end says",)
        return of_one_symbol(self.name, Kind.BARS, positions(Role.TIME, *PRICES), sample, options, notes=notes)


class CoinMarketCap:
    """timeOpen; timeClose; …; open; high; low; close; volume; marketCap; timestamp: the volume is the world's."""

    name = "coinmarketcap"

    def read(self, sample: Sample, options: ReadOptions) -> Reading | None:
        """Recognise a file by its times."""
        header = Header.of(sample)
        begin, end = header.index("timeopen"), header.index("timeclose")
        if begin is None or end is None or not header.has(*PRICES):
            return None
        columns = {Role.TIME: begin, Role.END: end} | {role: header.columns[role] for role in PRICES}
        notes = ("its volume is not that of one market, so it is unknown",)
        return of_one_symbol(self.name, Kind.BARS, columns, sample, options, notes=notes)


class Dukascopy:
    """Gmt time, Open, High, Low, Close, Volume: 01.02.2024 00:00:00.000; the volume counts millions."""

    name = "dukascopy"

    def read(self, sample: Sample, options: ReadOptions) -> Reading | None:
        """Recognise a file by the name of its time."""
        header = Header.of(sample)
        if header.index("gmttime") is None or not header.has(*PRICES):
            return None
        columns, questions = header_columns(header, sample)
        return of_one_symbol(self.name, Kind.BARS, columns, sample, options, questions=questions)


class Investing:
    """Date, Price, Open, High, Low, Vol., Change %: Price is the close; numbers are such as 42,850.1 and 117.65K."""

    name = "investing"

    def read(self, sample: Sample, options: ReadOptions) -> Reading | None:
        """Recognise a file by the name Price beside open, high and low."""
        header = Header.of(sample)
        if not header.has(Role.PRICE, Role.OPEN, Role.HIGH, Role.LOW) or header.has(Role.CLOSE):
            return None
        columns, questions = header_columns(header, sample)
        columns[Role.CLOSE] = columns.pop(Role.PRICE)
        notes = ("Price is the close",)
        return of_one_symbol(self.name, Kind.BARS, columns, sample, options, notes=notes, questions=questions)


class Alpaca:
    """symbol, timestamp, open, high, low, close, volume, trade_count, vwap: one symbol after the other."""

    name = "alpaca"

    def read(self, sample: Sample, options: ReadOptions) -> Reading | None:
        """Recognise a file by its number of trades and its average price."""
        header = Header.of(sample)
        if not header.has(*PRICES) or header.index("tradecount", "n") is None or header.index("vwap", "vw") is None:
            return None
        columns, questions = header_columns(header, sample)
        return of_one_symbol(self.name, Kind.BARS, columns, sample, options, questions=questions)
