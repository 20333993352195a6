"""Prices of a real exchange: watched where it has a WebSocket, asked for everywhere, as often as it allows."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from loguru import logger

from domain.errors import PriceSourceError
from domain.log_once import LogOnce
from domain.trading.instruments import Instrument
from domain.trading.quotes import PriceListener
from domain.types import Clock, Symbol
from market.base import STOP_WITHIN
from market.exchange import instrument_cache
from market.exchange.market_list import MarketListCheck
from market.exchange.quote_order import QuoteOrder
from market.exchange.retry import Attempts, Pace, is_network, sentence
from market.exchange.venue import Venue, check, quotes


class ExchangePrices:
    """A `PriceSource` on any exchange that ccxt knows: public data only, no key.

    >>> source = ExchangePrices("kraken", clock, cache=home / "markets" / "kraken.json")  # doctest: +SKIP

    Args:
        exchange_id: as ccxt spells it.
        clock: tells when a price was seen.
        cache: a file that keeps what is traded, for a start without the exchange; None keeps nothing.
        symbols: watched from the start to the end, as people type them.
        options: what ccxt's exchange is made with besides, such as proxies.
        pace: how long it waits for what.

    Attributes:
        refused: prices that were none: zero, negative, no number.

    Raises:
        SettingsError: ccxt knows no such exchange, or the options hold keys.
    """

    real = True
    notes: Sequence[str] = ()

    def __init__(
        self,
        exchange_id: str,
        clock: Clock,
        *,
        cache: Path | None,
        symbols: Collection[str] = (),
        options: Mapping[str, Any] | None = None,
        pace: Pace | None = None,
    ) -> None:
        check(exchange_id, options or {})
        self.name = exchange_id
        self.refused = 0
        self.book = instrument_cache.read(cache, exchange_id) if cache is not None else None
        self._clock = clock
        self._cache = cache
        self._always = frozenset(map(Symbol, symbols))
        self._options = dict(options or {})
        self._pace = pace or Pace()
        self._lock = threading.Lock()
        self._wanted: set[Symbol] = set(self._always)
        self._urgent: set[Symbol] = set(self._always)
        self._run: _Run | None = None

    def start(self, listener: PriceListener) -> None:
        """Begin to deliver; return at once.

        Raises:
            RuntimeError: it is running.
        """
        if self._run is not None and self._run.thread.is_alive():
            msg = f"the price source {self.name!r} is running already"
            raise RuntimeError(msg)
        with self._lock:
            self._urgent |= self._wanted
        self._run = _Run(self, listener)
        self._run.thread.start()

    def subscribe(self, symbols: Collection[Symbol]) -> None:
        """Watch ``symbols``, and ask for the price of each at once."""
        with self._lock:
            self._wanted.update(symbols)
            self._urgent.update(symbols)
        self._wake()

    def unsubscribe(self, symbols: Collection[Symbol]) -> None:
        """Watch ``symbols`` no more, unless they were named at the start."""
        with self._lock:
            self._wanted.difference_update(set(symbols) - self._always)
            self._urgent &= self._wanted
        self._wake()

    def stop(self) -> None:
        """Deliver nothing more; return when the connections are closed, or after a second."""
        run, self._run = self._run, None
        if run is not None:
            run.stop()

    def _wake(self) -> None:
        run = self._run
        if run is not None:
            run.wake()

    def wanted(self) -> set[Symbol]:
        """Return what is watched, as it was asked for."""
        with self._lock:
            return set(self._wanted)

    def take_urgent(self) -> set[Symbol]:
        """Return what has to be asked for at once, and leave nothing."""
        with self._lock:
            urgent, self._urgent = self._urgent, set()
            return urgent

    def ask_again(self, symbol: Symbol) -> None:
        """Ask for a symbol soon, if it is still watched."""
        if symbol in self.wanted():
            self.subscribe([symbol])

    @property
    def troubles(self) -> Sequence[str]:
        """What is tried again at this moment because it fails."""
        run = self._run
        return run.log.messages if run is not None else ()

    def renew_book(self, instruments: Collection[Instrument]) -> bool:
        """Take what the exchange trades now; return whether that is news."""
        before = self.book
        self.book = instrument_cache.renewed(before, instruments, self.name)
        news = before is None or dict(before.instruments) != dict(self.book.instruments)
        if news and self._cache is not None:
            instrument_cache.write(self._cache, self.name, self.book)
        return news

    def make_venue(self) -> Venue:
        """Return the exchange, to be used on the running loop."""
        traded = (
            [Symbol(row.symbol) for row in self.book.instruments.values() if not row.not_traded] if self.book else []
        )
        return Venue(self.name, self._options, self._pace.timeout, MarketListCheck(traded, self._pace.books))

    @property
    def pace(self) -> Pace:
        """How long it waits for what."""
        return self._pace

    @property
    def clock(self) -> Clock:
        """What tells when a price was seen."""
        return self._clock


class _Run:
    """What happens between a start and a stop: one thread, one asyncio loop, three loops on it."""

    def __init__(self, source: ExchangePrices, listener: PriceListener) -> None:
        self.thread = threading.Thread(target=self._begin, name=f"prices-{source.name}", daemon=True)
        self.log = LogOnce(logger.opt(depth=1).warning, logger.opt(depth=1).info)
        self._source = source
        self._listener = listener
        self._pace = source.pace
        self._loop: asyncio.AbstractEventLoop | None = None
        self._main: asyncio.Task[None] | None = None
        self._stopped = threading.Event()
        self._unknown: set[Symbol] = set()
        self._refused = LogOnce(logger.opt(depth=1).warning, logger.opt(depth=1).info)
        self._listened: set[Symbol] = set()
        self._heard = float("-inf")
        self._order = QuoteOrder(self._pace.late)

    # From other threads

    def wake(self) -> None:
        """What is wanted has changed."""
        self._call(self._changed)

    def stop(self) -> None:
        """End."""
        self._stopped.set()
        self._call(lambda: self._main.cancel() if self._main is not None else None)
        if self.thread is not threading.current_thread():
            self.thread.join(STOP_WITHIN)

    def _call(self, function: Callable[[], object]) -> None:
        loop = self._loop
        if loop is not None:
            with suppress(RuntimeError):  # it has just been closed
                loop.call_soon_threadsafe(function)

    # In the thread

    def _begin(self) -> None:
        try:
            asyncio.run(self._serve())
        except asyncio.CancelledError:
            return
        except PriceSourceError as error:
            self._listener.source_ended(str(error))
        except Exception as error:  # noqa: BLE001 - a thread that dies unheard would look like a quiet market
            logger.exception("the price source {!r} failed", self._source.name)
            if not self._stopped.is_set():
                self._listener.source_ended(f"it failed: {type(error).__name__}")

    async def _serve(self) -> None:
        self._asked = asyncio.Event()
        self._news = asyncio.Event()
        self._main = asyncio.current_task()
        self._loop = asyncio.get_running_loop()
        if self._stopped.is_set():
            return
        if self._source.book is not None:
            self._listener.instruments_loaded(self._source.book)
        self._venue = self._source.make_venue()
        if not self._venue.answers and not self._venue.streams:
            msg = f"{self._source.name} gives no tickers through ccxt; choose another exchange"
            raise PriceSourceError(msg)
        loops = [self._books]
        loops += [self._questions] if self._venue.answers else []
        loops += [self._stream] if self._venue.streams else []
        tasks = [asyncio.ensure_future(self._forever(each)) for each in loops]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            with suppress(Exception):
                await asyncio.wait_for(self._venue.hang_up(), STOP_WITHIN / 2)

    def _changed(self) -> None:
        self._asked.set()
        self._news.set()

    async def _forever(self, loop: Callable[[], Awaitable[None]]) -> None:
        """Begin a loop anew that ended by what nobody foresaw; only a stop ends it."""
        while True:
            try:
                await loop()
            except asyncio.CancelledError:
                if self._stopped.is_set():
                    raise
                logger.warning("{} begins anew: something within it was cancelled", self._source.name)
            except Exception as error:  # noqa: BLE001 - a loop that dies unheard would look like a quiet market
                logger.exception("{} begins anew after an unexpected {}", self._source.name, type(error).__name__)
            await asyncio.sleep(self._pace.longest_retry)

    def _attempts(self, fails: str, works: str, longest: Callable[[], float] | None = None) -> Attempts:
        return Attempts(self._venue, self._pace, fails, works, self.log, longest)

    def _longest_list_retry(self) -> float:
        return self._pace.longest_list_retry if self._venue.listed else self._pace.longest_retry

    async def _books(self) -> None:
        """Learn what is traded, again and again."""
        attempts = self._attempts("does not say what it trades", "says again what it trades", self._longest_list_retry)
        while True:
            instruments = await attempts.until_done(self._venue.instruments)
            if self._stopped.is_set():
                return  # a later start may know more by now
            if self._source.renew_book(instruments):
                assert self._source.book is not None
                self._listener.instruments_loaded(self._source.book)
                self._unknown.clear()
                self._changed()
            closed = all(instrument.not_traded for instrument in instruments)  # maintenance, which is soon over
            await asyncio.sleep(self._pace.longest_list_retry if closed else self._pace.books)

    async def _questions(self) -> None:
        """Ask for tickers: at once for what is urgent, for everything at the pace that the stream allows."""
        attempts = self._attempts("gives no prices", "gives prices again")
        loop = asyncio.get_running_loop()
        last, urgent = loop.time(), set[Symbol]()
        while True:
            pause = self._pace.refresh if self._streaming else self._pace.poll
            with suppress(TimeoutError):
                await asyncio.wait_for(self._asked.wait(), max(0.0, last + pause - loop.time()))
            self._asked.clear()
            everything = loop.time() >= last + pause

            async def ask(everything: bool = everything) -> None:
                urgent.update(self._source.take_urgent())
                symbols = self._symbols(self._source.wanted() if everything else urgent)
                if symbols:
                    await self._fetch(symbols)

            await attempts.until_done(ask)
            if everything:
                last = loop.time()
            if self._source.book is not None:  # before, nobody knows what they mean
                urgent.clear()

    async def _fetch(self, symbols: list[Symbol]) -> None:
        """Ask for ``symbols`` together; where that fails, one by one: one must not spoil all."""
        asked = asyncio.get_running_loop().time()
        try:
            tickers = await self._venue.tickers(symbols)
            self._see(tickers, asked)
        except Exception as error:
            if is_network(error):
                raise
            if len(symbols) == 1:
                self._doubt(symbols[0], sentence(error))
            else:
                for symbol in symbols:
                    await self._fetch([symbol])
        else:
            self._ask_for_the_rest(symbols, {ticker.get("symbol") for ticker in tickers}, asked)

    def _ask_for_the_rest(self, symbols: Collection[Symbol], answered: Collection[object], asked: float) -> None:
        """Ask again for what the answer left out, or for what it had only an older price than the known one."""
        wanted = self._symbols(self._source.wanted())
        for symbol in symbols:
            if symbol not in wanted or self._order.arrived_since(symbol, asked):
                continue
            if symbol not in answered:
                self._doubt(symbol, "the answer leaves it out")
            elif not self._refused.is_failing(symbol):
                self._ask_soon(symbol)

    def _doubt(self, symbol: Symbol, why: str) -> None:
        """Count what is no price, and ask again; say it once, until a good one comes."""
        self._source.refused += 1
        self._ask_soon(symbol)
        self._refused.failed(f"{self._source.name} gives no price of {symbol}: {why}", key=symbol)

    def _ask_soon(self, symbol: Symbol) -> None:
        asyncio.get_running_loop().call_later(self._pace.longest_retry, self._source.ask_again, symbol)

    async def _stream(self) -> None:
        """Listen to what the exchange sends by itself."""
        attempts = self._attempts("ended its stream of prices, which are asked for instead", "streams prices again")
        while True:
            tickers = await attempts.until_done(self._next_tickers)
            self._heard = asyncio.get_running_loop().time()
            self._see(tickers, self._heard)

    async def _next_tickers(self) -> Collection[Mapping[str, Any]]:
        """Return what comes next; begin to listen anew where other symbols are wanted meanwhile."""
        while True:
            self._news.clear()
            symbols = [symbol for symbol in self._symbols(self._source.wanted()) if self._venue.knows(symbol)]
            await self._venue.forget(self._listened.difference(symbols))
            self._listened = set(symbols)
            waits: set[asyncio.Future[Any]] = {asyncio.ensure_future(self._news.wait())}
            if symbols:
                waits.add(asyncio.ensure_future(self._venue.next_tickers(symbols)))
            try:
                done, _ = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for each in waits:
                    each.cancel()
                await asyncio.gather(*waits, return_exceptions=True)
            for each in done:
                tickers: list[Mapping[str, Any]] | bool = each.result()
                if not isinstance(tickers, bool):
                    return tickers

    @property
    def _streaming(self) -> bool:
        return asyncio.get_running_loop().time() - self._heard < self._pace.quiet

    def _symbols(self, typed: Collection[Symbol]) -> list[Symbol]:
        """Return what the exchange calls the symbols that people typed, those left out that it does not trade."""
        book = self._source.book
        if book is None:
            return []
        meant = set()
        for each in typed:
            instrument = book.resolve(each)
            if isinstance(instrument, Instrument):
                meant.add(instrument.symbol)
            elif each not in self._unknown:
                self._unknown.add(each)
                logger.warning("no prices of {}: {}", each, instrument.reason)
        return sorted(meant)

    def _see(self, tickers: Collection[Mapping[str, Any]], asked: float) -> None:
        """Pass on the prices that are not older than those known, of an answer to what was ``asked`` then."""
        good, bad = quotes(tickers, self._source.name, self._source.clock.now())
        wanted = set(self._symbols(self._source.wanted()))
        for symbol, price in bad.items():
            if symbol in wanted:
                self._doubt(symbol, f"the last trade is {price}")
        arrived = asyncio.get_running_loop().time()
        good = [quote for quote in good if quote.symbol in wanted and self._order.accepts(quote, asked, arrived)]
        for quote in good:
            self._refused.recovered(key=quote.symbol)
        if good and not self._stopped.is_set():
            self._listener.quotes_seen(good)
