"""What a file was taken for: its dialect, its symbols, the meaning of its columns, and the choices of its reader."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum

from domain.types import Symbol
from market.history.timeframe import Timeframe

MAX_BAD_ROWS = Decimal("0.001")
"""A file with a greater fraction of bad rows is refused."""


class Role(StrEnum):
    """The meaning of a column."""

    TIME = "time"
    """When the price was made, or the bar began: date and time of day."""
    DATE = "date"
    """The date alone; the time of day is another column."""
    CLOCK = "time of day"
    END = "close_time"
    SYMBOL = "symbol"
    TIMEFRAME = "timeframe"
    OPEN = "open"
    HIGH = "high"
    LOW = "low"
    CLOSE = "close"
    VOLUME = "volume"
    PRICE = "price"
    BID = "bid"
    ASK = "ask"
    BID_SIZE = "bid_size"
    ASK_SIZE = "ask_size"


class Kind(StrEnum):
    """What the rows of a file are."""

    BARS = "bars"
    TICKS = "prices"
    """Single prices, each of one moment."""


class BarTime(StrEnum):
    """Which moment of a bar its time is."""

    BEGIN = "begin"
    END = "end"


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """The choices of a person who reads a file.

    Attributes:
        symbol: of all rows of a file with one symbol; None: a column, or the file's name, says it.
        timeframe: the length of the bars; None: the file says it, or the distance of its rows.
        dialect: the name of the dialect; None: it is recognised.
        bar_time: which moment of a bar its time is.
        day_first: whether 01/02/2024 is the first of February; None: only dates with one meaning are read.
        decimal_comma: whether 1,234 is less than two; None: only numbers with one meaning are read.
        max_bad_rows: the fraction of bad rows that a file may have; they are left out.
    """

    symbol: Symbol | None = None
    timeframe: Timeframe | None = None
    dialect: str | None = None
    bar_time: BarTime = BarTime.BEGIN
    day_first: bool | None = None
    decimal_comma: bool | None = None
    max_bad_rows: Decimal = MAX_BAD_ROWS


@dataclass(frozen=True, slots=True)
class Series:
    """Columns that belong together: one symbol's, or all columns where one of them is the symbol.

    Attributes:
        columns: the index of the column for each role.
        symbol: of all rows; None: the column of role `Role.SYMBOL` says it.
    """

    columns: Mapping[Role, int]
    symbol: Symbol | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """How a file is read.

    Attributes:
        dialect: the name of what the file was taken for.
        kind: bars or single prices.
        series: one for each symbol that has columns of its own; usually one.
        timeframe: the length of the bars that the file's name says.
        header_rows: the rows at the top of the columns that belong to the header.
        utc_offset_s: seconds from UTC to the times of the file that name no zone.
        renames_symbols: whether a column's BTCUSDT becomes BTC/USDT.
        carries_quotes: whether an empty bid or ask is the one of the row before.
        notes: sentences about what was taken for what.
        questions: sentences about what only the reader can know; they refuse the file.
    """

    dialect: str
    kind: Kind
    series: tuple[Series, ...]
    timeframe: Timeframe | None = None
    header_rows: int = 0
    utc_offset_s: int = 0
    renames_symbols: bool = True
    carries_quotes: bool = False
    notes: tuple[str, ...] = ()
    questions: tuple[str, ...] = ()
    header: tuple[str, ...] | None = field(default=None, repr=False)

    def summary(self) -> str:
        """Return a sentence that says what was taken for what."""
        parts = [f"read as {self.dialect}"]
        for series in self.series[:3]:
            columns = ", ".join(f"{role} from {self._column(index)}" for role, index in series.columns.items())
            parts.append(f"{series.symbol}: {columns}" if series.symbol else columns)
        if self.timeframe:
            parts.append(f"timeframe {self.timeframe}")
        return "; ".join((*parts, *self.notes))

    def _column(self, index: int) -> str:
        name = self.header[index] if self.header else ""
        return repr(name) if name else f"column {index + 1}"
