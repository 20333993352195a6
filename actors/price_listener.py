"""What calls in from outside: puts messages into mailboxes."""

from __future__ import annotations

from collections.abc import Sequence

from actors.messages import InstrumentsLoaded, QuotesSeen, SourceEnded
from actors.ports import Address
from domain.trading.instruments import InstrumentCatalog
from domain.trading.quotes import Quote


class TrackerListener:
    """What the price source calls: puts a message into the PriceTracker's mailbox."""

    def __init__(self, tracker: Address) -> None:
        self._tracker = tracker

    def instruments_loaded(self, book: InstrumentCatalog) -> None:
        """The source knows its instruments."""
        self._tracker.tell(InstrumentsLoaded(book))

    def quotes_seen(self, quotes: Sequence[Quote]) -> None:
        """The source saw prices."""
        self._tracker.tell(QuotesSeen({quote.symbol: quote for quote in quotes}))

    def source_ended(self, reason: str) -> None:
        """The source sends nothing any more."""
        self._tracker.tell(SourceEnded(reason))
