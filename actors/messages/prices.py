"""Messages about prices and market data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field
from datetime import datetime

from actors.messages.base import Latest, Message, PathMessage
from domain.market_data.awaited_splits import LastPrices
from domain.market_data.buffer import LostData
from domain.trading.instruments import InstrumentCatalog
from domain.trading.quotes import MarketData, PricePoint, Quote
from domain.types import Generation, Symbol


class QuotesSeen(Latest):
    """Quotes, from the price source to the PriceTracker, and from there to the Sizer."""

    quotes: Mapping[Symbol, Quote]

    def merged(self, newer: QuotesSeen) -> QuotesSeen:
        """Keep the newest quote of each symbol."""
        return QuotesSeen({**self.quotes, **newer.quotes})


class DataSeen(Message):
    """Market data of symbols with open orders, which are never merged.

    They go from the price source to the PriceTracker, and numbered from there to the ExecutionSimulator. What waited
    in between may be folded; see `domain.market_data.folding`.
    """

    quotes: tuple[MarketData, ...]


class Watch(Message):
    """ExecutionSimulator to PriceTracker: the symbols with open orders.

    Attributes:
        symbols: each with the number of the data after which one of its orders can be matched.
        new: those of them that had no open order before: data that were missed are sent.
        begins: the generation that begins: `KeptData` answers with all data that were kept for these symbols.
    """

    symbols: Mapping[Symbol, int]
    new: frozenset[Symbol] = frozenset()
    begins: Generation | None = None


class KeptData(PathMessage):
    """PriceTracker to ExecutionSimulator: what is matched again as a generation begins, before any other data.

    Attributes:
        lost: by symbol, what else would be matched, and is not kept any more.
    """

    quotes: tuple[MarketData, ...]
    lost: Mapping[Symbol, LostData] = field(default_factory=dict)


class Release(Latest):
    """PositionKeeper to PriceTracker: what rests on the data up to these numbers is committed.

    Attributes:
        numbers: by symbol, the number of the last data.
        watched: the symbols with open orders.
    """

    numbers: Mapping[Symbol, int]
    watched: frozenset[Symbol]

    def merged(self, newer: Release) -> Release:
        """Keep the highest number of each symbol."""
        symbols = {**self.numbers, **newer.numbers}
        numbers = {symbol: max(self.numbers.get(symbol, 0), newer.numbers.get(symbol, 0)) for symbol in symbols}
        return Release(numbers, newer.watched)


class InstrumentsLoaded(Message):
    """The price source has loaded its instruments."""

    catalog: InstrumentCatalog


class StoredPrices(Message):
    """To the PriceTracker: what is stored of the symbols with open positions; None if it cannot be read now."""

    prices: LastPrices | None


class SourceEnded(Message):
    """The price source sends no more prices."""

    reason: str


class Subscribe(Message):
    """Sizer to PriceTracker: a decision waits for a price of this symbol."""

    symbol: Symbol


class AcceptPrice(Message):
    """To the PriceTracker, by a person: the price of a symbol that is held back counts as it is."""

    symbol: Symbol


class ForgetPrice(Message):
    """PositionKeeper to PriceTracker: a split of a symbol is in the books, so that earlier prices count no more.

    That of a split is sent again when a generation begins, because it may be lost in between. It is sent, too, where
    the symbol has replaced another one, so that its prices are needed.

    Attributes:
        at: the time of the split.
    """

    symbol: Symbol
    at: datetime


class HeldBack(Latest):
    """PriceTracker to Sizer: the symbols whose newest price is held back, each with the reason; all of them."""

    reasons: Mapping[Symbol, str]


class Prices(Message):
    """PriceTracker's answer to `SendPrices`.

    Attributes:
        catalog: the instruments; None before they are loaded.
        quotes: the newest quotes that this process has seen.
        points: the newest price of each symbol; a stored one if this process has seen none.
        held_back: see `HeldBack`.
    """

    catalog: InstrumentCatalog | None
    quotes: Mapping[Symbol, Quote]
    points: Mapping[Symbol, PricePoint]
    held_back: Mapping[Symbol, str] = field(default_factory=dict)


class SendPrices(Message):
    """To the PriceTracker: answer with `Prices`."""

    reply_to: Callable[[Prices], None]


class Tick(Latest):
    """A tick of the timer."""
