"""The order books of a session: which are followed, and how their best levels come into the quotes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING

from domain.trading.quotes import PriceListener, Quote
from domain.types import Instant, Symbol
from market.exchange.exchange_clock import ExchangeClock
from market.exchange.order_book import Book, BookFeed, with_book, with_levels
from market.exchange.venue import Venue

if TYPE_CHECKING:
    from market.exchange.ccxt_source import ExchangePrices

MAX_BOOKS = 50
"""Order books that are followed at once; those of open orders first."""


class BookFollower:
    """Follows the order books that the source wants, and joins their levels with the last prices.

    Args:
        source: tells which books are followed.
        exchange_clock: the exchange's clock.
        listener: receives a price whenever the best levels have changed.
    """

    def __init__(self, source: ExchangePrices, exchange_clock: ExchangeClock, listener: PriceListener) -> None:
        self._source = source
        self._exchange_clock = exchange_clock
        self._listener = listener
        self._feed: BookFeed | None = None
        # By symbol: the last price that an answer or the stream of tickers gave; order books tell no last trade.
        self._last_quotes: dict[Symbol, Quote] = {}

    @property
    def troubles(self) -> Sequence[str]:
        """Messages of the books that are unknown."""
        feed = self._feed
        return feed.log.messages if feed is not None else ()

    async def run(
        self, venue: Venue, listed: Callable[[Collection[Symbol]], list[Symbol]], changed: asyncio.Event
    ) -> None:
        """Follow books by connections of their own, once there are any to follow, until it is cancelled; then `close`.

        Args:
            venue: has the list of markets.
            listed: returns the exchange's names of symbols, without those that it does not list.
            changed: is set when other books are wanted, or the list of markets is new.
        """
        while not listed(self._source.watched_books):
            changed.clear()
            await changed.wait()
        books = self._source.make_book_venue()
        if not books.streams_books and not books.answers_books:
            await asyncio.Event().wait()
        timing = self._source.timing
        await self.close()  # after an unexpected error
        feed = self._feed = BookFeed(books, self._source.clock, self._exchange_clock, timing, self._take)
        while True:
            changed.clear()
            books.take_markets(venue)
            first = listed(self._source.watched_closely & self._source.watched_books)
            symbols = dict.fromkeys([*first, *listed(self._source.watched_books)])
            feed.follow([*symbols][:MAX_BOOKS])
            await changed.wait()

    async def close(self) -> None:
        """Follow no book any more, and close the connections."""
        feed, self._feed = self._feed, None
        if feed is not None:
            await feed.close()

    def _take(self, book: Book) -> None:
        """Deliver the last price of a symbol with the new best levels of its order book."""
        if (last := self._last_quotes.get(book.symbol)) is not None:
            now = Instant.of(self._source.clock)
            self._listener.quotes_seen([with_book(last, book, now, self._exchange_clock)])

    def joined(self, quotes: Sequence[Quote]) -> list[Quote]:
        """Return quotes that have just arrived with the levels of their order books, as far as these are newer.

        What a stream has changed is newer than the answer to an earlier request; a book that was requested counts where
        the quote has no bid or ask.
        """
        self._last_quotes |= {quote.symbol: quote for quote in quotes}
        if self._feed is None:
            return list(quotes)
        joined = []
        for quote in quotes:
            book = self._feed.best(quote.symbol, quote.seen)
            counts = book is not None and (book.streamed or quote.bid is None or quote.ask is None)
            joined.append(with_levels(quote, book) if book is not None and counts else quote)
        return joined
