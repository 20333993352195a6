"""Markets of a few bars, and lists of wishes, for tests of backtests."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid5

import numpy as np
import pyarrow

from domain.trading.instruments import Instrument
from domain.types import Symbol
from market.files.recording import PriceSeries
from research.backtest.feeds import ListFeed, Wish
from research.backtest.making import namespace_of
from research.backtest.pieces import PHASES, Market, Phase
from research.columns.bar_columns import EPOCH, BarColumns
from research.strategy import Intent
from tests.support.values.builders import BTC

START = datetime(2026, 1, 5, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
NUMBER = pyarrow.decimal128(38, 18)
MICROSECOND = timedelta(microseconds=1)


def micros(time: datetime) -> int:
    return (time - EPOCH) // MICROSECOND


def decimals(values: Iterable[Any]) -> Any:
    return pyarrow.array([None if value is None else Decimal(str(value)) for value in values], NUMBER)


def bars(
    rows: Sequence[Sequence[Any]],
    symbol: str = BTC,
    *,
    start: datetime = START,
    length: timedelta = MINUTE,
    begins: Sequence[int] | None = None,
) -> BarColumns:
    """Return bars of open, high, low, close and perhaps volume.

    Args:
        rows: one for each bar.
        symbol: of the bars.
        start: of the first bar.
        length: of the bars.
        begins: of each bar, in lengths after ``start``; by default one behind the other.
    """
    places = range(len(rows)) if begins is None else begins
    first = np.array([micros(start + place * length) for place in places], dtype=np.int64)
    columns = list(zip(*(tuple(row) + (None,) * (5 - len(row)) for row in rows), strict=True))
    names = ("open", "high", "low", "close", "volume")
    series = PriceSeries(
        Symbol(symbol),
        first + length // MICROSECOND,
        first,
        {name: decimals(column) for name, column in zip(names, columns, strict=True)},
    )
    return BarColumns.of(series)


def flat_bars(prices: Sequence[Any], symbol: str = BTC, **options: Any) -> BarColumns:
    """Return bars whose four prices are the same."""
    return bars([(price,) * 4 for price in prices], symbol, **options)


def ticks(rows: Sequence[Sequence[Any]], symbol: str, times: Sequence[datetime]) -> BarColumns:
    """Return single prices with bid, ask, bid size and ask size."""
    names = ("price", "bid", "ask", "bid_size", "ask_size")
    columns = dict(zip(names, map(decimals, zip(*rows, strict=True)), strict=True))
    columns["volume"] = decimals([None] * len(rows))
    moments = np.array([micros(time) for time in times], dtype=np.int64)
    return BarColumns.of(PriceSeries(Symbol(symbol), moments, None, columns))


def instrument(symbol: str = BTC, tick: str = "0.01", step: str = "0.0001") -> Instrument:
    return Instrument(Symbol(symbol), "USDT", Decimal(tick), Decimal(step))


def market(*columns: BarColumns, tick: str = "0.01", step: str = "0.0001") -> Market:
    return Market.of(columns, [instrument(one.symbol, tick, step) for one in columns])


def wish(intent: Intent, at: datetime, row: int = 0, symbol: int | None = 0) -> Wish:
    """Return an intent at a time, such as the close of a bar."""
    uid = uuid5(namespace_of("tests"), str(row))
    return Wish(micros(at) * PHASES + Phase.DECISION, symbol, intent, uid.bytes, row)


def fed(wishes: Sequence[Wish]) -> ListFeed:
    """Return the source of a list of wishes."""
    return ListFeed(wishes, lambda one: f"row {one.row}")


def wishes(*intents: tuple[int, Intent]) -> list[Wish]:
    """Return intents at the closes of bars of a minute, the first of which is bar 0."""
    return [
        wish(intent, START + (bar + 1) * MINUTE, number)._replace(row=bar)
        for number, (bar, intent) in enumerate(intents)
    ]
