"""The listener of the price source: it puts messages into the PriceTracker's mailbox."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from actors.messages import DataSeen, InstrumentsLoaded, QuotesSeen, SourceEnded
from actors.ports import Address
from domain.market_data.buffer import MarketDataBuffer
from domain.trading.instruments import InstrumentCatalog
from domain.trading.quotes import Quote


class TrackerListener:
    """The object that the price source calls, from threads of its own.

    Args:
        tracker: the address of the PriceTracker.
        buffer: of market data for open orders.
        messages: the number of messages that wait for the actors that handle prices.
    """

    def __init__(self, tracker: Address, buffer: MarketDataBuffer, messages: Callable[[], int] = lambda: 0) -> None:
        self._tracker = tracker
        self._buffer = buffer
        self._messages = messages

    def instruments_loaded(self, catalog: InstrumentCatalog) -> None:
        """Pass on the instruments that the source has loaded."""
        self._tracker.tell(InstrumentsLoaded(catalog))

    def quotes_seen(self, quotes: Sequence[Quote]) -> None:
        """Pass on quotes; those of symbols with open orders one by one, the others may be merged on the way.

        Single trades of other symbols are dropped: they are no quotes for which bid and ask are known.
        """
        watched = self._buffer.watched
        data = tuple(quote for quote in quotes if quote.symbol in watched) if watched else ()
        if data:
            self._tracker.tell(DataSeen(data))
        others = {quote.symbol: quote for quote in quotes if quote.symbol not in watched and not quote.is_trade}
        if others:
            self._tracker.tell(QuotesSeen(others))

    def waiting(self) -> int:
        """Return the number of messages that wait, and of pieces that are kept until a commit."""
        return self._messages() + len(self._buffer)

    def source_ended(self, reason: str) -> None:
        """Pass on why the source sends no more prices."""
        self._tracker.tell(SourceEnded(reason))
