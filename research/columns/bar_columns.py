"""Bars, or single prices, of one symbol in columns."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from domain.types import Symbol
from market.files.recording import PriceSeries
from research.columns.scaled import UNKNOWN, Integers, exact, scaled

Floats = NDArray[np.float64]
Micros = NDArray[np.int64]
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
COMPUTED = frozenset({"lowest", "highest", "opens", "highs", "lows", "closes", "volumes"})
"""Columns that are computed when they are first read."""


@dataclass(frozen=True, eq=False)
class BarColumns:
    """Prices of one symbol, in the order in which they were known. Prices and sizes are exact.

    Single prices are bars without length: their open, high, low and close are the price, and they may have bid and ask.

    Attributes:
        begin: of each bar, in microseconds since 1970; of a single price its own time.
        time: when the close of each bar was known.
        open, high, low, close: prices × 10^price_scale.
        volume: × 10^size_scale, `UNKNOWN` where it is not known; None where none is.
        has_open: whether the open of each bar can be traded by itself: the price before it was known by then.
        has_bars: whether they are bars, and not single prices.
        quotes: ``bid``, ``ask``, ``bid_size`` and ``ask_size`` of single prices, as far as any is known.
    """

    symbol: Symbol
    begin: Micros
    time: Micros
    open: Integers
    high: Integers
    low: Integers
    close: Integers
    volume: Integers | None
    price_scale: int
    size_scale: int
    has_open: NDArray[np.bool_]
    has_bars: bool
    quotes: dict[str, Integers]

    @classmethod
    def of(cls, series: PriceSeries) -> BarColumns:
        """Return a series of prices as columns.

        A bar that begins before the price before it was known counts by its close alone, as in a live run: nobody knows
        which of its prices came after that one.
        """
        names = ("open", "high", "low", "close") if series.begins is not None else ("price", "bid", "ask")
        sizes = ("volume",) if series.begins is not None else ("volume", "bid_size", "ask_size")
        prices = scaled({name: series.columns[name] for name in names})
        amounts = scaled({name: series.columns[name] for name in sizes if name in series.columns})
        present = {name: column for name, column in amounts.columns.items() if (column != UNKNOWN).any()}
        time = np.asarray(series.moments, dtype=np.int64)
        if series.begins is None:
            price = prices.columns["price"]
            quotes = {name: prices.columns[name] for name in ("bid", "ask")}
            quotes = {name: column for name, column in quotes.items() if (column != UNKNOWN).any()}
            quotes |= {name: column for name, column in present.items() if name != "volume"}
            no_open = np.zeros(len(time), dtype=np.bool_)
            return cls(
                series.symbol, time, time, price, price, price, price, present.get("volume"), prices.scale,
                amounts.scale, no_open, False, quotes,
            )  # fmt: skip
        begin = np.asarray(series.begins, dtype=np.int64)
        has_range = np.ones(len(time), dtype=np.bool_)
        has_range[1:] = begin[1:] >= time[:-1]
        opened, high, low, close = (prices.columns[name] for name in names)
        if not has_range.all():
            opened, high, low = (np.where(has_range, column, close) for column in (opened, high, low))
        return cls(
            series.symbol, begin, time, opened, high, low, close, present.get("volume"), prices.scale, amounts.scale,
            has_range & (begin < time), True, {},
        )  # fmt: skip

    def __len__(self) -> int:
        return len(self.time)

    def until(self, count: int) -> BarColumns:
        """Return the first ``count`` bars alone; what was computed of all of them is not computed again."""
        part = slice(0, count)
        bars = BarColumns(
            self.symbol, self.begin[part], self.time[part], self.open[part], self.high[part], self.low[part],
            self.close[part], None if self.volume is None else self.volume[part], self.price_scale, self.size_scale,
            self.has_open[part], self.has_bars, {name: column[part] for name, column in self.quotes.items()},
        )  # fmt: skip
        vars(bars).update({name: column[part] for name, column in vars(self).items() if name in COMPUTED})
        return bars

    def price(self, value: int) -> Decimal:
        """Return the price that an integer of these columns stands for."""
        return exact(int(value), self.price_scale)

    def size(self, value: int) -> Decimal:
        """Return the size that an integer of these columns stands for."""
        return exact(int(value), self.size_scale)

    @cached_property
    def lowest(self) -> Integers:
        """The lowest price of each bar that any order can meet; usually the low itself."""
        lowest = self.low
        for other in (self.open, self.close):
            if (other < lowest).any():
                lowest = np.minimum(lowest, other)
        for name in ("bid", "ask"):
            if (quoted := self.quotes.get(name)) is not None:
                lowest = np.where((quoted != UNKNOWN) & (quoted < lowest), quoted, lowest)
        return lowest

    @cached_property
    def highest(self) -> Integers:
        """The highest price of each bar that any order can meet; usually the high itself."""
        highest = self.high
        for other in (self.open, self.close, self.quotes.get("bid"), self.quotes.get("ask")):
            if other is not None and (other > highest).any():  # what is unknown is below every price
                highest = np.maximum(highest, other)
        return highest

    @cached_property
    def opens(self) -> Floats:
        """The opens as binary fractions, for indicators."""
        return self._floats(self.open, self.price_scale)

    @cached_property
    def highs(self) -> Floats:
        """The highs as binary fractions."""
        return self._floats(self.high, self.price_scale)

    @cached_property
    def lows(self) -> Floats:
        """The lows as binary fractions."""
        return self._floats(self.low, self.price_scale)

    @cached_property
    def closes(self) -> Floats:
        """The closes as binary fractions."""
        return self._floats(self.close, self.price_scale)

    @cached_property
    def volumes(self) -> Floats:
        """The volumes as binary fractions; NaN where unknown."""
        if self.volume is None:
            return self._floats(np.full(len(self), np.nan), 0)
        return self._floats(np.where(self.volume == UNKNOWN, np.nan, self.volume), self.size_scale)

    def _floats(self, column: Integers, scale: int) -> Floats:
        values = np.asarray(column, dtype=np.float64) / 10.0**scale
        values.flags.writeable = False
        return values

    @cached_property
    def has_ties(self) -> bool:
        """Whether two of its prices were known at the same time."""
        return bool((self.time[1:] == self.time[:-1]).any())

    @property
    def usual_length(self) -> int:
        """The most frequent length of the bars, in microseconds; 0 for single prices."""
        if not self.has_bars or not len(self):
            return 0
        lengths, counts = np.unique(self.time - self.begin, return_counts=True)
        return int(lengths[counts.argmax()])

    def gaps(self) -> tuple[int, int]:
        """Return how many gaps are between the bars, and how many bars would fill them."""
        if (length := self.usual_length) <= 0:
            return 0, 0
        missing = (self.begin[1:] - self.time[:-1]) // length
        return int((missing > 0).sum()), int(missing[missing > 0].sum())


def time_of(micros: int) -> datetime:
    """Return the time of a number of microseconds since 1970, in UTC."""
    return EPOCH + timedelta(microseconds=micros)
