"""The prices of files, in the order of their moments, a piece at a time as objects."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from itertools import groupby
from operator import attrgetter
from typing import Any, NamedTuple

import numpy as np
import pyarrow
from pyarrow import compute

from domain.errors import SettingsError
from domain.trading.arithmetic import CONTEXT, ONE
from domain.trading.quotes import BarPrices
from domain.types import Symbol
from market.history.candles import Candles
from market.history.grid import Mask, Micros
from market.history.publication import EPOCH
from market.history.timeframe import MICROSECOND
from market.history.wording import span

PIECE_ROWS = 4_096
"""Rows that exist as Python objects at a time."""
ROWS_OF_SERIES = 16
"""So many rows of each series, on average, if that is more: a piece costs time for each series in it."""
_FIRST, _LAST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)


class Row(NamedTuple):
    """One price and its moment; see `domain.trading.quotes.Quote`."""

    time: datetime
    symbol: Symbol
    price: Decimal
    bid: Decimal | None = None
    ask: Decimal | None = None
    volume: Decimal | None = None
    bid_size: Decimal | None = None
    ask_size: Decimal | None = None
    bar: BarPrices | None = None


@dataclass(frozen=True, slots=True)
class TimeSpan:
    """The part of a recording that is played: what lies between two moments, both included.

    Attributes:
        first: a bar that begins before it is left out.
        last: a price that is published after it is left out.
    """

    first: datetime = _FIRST
    last: datetime = _LAST


EVERYTHING = TimeSpan()


@dataclass(frozen=True, slots=True, eq=False)
class PriceSeries:
    """Prices of one symbol, in the order of their moments.

    Attributes:
        moments: when each price was known: for bars, when the close was published.
        begins: of each bar; None for single prices.
        columns: arrays of decimals by name: ``open``, ``high``, ``low``, ``close`` and ``volume`` of bars; ``price``,
            ``bid``, ``ask``, ``volume``, ``bid_size`` and ``ask_size`` of single prices. Null is unknown.
    """

    symbol: Symbol
    moments: Micros
    begins: Micros | None
    columns: Mapping[str, Any]

    @classmethod
    def of_candles(cls, candles: Candles) -> PriceSeries:
        """Return bars; where open, high or low is unknown, the known prices of the bar count in its place."""
        table = candles.table
        opened, close = _known(table["open"], table["close"]), table["close"]
        columns = {
            "open": opened,
            "high": _known(table["high"], opened, close, choose=compute.max_element_wise),
            "low": _known(table["low"], opened, close, choose=compute.min_element_wise),
            "close": close,
            "volume": table["volume"],
        }
        begins, moments = (table[name].cast(pyarrow.int64()).to_numpy() for name in ("begin", "published"))
        return cls(candles.symbol, moments, begins, columns)

    @property
    def first_length(self) -> int:
        """How long the first bar lasted, in microseconds; 0 for single prices."""
        return 0 if self.begins is None or not len(self.begins) else int(self.moments[0] - self.begins[0])

    def within(self, part: TimeSpan) -> PriceSeries:
        """Return the prices in a span of time."""
        if part == EVERYTHING:
            return self
        first, last = _micros(part.first), _micros(part.last)
        kept = (self.moments <= last) & ((self.moments if self.begins is None else self.begins) >= first)
        mask = pyarrow.array(kept)
        columns = {name: column.filter(mask) for name, column in self.columns.items()}
        return PriceSeries(self.symbol, self.moments[kept], None if self.begins is None else self.begins[kept], columns)


class Recording:
    """Prices of some symbols.

    A bar that begins before the last price of its symbol was known counts by its close alone, as far as open orders
    are concerned: a part of it lies before that price, and nobody knows which of its prices came after it.

    Args:
        series: of the symbols; a symbol may have several.
        part: what is played of them.

    Attributes:
        symbols: in the order of the series.

    Raises:
        SettingsError: nothing is in that part.
    """

    def __init__(self, series: Sequence[PriceSeries], part: TimeSpan = EVERYTHING) -> None:
        self.symbols = tuple(dict.fromkeys(one.symbol for one in series))
        # Of prices of one symbol and moment the last one counts, so those of the shortest bars come last.
        self._series = sorted((one.within(part) for one in series), key=lambda one: one.first_length, reverse=True)
        if series and not any(len(one.moments) for one in self._series):
            begin = min(int((one.moments if one.begins is None else one.begins).min()) for one in series)
            ended = max(int(one.moments.max()) for one in series)
            raise SettingsError(
                f"no price lies between price_from and price_to; the recording has prices of"
                f" {span(_time(begin), _time(ended))}"
            )
        of_symbol: dict[Symbol, list[Micros]] = {}
        for one in self._series:
            of_symbol.setdefault(one.symbol, []).append(one.moments)
        moments_of = {symbol: np.unique(np.concatenate(parts)) for symbol, parts in of_symbol.items()}
        self._has_range = [_has_range(one, moments_of[one.symbol]) for one in self._series]
        lengths = [len(one.moments) for one in self._series]
        moments = np.concatenate([one.moments for one in self._series]) if series else np.empty(0, np.int64)
        numbers = np.repeat(np.arange(len(series), dtype=np.int32), lengths)
        self._numbers = numbers[np.lexsort((numbers, moments))]

    def __len__(self) -> int:
        return len(self._numbers)

    @property
    def series(self) -> Sequence[PriceSeries]:
        """What is played of each series, those of the longest bars first."""
        return self._series

    def lowest_prices(self) -> dict[Symbol, Decimal]:
        """Return the lowest price of each symbol; one of which nothing is played is missing."""
        lowest: dict[Symbol, Decimal] = {}
        for one in self._series:
            price = compute.min(one.columns["price" if one.begins is None else "low"]).as_py()
            if price is not None:
                lowest[one.symbol] = min(price, lowest.get(one.symbol, price))
        return lowest

    def batches(self, first: int = 0) -> Iterator[tuple[datetime, list[Row]]]:
        """Yield the rows of each moment, from the row with this number on."""
        for time, rows in groupby(self.rows(first), attrgetter("time")):
            yield time, list(rows)

    def rows(self, first: int = 0) -> Generator[Row, None, None]:
        """Yield the rows from the one with this number on, in the order of their moments."""
        # The rows of a series are in the order of their moments, so each piece has the next ones of every series.
        places = np.bincount(self._numbers[:first], minlength=len(self._series))
        size = max(PIECE_ROWS, ROWS_OF_SERIES * len(self._series))
        for begin in range(first, len(self._numbers), size):
            numbers = self._numbers[begin : begin + size]
            counts = np.bincount(numbers, minlength=len(self._series))
            pieces = {
                int(number): self._piece(int(number), int(places[number]), int(counts[number]))
                for number in np.flatnonzero(counts)
            }
            places = places + counts
            for number in numbers.tolist():
                yield next(pieces[number])

    def _piece(self, number: int, place: int, count: int) -> Iterator[Row]:
        one, part = self._series[number], slice(place, place + count)
        times = [_time(moment) for moment in one.moments[part].tolist()]
        columns = {name: _decimals(column.slice(place, count)) for name, column in one.columns.items()}
        if one.begins is None:
            names = ("price", "bid", "ask", "volume", "bid_size", "ask_size")
            rows = zip(*(columns.get(name, [None] * count) for name in names), strict=True)
            return (Row(time, one.symbol, *values) for time, values in zip(times, rows, strict=True))
        bars = zip(
            one.begins[part].tolist(),
            self._has_range[number][part].tolist(),
            *(columns[name] for name in ("open", "high", "low", "close", "volume")),
            strict=True,
        )
        return (_bar_row(time, one.symbol, *values) for time, values in zip(times, bars, strict=True))


def _has_range(series: PriceSeries, moments: Micros) -> Mask:
    """Return which bars begin when the price before them was known, or later.

    Args:
        series: the bars, or single prices, which have no range.
        moments: of all prices of the symbol.
    """
    if series.begins is None:
        return np.zeros(len(series.moments), dtype=np.bool_)
    place = np.searchsorted(moments, series.moments) - 1
    return np.asarray((place < 0) | (series.begins >= moments[np.maximum(place, 0)]))


def _bar_row(
    time: datetime,
    symbol: Symbol,
    begin: int,
    has_range: bool,
    opened: Decimal,
    high: Decimal,
    low: Decimal,
    close: Decimal,
    volume: Decimal | None,
) -> Row:
    prices = (opened, high, low) if has_range else (close, close, close)
    return Row(time, symbol, close, volume=volume, bar=BarPrices(_time(begin), *prices, volume))


def _known(column: Any, *others: Any, choose: Callable[..., Any] = lambda other: other) -> Any:
    """Return a column in which what is chosen of others is in the place of what is unknown."""
    return column if not column.null_count else compute.coalesce(column, choose(*others))


def _decimals(column: Any) -> list[Decimal | None]:
    """Return exact numbers without trailing zeros, of which Arrow's decimals always have 18 places."""
    return [None if value is None else _plain(value) for value in column.to_pylist()]


def _plain(value: Decimal) -> Decimal:
    short = value.normalize(CONTEXT)
    return short if int(short.as_tuple().exponent) <= 0 else CONTEXT.quantize(short, ONE)


def _time(micros: int) -> datetime:
    return EPOCH + micros * MICROSECOND


def _micros(time: datetime) -> int:
    return (time - EPOCH) // MICROSECOND
