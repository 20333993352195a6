"""The work of an exchange's price source between a start and a stop: polling, streaming, and the list of markets."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeAlias

from loguru import logger

from domain.log_once import LogOnce
from domain.trading.instruments import Instrument
from domain.trading.quotes import PriceListener, Quote
from domain.types import Instant, Symbol
from domain.worker_thread import WorkerThread
from market.base import STOP_TIMEOUT_S
from market.exchange.book_follower import BookFollower
from market.exchange.exchange_clock import ExchangeClock
from market.exchange.late_quotes import LateQuoteFilter
from market.exchange.parsing import quotes, trade_quotes
from market.exchange.retry import Retrier, describe_error, is_network
from market.exchange.trade_stream import TradeStream

if TYPE_CHECKING:
    from market.exchange.ccxt_source import ExchangePrices

Streamed: TypeAlias = Collection[Mapping[str, Any]]
"""Tickers or trades as ccxt returns them."""


class Session:
    """The work between a start and a stop: one thread with an asyncio loop, and up to four tasks on it."""

    def __init__(self, source: ExchangePrices, listener: PriceListener) -> None:
        self.worker = WorkerThread(f"prices-{source.name}", self._run)
        self.log = LogOnce.to(logger)
        self._source = source
        self._listener = listener
        self._timing = source.timing
        self._loop: asyncio.AbstractEventLoop | None = None
        self._main: asyncio.Task[None] | None = None
        self._stopped = self.worker.stopping
        self._unresolved: set[Symbol] = set()
        self._invalid_prices = LogOnce.to(logger)
        self._streamed: set[Symbol] = set()
        self._last_streamed = float("-inf")
        self._streams_trades = False
        self._order = LateQuoteFilter(self._timing.late_window)
        self._late_prices = LogOnce.to(logger)
        self._clock = ExchangeClock(self._timing.max_quote_lag)
        self._books = BookFollower(source, self._clock, listener)

    # From other threads

    def wake(self) -> None:
        """Consider the changed subscriptions at once."""
        self._call(self._subscriptions_changed)

    def stop(self) -> None:
        """Cancel the tasks, and wait for the thread's end."""
        self._stopped.set()
        self._call(lambda: self._main.cancel() if self._main is not None else None)
        self.worker.stop(STOP_TIMEOUT_S)

    def _call(self, function: Callable[[], object]) -> None:
        loop = self._loop
        if loop is not None:
            with suppress(RuntimeError):  # it has just been closed
                loop.call_soon_threadsafe(function)

    # In the thread

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except asyncio.CancelledError:
            return
        except Exception as error:  # noqa: BLE001 - a thread that died silently would look like a quiet market
            logger.exception("the price source {!r} failed", self._source.name)
            if not self._stopped.is_set():
                self._listener.source_ended(f"it failed: {type(error).__name__}")

    async def _serve(self) -> None:
        self._poll_event = asyncio.Event()
        self._stream_event = asyncio.Event()
        self._trade_event = asyncio.Event()
        self._book_event = asyncio.Event()
        self._clock_event = asyncio.Event()
        self._clock_measured = asyncio.Event()
        self._main = asyncio.current_task()
        self._loop = asyncio.get_running_loop()
        if self._stopped.is_set():
            return
        if self._source.catalog is not None:
            self._listener.instruments_loaded(self._source.catalog)
        self._venue = self._source.make_venue()
        if not self._venue.answers and not self._venue.streams:
            self._listener.source_ended(f"{self._source.name} has no tickers in ccxt; choose another exchange")
            return
        loops = [self._load_markets, self._measure_clock, self._follow_books]
        loops += [self._poll] if self._venue.answers else []
        loops += [self._stream] if self._venue.streams else []
        loops += [self._stream_trades] if self._venue.streams_trades else []
        tasks = [asyncio.ensure_future(self._keep_running(loop)) for loop in loops]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            for close in (self._books.close, self._venue.close):
                with suppress(Exception):
                    await asyncio.wait_for(close(), STOP_TIMEOUT_S / 2)

    def _subscriptions_changed(self) -> None:
        self._poll_event.set()
        self._stream_event.set()
        self._trade_event.set()
        self._book_event.set()

    async def _keep_running(self, loop: Callable[[], Awaitable[None]]) -> None:
        """Run a loop, and restart it after an unexpected error; only a stop ends it."""
        while True:
            try:
                await loop()
            except asyncio.CancelledError:
                if self._stopped.is_set():
                    raise
                logger.warning("Restarting a loop of the price source {}: it was cancelled", self._source.name)
            except Exception as error:  # noqa: BLE001 - a loop that died silently would look like a quiet market
                reason = type(error).__name__
                logger.exception("Restarting a loop of the price source {}: unexpected {}", self._source.name, reason)
            await asyncio.sleep(self._timing.max_retry)

    async def _load_markets(self) -> None:
        """Load the list of markets, again and again."""
        name = self._source.name
        messages = f"Cannot load the markets of {name} ({{reason}}); retrying", f"Loaded the markets of {name} again"

        def max_retry() -> float:
            return self._timing.max_list_retry if self._venue.listed else self._timing.max_retry

        retrier = Retrier(self._venue, self._timing, self.log, *messages, max_retry)
        while True:
            instruments = await retrier.call(self._venue.instruments)
            if self._stopped.is_set():
                return  # a later start may have a newer list already
            if self._source.update_catalog(instruments, self._venue.awaited):
                assert self._source.catalog is not None
                self._listener.instruments_loaded(self._source.catalog)
                self._unresolved.clear()
                self._subscriptions_changed()
            closed = all(instrument.not_traded for instrument in instruments)  # for maintenance, which is soon over
            await asyncio.sleep(self._timing.max_list_retry if closed else self._timing.list_interval)

    async def _measure_clock(self) -> None:
        """Measure the exchange's clock once it answers, and again and again; prices wait for the first time."""
        while True:
            self._clock_event.clear()
            reading = await self._venue.read_clock()
            if reading is not None:
                self._clock.set(reading, Instant.of(self._source.clock))
            self._clock_measured.set()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._clock_event.wait(), self._timing.clock_interval)
            await asyncio.sleep(self._timing.first_retry)

    async def _poll(self) -> None:
        """Request tickers: urgent symbols at once, all symbols at an interval that depends on the stream.

        Symbols that are watched closely are requested more often, unless their trades are streamed.
        """
        name = self._source.name
        messages = f"Cannot get prices from {name} ({{reason}}); retrying", f"Got prices from {name} again"
        retrier = Retrier(self._venue, self._timing, self.log, *messages)
        loop = asyncio.get_running_loop()
        last = last_close = loop.time()
        urgent = set[Symbol]()
        while True:
            interval = self._timing.refresh_interval if self._stream_works else self._timing.poll_interval
            due, close_due = last + interval, last_close + self._timing.close_interval
            closely = set[Symbol]() if self._streams_trades else self._source.watched_closely
            with suppress(TimeoutError):
                next_due = min(due, close_due) if closely else due
                await asyncio.wait_for(self._poll_event.wait(), max(0.0, next_due - loop.time()))
            self._poll_event.clear()
            everything = loop.time() >= due
            if closely and loop.time() >= close_due:
                urgent.update(closely)
                last_close = loop.time()

            async def request(everything: bool = everything) -> None:
                urgent.update(self._source.take_urgent())
                symbols = self._resolve(self._source.subscribed() if everything else urgent)
                if symbols:
                    await self._fetch(symbols)

            await retrier.call(request)
            if everything:
                last = last_close = loop.time()
            if self._source.catalog is not None:  # without it no symbol can be resolved
                urgent.clear()

    async def _fetch(self, symbols: list[Symbol]) -> None:
        """Request ``symbols`` together; where that fails, one by one: a bad symbol must not cost the others."""
        await self._clock_measured.wait()
        sent_at = asyncio.get_running_loop().time()
        try:
            tickers = await self._venue.tickers(symbols)
            self._deliver(tickers, sent_at)
        except Exception as error:
            if is_network(error):
                raise
            if len(symbols) == 1:
                self._report_invalid(symbols[0], describe_error(error))
            else:
                for symbol in symbols:
                    await self._fetch([symbol])
        else:
            self._request_missing(symbols, {ticker.get("symbol") for ticker in tickers}, sent_at)

    def _request_missing(self, symbols: Collection[Symbol], answered: Collection[object], sent_at: float) -> None:
        """Request again the symbols that the answer left out, or of which it held an outdated price."""
        subscribed = self._resolve(self._source.subscribed())
        for symbol in symbols:
            if symbol not in subscribed or self._order.arrived_since(symbol, sent_at):
                continue
            if symbol not in answered:
                self._report_invalid(symbol, "the answer leaves it out")
            elif not self._invalid_prices.is_failing(symbol):
                self._request_soon(symbol)

    def _report_invalid(self, symbol: Symbol, reason: str) -> None:
        """Count a value that is no price, and request the symbol again; log it once until a valid price comes."""
        self._source.refused += 1
        self._request_soon(symbol)
        message = f"{self._source.name} sent no valid price of {symbol} ({reason}); retrying"
        self._invalid_prices.failed(message, key=symbol)

    def _request_soon(self, symbol: Symbol) -> None:
        asyncio.get_running_loop().call_later(self._timing.max_retry, self._source.request_again, symbol)

    async def _stream(self) -> None:
        """Deliver the tickers that the exchange streams."""
        name = self._source.name
        messages = (
            f"Cannot stream prices from {name} ({{reason}}); polling them, and retrying",
            f"Streaming prices from {name} again",
        )
        retrier = Retrier(self._venue, self._timing, self.log, *messages)
        while True:
            tickers = await retrier.call(self._next_tickers)
            await self._clock_measured.wait()
            self._last_streamed = asyncio.get_running_loop().time()
            self._deliver(tickers, self._last_streamed)

    async def _next_tickers(self) -> Streamed:
        """Return the next streamed tickers; while waiting, follow changes of the subscriptions."""
        while True:
            self._stream_event.clear()
            symbols = self._listed(self._source.subscribed())
            await self._venue.unwatch(self._streamed.difference(symbols))
            self._streamed = set(symbols)
            if tickers := await _unless(self._stream_event, self._venue.next_tickers(symbols) if symbols else None):
                return tickers

    async def _stream_trades(self) -> None:
        """Deliver each trade that the exchange streams of the symbols that are watched closely."""
        name = self._source.name
        messages = (
            f"Cannot stream trades from {name} ({{reason}}); polling prices, and retrying",
            f"Streaming trades from {name} again",
        )
        retrier = Retrier(self._venue, self._timing, self.log, *messages)
        stream = TradeStream(self._venue, self._source.clock)
        self._streams_trades = True

        async def next_trades() -> Streamed:
            self._trade_event.clear()
            symbols = self._listed(self._source.watched_closely)
            try:
                trades = await _unless(self._trade_event, stream.next_trades(symbols))
            except Exception:
                self._streams_trades = False
                self._poll_event.set()  # it may poll more often now
                raise
            self._streams_trades = True
            return trades

        try:
            while True:
                trades = await retrier.call(next_trades)
                now = Instant.of(self._source.clock)
                seen = trade_quotes(trades, self._source.name, now, self._clock, real=self._source.real)
                if seen and not self._stopped.is_set():
                    self._listener.quotes_seen(seen)
                if not self._listed(self._source.watched_closely):
                    await self._trade_event.wait()
        finally:
            self._streams_trades = False
            await stream.close()

    async def _follow_books(self) -> None:
        """Follow the order books of some symbols."""
        await self._clock_measured.wait()
        await self._books.run(self._venue, self._listed, self._book_event)

    @property
    def troubles(self) -> tuple[str, ...]:
        """Messages of the failures that are being retried."""
        return (*self.log.messages, *self._late_prices.messages, *self._books.troubles)

    @property
    def _stream_works(self) -> bool:
        return asyncio.get_running_loop().time() - self._last_streamed < self._timing.stream_silence

    def _listed(self, typed: Collection[Symbol]) -> list[Symbol]:
        """Return the exchange's names of symbols, as `_resolve`, without those that left the last list of markets."""
        return [symbol for symbol in self._resolve(typed) if self._venue.lists(symbol)]

    def _resolve(self, typed: Collection[Symbol]) -> list[Symbol]:
        """Return the exchange's names of the symbols that people typed, without those that it does not trade."""
        catalog = self._source.catalog
        if catalog is None:
            return []
        resolved = set()
        for symbol in typed:
            instrument = catalog.resolve(symbol)
            if isinstance(instrument, Instrument):
                resolved.add(instrument.symbol)
            elif symbol not in self._unresolved:
                self._unresolved.add(symbol)
                logger.warning("No prices of {}: {}", symbol, instrument.reason)
        return sorted(resolved)

    def _deliver(self, tickers: Collection[Mapping[str, Any]], sent_at: float) -> None:
        """Pass on the prices that are not older than the newest ones, of an answer to a request of ``sent_at``."""
        now = Instant.of(self._source.clock)
        valid, invalid = quotes(tickers, self._source.name, now, self._clock, real=self._source.real)
        subscribed = set(self._resolve(self._source.subscribed()))
        for symbol, price in invalid.items():
            if symbol in subscribed:
                self._report_invalid(symbol, f"the last trade is {price}")
        arrived = asyncio.get_running_loop().time()
        watched = [quote for quote in valid if quote.symbol in subscribed]
        fresh = [quote for quote in watched if self._order.accepts(quote, sent_at, arrived)]
        for quote in fresh:
            self._invalid_prices.recovered(key=quote.symbol)
            self._late_prices.recovered(f"{self._source.name} sends later prices of {quote.symbol}", key=quote.symbol)
        for quote in watched:
            if quote not in fresh and self._order.goes_back(quote, arrived):
                self._report_late(quote)
        if fresh and not self._stopped.is_set():
            self._listener.quotes_seen(self._books.joined(fresh))

    def _report_late(self, quote: Quote) -> None:
        """Log that earlier prices have come for a while, and measure the exchange's clock: it may have gone back."""
        self._clock_event.set()
        message = f"{self._source.name} sends only earlier prices of {quote.symbol} than before, such as"
        self._late_prices.failed(f"{message} one of {quote.price_time:%Y-%m-%d %H:%M:%S} UTC", key=quote.symbol)


async def _unless(changed: asyncio.Event, arriving: Awaitable[Streamed] | None) -> Streamed:
    """Wait for what arrives, at most until ``changed`` is set; return nothing then."""
    waits: list[asyncio.Future[Any]] = [asyncio.ensure_future(changed.wait())]
    if arriving is not None:
        waits.append(asyncio.ensure_future(arriving))
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
        await asyncio.gather(*waits, return_exceptions=True)
    arrived = [wait for wait in waits[1:] if not wait.cancelled()]
    return arrived[0].result() if arrived else ()
