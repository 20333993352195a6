"""Small series of bars for tests."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal

import pyarrow

from domain.trading.arithmetic import plain
from domain.types import Symbol
from market.history.candles import SCHEMA, Candles
from market.history.timeframe import Timeframe

BEGIN = datetime(2025, 1, 1, tzinfo=UTC)
Row = tuple[str, str, str, str, str | None]
"""Open, high, low, close and volume."""


def row(close: str, volume: str | None = "1") -> Row:
    """Return the values of a bar that does not move."""
    return (close, close, close, close, volume)


def candles(
    rows: Iterable[Row], *, begin: datetime = BEGIN, symbol: str = "BTC/USDT", timeframe: str = "1h"
) -> Candles:
    """Return bars that follow each other from ``begin`` on."""
    length = Timeframe.parse(timeframe)
    columns: list[list[object]] = [[] for _ in SCHEMA]
    for values in rows:
        end = length.after(begin)
        numbers = [None if text is None else Decimal(text) for text in values]
        for column, value in zip(columns, [begin, end, *numbers], strict=True):
            column.append(value)
        begin = end
    arrays = [pyarrow.array(column, field.type) for column, field in zip(columns, SCHEMA, strict=True)]
    return Candles(Symbol(symbol), length, pyarrow.table(arrays, schema=SCHEMA))


def closes(series: Candles) -> list[str]:
    """Return the closes of a series as text, by rising moment of publication."""
    return [plain(value) for value in series.table["close"].to_pylist()]
