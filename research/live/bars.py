"""Bars of prices that the service stores about each second, and their columns for a strategy."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

import numpy as np
import pyarrow

from domain.types import Symbol
from market.files.recording import PriceSeries
from research.columns.bar_columns import EPOCH, BarColumns, time_of
from research.columns.scaled import MAX_SCALE, UNKNOWN

NUMBER = pyarrow.decimal128(38, MAX_SCALE)
MICROSECOND = timedelta(microseconds=1)
KEPT_BARS = 20_000
"""Bars of a symbol that an agent keeps; a strategy with a longer warm-up has as many as that."""


class StoredPrice(NamedTuple):
    """What is stored of a symbol about each second.

    Attributes:
        begins: since when the extremes count.
        price: the last one.
    """

    begins: datetime
    time: datetime
    price: Decimal
    high: Decimal
    low: Decimal


class LiveBar(NamedTuple):
    """A bar that is complete.

    Attributes:
        end: when the next one begins; its close was known by then.
        volume: None where it is not known, as in a bar of quotes.
    """

    begin: datetime
    end: datetime
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal | None = None


def begin_of(time: datetime, length: timedelta) -> datetime:
    """Return when the bar of a time begins; bars of all lengths are counted from 1970."""
    return EPOCH + (time - EPOCH) // length * length


def bars_of_prices(prices: Iterable[StoredPrice], length: timedelta) -> list[LiveBar]:
    """Return the bars of prices, which are in the order of their times; there is none where no price is.

    Extremes that reach back into the bar before do not count: nobody knows on which side of its end they were.
    """
    bars: list[LiveBar] = []
    for begins, time, price, *extremes in prices:
        begin = begin_of(time, length)
        high, low = extremes if begins >= begin else (price, price)
        if bars and bars[-1].begin == begin:
            before = bars[-1]
            bars[-1] = before._replace(high=max(before.high, high), low=min(before.low, low), close=price)
        else:
            bars.append(LiveBar(begin, begin + length, price, max(price, high), min(price, low), price))
    return bars


def bars_of_columns(columns: BarColumns, count: int) -> list[LiveBar]:
    """Return the last bars of a recording."""
    bars = []
    for number in range(max(len(columns) - count, 0), len(columns)):
        volume = None if columns.volume is None else columns.volume[number]
        opened, high, low, close = (
            columns.price(column[number]) for column in (columns.open, columns.high, columns.low, columns.close)
        )
        bars.append(LiveBar(
            time_of(int(columns.begin[number])), time_of(int(columns.time[number])), opened, high, low, close,
            None if volume is None or volume == UNKNOWN else columns.size(volume),
        ))  # fmt: skip
    return bars


class BarHistory:
    """The bars of one symbol, the newest last."""

    def __init__(self, symbol: Symbol) -> None:
        self.symbol = symbol
        self._bars: list[LiveBar] = []

    def __len__(self) -> int:
        return len(self._bars)

    def add(self, bars: Iterable[LiveBar]) -> None:
        """Take the next bars; one that begins before the last one has ended is left out."""
        for bar in bars:
            if not self._bars or bar.begin >= self._bars[-1].end:
                self._bars.append(bar)

    def forget(self, kept: int) -> None:
        """Forget the oldest bars."""
        del self._bars[: max(len(self._bars) - kept, 0)]

    def number_of(self, bar: LiveBar) -> int | None:
        """Return the place of one of the last bars; None where it was left out."""
        for number in reversed(range(len(self._bars))):
            if self._bars[number] == bar:
                return number
            if self._bars[number].end <= bar.begin:
                break
        return None

    def columns(self) -> BarColumns:
        """Return all bars as columns."""
        return columns_of(self.symbol, self._bars)


def columns_of(symbol: Symbol, bars: Sequence[LiveBar]) -> BarColumns:
    """Return bars as columns, as those of a recording."""
    names = ("open", "high", "low", "close", "volume")
    columns = {name: pyarrow.array([getattr(bar, name) for bar in bars], NUMBER) for name in names}
    ends, begins = (np.array([(time - EPOCH) // MICROSECOND for time in times], np.int64) for times in (
        [bar.end for bar in bars], [bar.begin for bar in bars],
    ))  # fmt: skip
    return BarColumns.of(PriceSeries(symbol, ends, begins, columns))
