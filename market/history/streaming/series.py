"""`SpooledCandles`: bars as `Candles` are, of which few are in memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow
from pyarrow import compute

from domain.types import Symbol
from market.history.candles import SCHEMA, Candles
from market.history.storage.gaps import Gaps
from market.history.streaming.spool import Block
from market.history.timeframe import Timeframe

WHOLE_ROWS = 1 << 17
"""So many bars, and fewer, may be in memory as a whole."""


@dataclass(frozen=True, slots=True, eq=False)
class SpooledCandles:
    """OHLCV bars of one symbol in blocks.

    Attributes:
        symbol: of all bars.
        timeframe: the length of the bars; single ones may have another.
        blocks: of the rows, with the columns of `SCHEMA`, in the order of ``published``.
        gaps: of the series; None where they were not counted.
    """

    symbol: Symbol
    timeframe: Timeframe
    blocks: Sequence[Block]
    gaps: Gaps | None = None

    def __len__(self) -> int:
        return sum(block.rows for block in self.blocks)

    def tables(self, names: Sequence[str] | None = None) -> Iterator[Any]:
        """Yield the rows of some columns, or of all, a table at a time."""
        return (block.read(names) for block in self.blocks)

    def limits(self, name: str) -> tuple[datetime, datetime]:
        """Return the lowest and the highest value of a column of times."""
        limits = [compute.min_max(table[name]).as_py() for table in self.tables((name,))]
        return min(one["min"] for one in limits), max(one["max"] for one in limits)

    def load(self) -> Candles:
        """Return all bars at once."""
        return Candles(self.symbol, self.timeframe, pyarrow.concat_tables(self.tables()).cast(SCHEMA))


def loaded(candles: Candles | SpooledCandles) -> Candles:
    """Return all bars at once."""
    return candles.load() if isinstance(candles, SpooledCandles) else candles
