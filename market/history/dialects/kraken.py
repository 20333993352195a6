"""Kraken's downloadable history, without header: OHLCVT, trades, and the rows of its API."""

from __future__ import annotations

import re

from market.history.dialects.reading import Kind, Reading, ReadOptions, Role
from market.history.recognition.dialect import PRICES, of_one_symbol, positions
from market.history.recognition.sample import Sample

_BARS = {
    7: positions(Role.TIME, *PRICES, Role.VOLUME),
    8: positions(Role.TIME, *PRICES, None, Role.VOLUME),  # the API has the average price before the volume
}
_COUNT = re.compile(r"\d+", re.ASCII)
_TRADES = positions(Role.TIME, Role.PRICE, Role.VOLUME)


class Kraken:
    """Unix seconds, open, high, low, close, volume, number of trades; bars without trades are left out."""

    name = "kraken"

    def read(self, sample: Sample, options: ReadOptions) -> Reading | None:
        """Recognise bars by seven or eight columns that begin with Unix seconds and end with a whole number."""
        columns = _BARS.get(sample.width)
        if sample.names is not None or columns is None or not sample.is_unix(0, seconds=True):
            return None
        last = sample.width - 1
        if not sample.are_numbers(1, last) or not sample.matches(last, _COUNT):
            return None
        if not sample.is_ohlc(1, 2, 3, 4) or (last == 7 and not sample.lies_between(5, 3, 2)):
            return None
        return of_one_symbol(self.name, Kind.BARS, columns, sample, options)


class KrakenTrades:
    """Unix seconds, price, volume: single trades."""

    name = "kraken-trades"

    def read(self, sample: Sample, options: ReadOptions) -> Reading | None:
        """Recognise trades by three columns of numbers, the first of them Unix seconds."""
        if sample.names is not None or sample.width != 3:
            return None
        if not sample.is_unix(0, seconds=True) or not sample.are_numbers(1, 2):
            return None
        return of_one_symbol(self.name, Kind.TICKS, _TRADES, sample, options)
