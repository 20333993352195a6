"""PriceTracker: the newest price of each symbol, and the health of their source."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal

from loguru import logger

from actors.cell import Behaviour
from actors.messages import BookKnown, Message, Prices, QuotesSeen, SendPrices, SourceEnded, Subscribe, Tick
from actors.ports import Address, PriceRecords
from domain.errors import DatabaseError
from domain.market import PriceSource, Quote, SymbolBook
from domain.words import Clock, Symbol

FORGET_EVERY = timedelta(hours=1)


class PriceTracker(Behaviour):
    """Passes prices on to those that need them, and has at most one a symbol and tick (a second) stored.

    Args:
        source: where prices come from; started and stopped by the system.
        records: the table.
        sizer: who needs each price.
        clock: the time.
        retention: how long stored prices are kept.
    """

    def __init__(
        self, source: PriceSource, records: PriceRecords, *, sizer: Address, clock: Clock, retention: timedelta
    ) -> None:
        self._source = source
        self._records = records
        self._sizer = sizer
        self._clock = clock
        self._retention = retention
        self._book: SymbolBook | None = None
        self._quotes: dict[Symbol, Quote] = {}
        self._unrecorded: dict[Symbol, Quote] = {}
        self._stored: dict[Symbol, Decimal] | None = None
        self._forgotten_at: datetime | None = None
        self.refused = 0

    def started(self) -> None:
        """Read the stored prices; the source tells the rest again."""
        self._read_stored()
        self._book = self._source.book

    def handle(self, message: Message) -> None:
        """Handle one message."""
        match message:
            case QuotesSeen():
                self._seen(message.quotes.values())
            case BookKnown():
                self._book = message.book
                self._sizer.tell(message)
            case Subscribe():
                self._source.subscribe([message.symbol])
            case SendPrices():
                message.to(Prices(self._book, dict(self._quotes), self._marks()))
            case SourceEnded():
                logger.warning("price source {}: {}", self._source.name, message.reason)
            case Tick():
                self._record()

    def _seen(self, quotes: Iterable[Quote]) -> None:
        good = {}
        for quote in quotes:
            if quote.price.is_finite() and quote.price > 0:
                good[quote.symbol] = quote
            else:
                self.refused += 1
                logger.warning("price source {} sent {} for {}; dropped", quote.source, quote.price, quote.symbol)
        self._quotes.update(good)
        self._unrecorded.update(good)
        self._sizer.tell(QuotesSeen(good))

    def _marks(self) -> dict[Symbol, Decimal]:
        return {**(self._stored or {}), **{symbol: quote.price for symbol, quote in self._quotes.items()}}

    def _record(self) -> None:
        if self._stored is None:
            self._read_stored()
        if self._unrecorded:
            self._records.offer(list(self._unrecorded.values()))
            self._unrecorded = {}
        now = self._clock.now()
        if self._forgotten_at is None or now - self._forgotten_at >= FORGET_EVERY:
            self._forgotten_at = now
            self._records.forget(self._retention)

    def _read_stored(self) -> None:
        try:
            self._stored = dict(self._records.last_prices())
        except DatabaseError as error:
            logger.debug("stored prices are read again shortly: {}", error)
