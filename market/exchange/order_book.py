"""The best levels of the order books of symbols with decisions or open orders."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from loguru import logger

from domain.log_once import LogOnce
from domain.trading.arithmetic import plain
from domain.trading.freshness.age import Fresh
from domain.trading.quotes import Quote
from domain.types import Clock, Instant, Symbol
from market.exchange.exchange_clock import ExchangeClock
from market.exchange.market_list import MarketListCheck
from market.exchange.parsing import positive
from market.exchange.retry import Timing, describe_error, is_network
from market.exchange.venue import CACHE_POLL_S, Venue

MAX_BOOK_AGE_S = 10.0
"""A book of which nothing has arrived for longer is no more known."""
UNSUBSCRIBE_TIMEOUT_S = 2.0
FAILURES_BEFORE_POLLING = 2
"""After so many failures of its stream in a row a book is requested instead, until the stream works again."""


@dataclass(frozen=True, slots=True)
class Book:
    """The best levels of an order book.

    Attributes:
        seen: when they arrived.
        streamed: they come from a stream that is in order; else from an answer to a request.
    """

    symbol: Symbol
    bid: Decimal
    ask: Decimal
    bid_size: Decimal | None
    ask_size: Decimal | None
    seen: Instant
    streamed: bool

    def levels(self) -> tuple[Decimal | None, ...]:
        """Return all that counts in a quote."""
        return self.bid, self.ask, self.bid_size, self.ask_size


class BookVenue(Venue):
    """An exchange that is asked for order books, by a connection of its own: an error in a book ends no other stream.

    Args:
        exchange_id: as ccxt spells it.
        options: further options of ccxt's exchange.
        timeout: for one answer, in seconds.

    Attributes:
        streams_books: whether it has a WebSocket for them; ``answers_books`` whether it answers requests for them.
    """

    def __init__(self, exchange_id: str, options: Mapping[str, Any], timeout: float) -> None:
        super().__init__(exchange_id, options, timeout, MarketListCheck((), 0))
        self._ccxt.number = float  # ccxt compares the prices of levels
        self._accepted: dict[Symbol, Mapping[str, Any]] = {}
        self.streams_books = self.is_pro and bool(self._ccxt.has.get("watchOrderBook"))
        self.answers_books = bool(self._ccxt.has.get("fetchOrderBook"))
        if self.streams_books:
            self._note_accepted_books()

    def take_markets(self, venue: Venue) -> None:
        """Use the list of markets of another one."""
        self._ccxt.set_markets(list(venue.markets.values()))
        self._listed.set()

    def _note_accepted_books(self) -> None:
        """Keep the best levels of each book as ccxt hands it on: its own copy holds a wrong message, too, for a while.

        It changes that copy first, then compares the checksum, and drops the copy when the exchange has confirmed that
        it is unsubscribed.
        """
        open_client = self._ccxt.client

        def noting_client(url: str) -> Any:
            client = open_client(url)
            if "resolve" not in vars(client):
                resolve = client.resolve

                def noting_resolve(result: Any, *args: Any) -> Any:
                    self._accept(result)
                    return resolve(result, *args)

                client.resolve = noting_resolve
            return client

        self._ccxt.client = noting_client

    def _accept(self, result: Any) -> None:
        for symbol, book in self._ccxt.orderbooks.items():
            if book is result:
                levels = {side: [tuple(level[:2]) for level in book[side][:1]] for side in ("bids", "asks")}
                self._accepted[symbol] = {**levels, "nonce": book.get("nonce"), "timestamp": book.get("timestamp")}

    async def wait_for_book(self, symbol: Symbol) -> None:
        """Wait for the next change of a streamed book.

        Raises:
            Exception: ccxt's; after a gap in the numbers or a wrong checksum the next call begins with a whole book.
        """
        await self._ccxt.watch_order_book(symbol)

    def streamed_book(self, symbol: Symbol) -> Mapping[str, Any] | None:
        """Return the best levels of a streamed book; None where it is in doubt, or ccxt has dropped it."""
        present, accepted = self._ccxt.orderbooks.get(symbol), self._accepted.get(symbol)
        in_doubt = present is None or accepted is None or _fingerprint(present) != _fingerprint(accepted)
        return None if in_doubt else accepted

    async def request_book(self, symbol: Symbol) -> Mapping[str, Any]:
        """Request a book."""
        book: Mapping[str, Any] = await self._ccxt.fetch_order_book(symbol)
        return book

    def forget_errors(self, symbol: Symbol) -> None:
        """Drop errors that ccxt has kept for those who watch this book next: they are of the subscription before."""
        for client in self._ccxt.clients.values():
            for key in [key for key in client.rejections if key.endswith(f":{symbol}")]:
                del client.rejections[key]

    async def drop_book(self, symbol: Symbol) -> None:
        """Unsubscribe from a book, and forget it: the next one is whole."""
        with suppress(Exception):
            if self._ccxt.has.get("unWatchOrderBook"):
                await asyncio.wait_for(self._ccxt.un_watch_order_book(symbol), UNSUBSCRIBE_TIMEOUT_S)
        self._ccxt.orderbooks.pop(symbol, None)
        self._accepted.pop(symbol, None)


class _OutOfSync(Exception):
    """A book that cannot be right."""


class BookFeed:
    """Follows the order books of some symbols. A book that is out of sync is unknown until it is whole again.

    Args:
        venue: the exchange.
        clock: ours.
        exchange_clock: that of the exchange, by which an old book is no book.
        timing: intervals and time limits.
        deliver: receives the best levels whenever they have changed.

    Attributes:
        log: logs a book that fails once, and its end.
    """

    def __init__(
        self,
        venue: BookVenue,
        clock: Clock,
        exchange_clock: ExchangeClock,
        timing: Timing,
        deliver: Callable[[Book], None],
    ) -> None:
        self.log = LogOnce.to(logger)
        self._venue = venue
        self._clock = clock
        self._exchange_clock = exchange_clock
        self._timing = timing
        self._deliver = deliver
        self._books: dict[Symbol, Book] = {}
        self._tasks: dict[Symbol, asyncio.Task[None]] = {}
        self._failures: dict[Symbol, int] = {}  # in a row, of the stream
        self._closed = False

    def follow(self, symbols: Collection[Symbol]) -> None:
        """Follow the books of these symbols, and of no others."""
        for symbol in self._tasks.keys() - set(symbols):
            self._tasks.pop(symbol).cancel()
            self._forget(symbol)
            self.log.recovered(key=symbol)
        for symbol in symbols:
            if symbol not in self._tasks:
                self._tasks[symbol] = asyncio.ensure_future(self._follow(symbol))

    def best(self, symbol: Symbol, now: Instant) -> Book | None:
        """Return the best levels of a book; None while they are not known."""
        book = self._books.get(symbol)
        return book if book is not None and now.since(book.seen).total_seconds() <= MAX_BOOK_AGE_S else None

    async def close(self) -> None:
        """Follow no book any more, and close the connections."""
        self._closed = True
        tasks = list(self._tasks.values())
        self.follow(())
        await asyncio.gather(*tasks, return_exceptions=True)
        with suppress(Exception):
            await self._venue.close()

    def _forget(self, symbol: Symbol) -> None:
        self._books.pop(symbol, None)

    async def _follow(self, symbol: Symbol) -> None:
        self._failures[symbol] = 0
        try:
            while True:
                try:
                    if self._venue.streams_books and self._failures[symbol] < FAILURES_BEFORE_POLLING:
                        await self._stream(symbol)
                    else:
                        await self._poll(symbol)
                        self._failures[symbol] = 0
                except Exception as error:  # noqa: BLE001 - whatever ccxt raises: the book is unknown, and begins anew
                    self._failures[symbol] += 1
                    self._fail(symbol, error)
                    if isinstance(error, TimeoutError) or not is_network(error):
                        # A lost connection, or a gap in the numbers, begins anew by itself.
                        await self._venue.drop_book(symbol)
                    retry = self._timing.first_retry * 2 ** min(self._failures[symbol], 10)
                    await asyncio.sleep(min(retry, self._timing.max_retry))
        finally:
            if self._venue.streams_books and not self._closed:
                await self._venue.drop_book(symbol)

    async def _stream(self, symbol: Symbol) -> None:
        """Take each change of a streamed book, until it fails.

        ccxt wakes only those who wait at that moment, which nobody does after an error; its cache has what came.
        """
        self._venue.forget_errors(symbol)
        last = self._venue.streamed_book(symbol)
        deadline: float | None = asyncio.get_running_loop().time() + self._timing.book_timeout
        wait = asyncio.ensure_future(self._venue.wait_for_book(symbol))
        try:
            while True:
                done, _ = await asyncio.wait([wait], timeout=CACHE_POLL_S)
                if done:
                    wait.result()
                    wait = asyncio.ensure_future(self._venue.wait_for_book(symbol))
                book = self._venue.streamed_book(symbol)
                if book is not None and (done or book is not last):
                    self._take(symbol, book, streamed=True)
                    self._failures[symbol], deadline, last = 0, None, book
                    await asyncio.sleep(self._timing.book_interval)
                elif book is None and deadline is None:
                    self._forget(symbol)  # a message has not fitted: the reason comes next, or a whole book
                elif deadline is not None and asyncio.get_running_loop().time() > deadline:
                    raise TimeoutError("its stream sends nothing")
        finally:
            wait.cancel()
            await asyncio.gather(wait, return_exceptions=True)

    async def _poll(self, symbol: Symbol) -> None:
        """Request a book until it is time to try its stream again; for ever where there is none."""
        until = asyncio.get_running_loop().time() + self._timing.book_stream_retry
        while not self._venue.streams_books or asyncio.get_running_loop().time() < until:
            self._take(symbol, await self._venue.request_book(symbol), streamed=False)
            await asyncio.sleep(self._timing.poll_interval)

    def _take(self, symbol: Symbol, levels: Mapping[str, Any], *, streamed: bool) -> None:
        """Deliver the best levels if they have changed.

        Raises:
            _OutOfSync: the best bid is above the best ask, or the book is old.
        """
        now = Instant.of(self._clock)
        bid, bid_size = _best(levels["bids"])
        ask, ask_size = _best(levels["asks"])
        if bid is None or ask is None:
            self._forget(symbol)  # one side of the market is empty
            return
        if bid > ask:
            raise _OutOfSync(f"its best bid {plain(bid)} is above its best ask {plain(ask)}")
        _, freshness = self._exchange_clock.read(levels.get("timestamp"), now, has_book=False)
        if freshness.fresh is Fresh.NOTHING:
            raise _OutOfSync("its time is old by the exchange's clock")
        before, book = self._books.get(symbol), Book(symbol, bid, ask, bid_size, ask_size, now, streamed)
        self._books[symbol] = book
        self.log.recovered(f"{self._venue.name} sends the order book of {symbol} again", key=symbol)
        if before is None or before.levels() != book.levels():
            self._deliver(book)

    def _fail(self, symbol: Symbol, error: Exception) -> None:
        self._forget(symbol)
        reason = str(error) if isinstance(error, _OutOfSync) else describe_error(error)
        if type(error).__name__ == "UnsubscribeError":  # so ccxt ends those who wait, before it tells the reason
            reason = "a message did not fit to it; unsubscribed"
        message = f"The order book of {symbol} at {self._venue.name} is unknown ({reason}); beginning anew"
        self.log.failed(message, key=symbol)


def _fingerprint(book: Mapping[str, Any]) -> object:
    """Return what differs once a book has changed."""
    levels = [tuple(level[:2]) for side in ("bids", "asks") for level in book[side][:1]]
    return book.get("nonce"), book.get("timestamp"), levels


def _best(levels: Any) -> tuple[Decimal | None, Decimal | None]:
    """Return price and size of the first level; None for both where there is none."""
    first = levels[0] if len(levels) else None
    price = positive(first[0]) if first is not None else None
    return (None, None) if price is None or first is None else (price, positive(first[1]))


def with_book(quote: Quote, book: Book, now: Instant, exchange_clock: ExchangeClock) -> Quote:
    """Return a quote of the moment ``now`` with the levels of a book: its last trade is as old as it was."""
    freshness = quote.freshness
    assert freshness is not None  # it comes from an exchange
    return replace(
        quote,
        seen=now,
        bid=book.bid,
        ask=book.ask,
        bid_size=book.bid_size,
        ask_size=book.ask_size,
        freshness=replace(freshness, exchange_time=exchange_clock.time(now), fresh=Fresh.BOOK),
    )


def with_levels(quote: Quote, book: Book) -> Quote:
    """Return a quote with the levels of a book that is known when it arrives."""
    freshness = quote.freshness
    assert freshness is not None  # it comes from an exchange
    fresh = Fresh.BOOK if freshness.fresh is Fresh.NOTHING else freshness.fresh
    return replace(
        quote,
        bid=book.bid,
        ask=book.ask,
        bid_size=book.bid_size,
        ask_size=book.ask_size,
        freshness=replace(freshness, fresh=fresh),
    )
