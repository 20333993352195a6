"""The market data of a backtest: what of each bar the engine sees, and at which moment.

A bar is two pieces: its open, when it begins, and the bar with its close, when that is known. Single prices are one
piece each. At one moment the order of things is: orders expire, closes are known, snapshots are taken, decisions are
made, bars open.

A moment is a number, so that moments can be compared and kept in columns: microseconds since 1970 × `PHASES` + phase.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import IntEnum
from typing import NamedTuple

from domain.trading.instruments import Instrument, InstrumentCatalog
from domain.trading.prices import mark
from domain.trading.quotes import BarPrices, Quote
from domain.types import Instant, PriceRule, Symbol
from research.columns.bar_columns import BarColumns, time_of
from research.columns.scaled import UNKNOWN

SOURCE = "backtest"
"""Name of the price source of a backtest."""
PHASES = 8
NEAR_BARS = 32
"""The next piece is looked for among so many bars before all later ones."""
MICROSECONDS_PER_SECOND = 1_000_000


class Phase(IntEnum):
    """What happens at one moment, in this order."""

    EXPIRY = 0
    CLOSE = 1
    SNAPSHOT = 2
    DECISION = 3
    OPEN = 4


class Piece(NamedTuple):
    """A piece of market data.

    Attributes:
        moment: when it is known.
        bar: number of the bar.
        is_open: whether it is the open of the bar; else the bar with its close, or a single price.
    """

    moment: int
    bar: int
    is_open: bool

    @property
    def number(self) -> int:
        """Its number as market data of its symbol."""
        return 2 * self.bar + (1 if self.is_open else 2)


@dataclass(frozen=True, slots=True)
class Market:
    """The prices of all symbols of a backtest.

    Attributes:
        columns: of each symbol; one for each symbol.
        instruments: of the same symbols.
        origin: the beginning of the first bar, in microseconds since 1970; durations are counted from there.
    """

    columns: Sequence[BarColumns]
    instruments: Sequence[Instrument]
    origin: int

    @classmethod
    def of(cls, columns: Sequence[BarColumns], instruments: Sequence[Instrument]) -> Market:
        """Return the market of symbols with at least one price."""
        return cls(columns, instruments, min(int(one.begin[0]) for one in columns if len(one)))

    @property
    def catalog(self) -> InstrumentCatalog:
        """The instruments."""
        return InstrumentCatalog(self.instruments)

    @property
    def numbers(self) -> dict[Symbol, int]:
        """The place of each symbol."""
        return {one.symbol: number for number, one in enumerate(self.columns)}

    @property
    def end(self) -> int:
        """When the last price is known, in microseconds since 1970."""
        return max(int(one.time[-1]) for one in self.columns if len(one))

    def until(self, micros: int) -> Market:
        """Return what is known of it at a time; symbols without a price by then are missing."""
        counts = [bisect_right(one.time, micros) for one in self.columns]
        kept = [number for number, count in enumerate(counts) if count]
        columns = [self.columns[number].until(counts[number]) for number in kept]
        return Market(columns, [self.instruments[number] for number in kept], self.origin)

    def instant(self, moment: int) -> Instant:
        """Return a moment for the engine: a decision comes later than the closes of its time, and no later than opens.

        So the price with which a bar closes is older than a decision that is made at this close.
        """
        micros, phase = divmod(moment, PHASES)
        after = 1 if phase >= Phase.DECISION else 0
        return Instant(time_of(micros), (micros - self.origin + after) / MICROSECONDS_PER_SECOND)

    def next_piece(self, number: int, moment: int, first: int = 0) -> Piece | None:
        """Return the first piece of a symbol after a moment; None if there is none.

        Args:
            number: the place of the symbol.
            moment: the moment.
            first: a bar at or before which it cannot be earlier; it is looked for near this one first.
        """
        one, micros = self.columns[number], moment // PHASES
        past = bisect_right if moment % PHASES >= Phase.CLOSE else bisect_left
        near = min(first + NEAR_BARS, len(one))
        bar = past(one.time, micros, first, near)
        if bar == near:
            bar = past(one.time, micros, near)
        if bar >= len(one):
            return None
        if one.has_open[bar]:
            opened = int(one.begin[bar]) * PHASES + Phase.OPEN
            if opened > moment:
                return Piece(opened, bar, is_open=True)
        return Piece(int(one.time[bar]) * PHASES + Phase.CLOSE, bar, is_open=False)

    def last_piece(self, number: int, moment: int) -> Piece | None:
        """Return the last piece of a symbol that is known at a moment; None if there is none."""
        one, micros = self.columns[number], moment // PHASES
        past = bisect_right if moment % PHASES >= Phase.CLOSE else bisect_left
        bar = past(one.time, micros)
        if bar < len(one) and one.has_open[bar]:
            opened = int(one.begin[bar]) * PHASES + Phase.OPEN
            if opened <= moment:
                return Piece(opened, bar, is_open=True)
        return Piece(int(one.time[bar - 1]) * PHASES + Phase.CLOSE, bar - 1, is_open=False) if bar else None

    def together(self, number: int, piece: Piece) -> Iterator[Piece]:
        """Yield a piece, and those of its symbol after it that are known at the same moment."""
        yield piece
        one = self.columns[number]
        if piece.is_open or not one.has_ties:
            return
        for bar in range(piece.bar + 1, bisect_right(one.time, piece.moment // PHASES)):
            yield Piece(piece.moment, bar, is_open=False)

    def mark(self, number: int, piece: Piece, rule: PriceRule) -> Decimal:
        """Return the price at which a position is valued after a piece of its symbol."""
        one = self.columns[number]
        price = one.price((one.open if piece.is_open else one.close)[piece.bar])
        if not one.quotes:
            return price
        return mark(rule, price, self._quoted(one, "bid", piece.bar), self._quoted(one, "ask", piece.bar))

    def quote(self, number: int, piece: Piece, seen: Instant | None = None) -> Quote:
        """Return a piece as the engine takes it.

        Args:
            number: the place of its symbol.
            piece: the piece.
            seen: its moment as an `Instant`, where that is known.
        """
        one, bar = self.columns[number], piece.bar
        seen = seen or self.instant(piece.moment)
        if piece.is_open:
            return Quote(
                one.symbol, one.price(one.open[bar]), seen.time, seen, SOURCE, real=False, is_trade=True,
                data_no=piece.number,
            )  # fmt: skip
        volume = None if one.volume is None or one.volume[bar] == UNKNOWN else one.size(one.volume[bar])
        price = one.price(one.close[bar])
        if not one.has_bars:
            return Quote(
                one.symbol, price, seen.time, seen, SOURCE, real=False, data_no=piece.number, volume=volume,
                bid=self._quoted(one, "bid", bar), ask=self._quoted(one, "ask", bar),
                bid_size=self._quoted(one, "bid_size", bar), ask_size=self._quoted(one, "ask_size", bar),
            )  # fmt: skip
        prices = BarPrices(
            time_of(int(one.begin[bar])), one.price(one.open[bar]), one.price(one.high[bar]), one.price(one.low[bar]),
            volume,
        )  # fmt: skip
        return Quote(
            one.symbol, price, seen.time, seen, SOURCE, real=False, data_no=piece.number, volume=volume, bar=prices
        )

    def _quoted(self, one: BarColumns, name: str, bar: int) -> Decimal | None:
        column = one.quotes.get(name)
        if column is None or column[bar] == UNKNOWN:
            return None
        return one.price(column[bar]) if name in {"bid", "ask"} else one.size(column[bar])
