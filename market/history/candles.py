"""OHLCV bars of one symbol, exact and in the order in which their closes are published."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pyarrow

from domain.types import Symbol
from market.history.timeframe import Timeframe

TIME = pyarrow.timestamp("us", tz="UTC")
NUMBER = pyarrow.decimal128(38, 18)
PRICES = ("open", "high", "low", "close")
SCHEMA = pyarrow.schema([
    pyarrow.field("begin", TIME, nullable=False),
    pyarrow.field("published", TIME, nullable=False),
    pyarrow.field("open", NUMBER),
    pyarrow.field("high", NUMBER),
    pyarrow.field("low", NUMBER),
    pyarrow.field("close", NUMBER, nullable=False),
    pyarrow.field("volume", NUMBER),
])  # fmt: skip
"""The columns of `Candles.table`."""


@dataclass(frozen=True, slots=True, eq=False)
class Candles:
    """OHLCV bars of one symbol.

    Args:
        symbol: of all bars.
        timeframe: the length of the bars; single ones may have another.
        table: a `pyarrow.Table` with the columns of `SCHEMA`: the ``begin`` of each bar; when its close was
            ``published``, which is never before the bar has ended; ``open``, ``high`` and ``low``, null where the
            source has none; ``close``; and ``volume``, null where unknown and 0 where nothing was traded. The rows are
            in the order of ``published``.

    Raises:
        ValueError: the table has other columns, or is in another order.
    """

    symbol: Symbol
    timeframe: Timeframe
    table: Any

    def __post_init__(self) -> None:
        # Compared by name and type: a table that was read from a file may hold metadata, and may not know what is null.
        columns = [(field.name, field.type) for field in self.table.schema]
        if columns != [(field.name, field.type) for field in SCHEMA]:
            raise ValueError(f"candles have the columns {columns}; they must be {SCHEMA}")
        for name in ("begin", "published", "close"):
            if self.table[name].null_count:
                raise ValueError(f"candles must have a value in each row of {name}")
        published = self.table["published"].cast(pyarrow.int64()).to_numpy()
        if (published[1:] < published[:-1]).any():
            raise ValueError("candles must be in the order in which their closes were published")

    def __len__(self) -> int:
        return int(self.table.num_rows)
