"""Binance's public data: klines of 12 columns and trades, with and without header, in milli- and microseconds."""

from __future__ import annotations

from market.history.dialects.reading import Kind, Reading, ReadOptions, Role
from market.history.recognition.dialect import PRICES, column_names, of_one_symbol, positions
from market.history.recognition.sample import Sample

KLINES = positions(Role.TIME, *PRICES, Role.VOLUME, Role.END)
_HEADER = ("opentime", "open", "high", "low", "close", "volume", "closetime")
_WIDTH = 12


class BinanceKlines:
    """Open time, open, high, low, close, volume, close time, quote volume, trades, two taker volumes, and a 0."""

    name = "binance"

    def read(self, sample: Sample, options: ReadOptions) -> Reading | None:
        """Recognise klines by their header, or by 12 columns of which the first and the seventh are Unix times."""
        if sample.names is None:
            if sample.width != _WIDTH or not (sample.is_unix(0) and sample.is_unix(6) and sample.are_numbers(1, 5)):
                return None
            if not sample.is_ohlc(1, 2, 3, 4):
                return None
        elif column_names(sample)[: len(_HEADER)] != _HEADER or sample.width < len(_HEADER) + 1:
            return None
        # A close time is the last millisecond, or microsecond, of the bar.
        return of_one_symbol(self.name, Kind.BARS, KLINES, sample, options)


class BinanceTrades:
    """Trades (id, price, quantity, quote quantity, time, …) and aggregated trades (id, price, quantity, …, time, …)."""

    name = "binance-trades"

    def read(self, sample: Sample, options: ReadOptions) -> Reading | None:
        """Recognise trades by the column of Unix times and the last column, True or False."""
        if sample.names is not None:
            names = column_names(sample)
            if names[:5] == ("id", "price", "qty", "quoteqty", "time"):
                time = 4
            elif names[:2] == ("aggtradeid", "price") and "transacttime" in names:
                time = names.index("transacttime")
            else:
                return None
        else:
            truths = {cell.lower() for cell in sample.column(sample.width - 1)}
            if sample.width not in {6, 7, 8} or not truths or not truths <= {"true", "false"}:
                return None
            times = [index for index in (4, 5) if sample.is_unix(index) and index < sample.width - 1]
            if not times or not sample.are_numbers(0, 2):
                return None
            time = times[-1] if sample.width == 8 or sample.file_name.data == "aggTrades" else times[0]
        columns = {Role.TIME: time, Role.PRICE: 1, Role.VOLUME: 2}
        return of_one_symbol(self.name, Kind.TICKS, columns, sample, options)
