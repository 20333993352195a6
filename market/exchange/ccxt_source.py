"""Prices of a real exchange: streamed where it has a WebSocket, and polled as often as its rate limit allows."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from domain.errors import ExchangeUnreachable
from domain.trading.instruments import Instrument
from domain.trading.quotes import History, PriceListener
from domain.types import Clock, Symbol
from market.base import STOP_TIMEOUT_S
from market.exchange import instrument_cache
from market.exchange.history import HistoryReader
from market.exchange.market_list import MarketListCheck
from market.exchange.order_book import BookVenue
from market.exchange.provenance import Access, provenance
from market.exchange.retry import Timing, describe_error
from market.exchange.session import Session
from market.exchange.venue import Venue, check
from market.registry import SourceOptions


class ExchangePrices:
    """A `PriceSource` on any exchange that ccxt knows: public data only, no key.

    >>> source = ExchangePrices("kraken", clock, cache=home / "markets" / "kraken.json")  # doctest: +SKIP

    Args:
        exchange_id: as ccxt spells it.
        clock: gives the time at which a price was seen.
        cache: the file that keeps the list of markets, for a start without the exchange; None keeps nothing.
        symbols: watched from the start to the end, as people type them.
        access: further options of ccxt's exchange, such as proxies, and the hosts that count as the exchange's.
        timing: intervals and time limits.

    Attributes:
        name: the exchange's id, or another name where its prices are not the exchange's own.
        real: whether they are; see `market.exchange.provenance`.
        live: True, as its prices are made now, real or not.
        notes: what is unusual about where they come from.
        catalog: what can be traded; None until it is known.
        clock, timing: see the arguments.
        watched_closely: symbols where orders rest.
        watched_books: symbols whose order books are followed.
        refused: number of values that were no prices: zero, negative, no number.

    Raises:
        SettingsError: ccxt knows no such exchange, or the options hold keys.
    """

    live = True

    def __init__(
        self,
        exchange_id: str,
        clock: Clock,
        *,
        cache: Path | None,
        symbols: Collection[str] = (),
        access: Access | None = None,
        timing: Timing | None = None,
    ) -> None:
        access = access or Access()
        check(exchange_id, access.options)
        origin = provenance(exchange_id, access)
        self.name, self.real, self.notes = origin.name, origin.real, origin.notes
        self.refused = 0
        self.watched_closely: frozenset[Symbol] = frozenset()
        self.watched_books: frozenset[Symbol] = frozenset()
        self.catalog = instrument_cache.read(cache, self.name) if cache is not None else None
        self.clock = clock
        self.timing = timing or Timing()
        self._cache = cache
        self._always = frozenset(map(Symbol, symbols))
        self._exchange_id, self._options = exchange_id, dict(access.options)
        self._lock = threading.Lock()
        self._subscribed: set[Symbol] = set(self._always)
        self._urgent: set[Symbol] = set(self._always)
        self._session: Session | None = None

    def start(self, listener: PriceListener) -> None:
        """Begin to deliver; return at once.

        Raises:
            RuntimeError: it is running.
        """
        if self._session is not None and self._session.worker.is_alive:
            raise RuntimeError(f"the price source {self.name!r} is running already")
        with self._lock:
            self._urgent |= self._subscribed
        self._session = Session(self, listener)
        self._session.worker.start()

    def subscribe(self, symbols: Collection[Symbol]) -> None:
        """Watch ``symbols``, and request the price of each at once."""
        with self._lock:
            self._subscribed.update(symbols)
            self._urgent.update(symbols)
        self._wake()

    def unsubscribe(self, symbols: Collection[Symbol]) -> None:
        """Watch ``symbols`` no longer, unless they were named at the start."""
        with self._lock:
            self._subscribed.difference_update(set(symbols) - self._always)
            self._urgent &= self._subscribed
        self._wake()

    def watch_closely(self, symbols: Collection[Symbol]) -> None:
        """Deliver each trade of ``symbols`` where the exchange streams them, else request their prices each second."""
        before, self.watched_closely = self.watched_closely, frozenset(symbols)
        if before != self.watched_closely:
            self._wake()

    def watch_books(self, symbols: Collection[Symbol]) -> None:
        """Follow the order books of ``symbols``, where the exchange has any: their best levels come with the prices."""
        before, self.watched_books = self.watched_books, frozenset(symbols)
        if before != self.watched_books:
            self._wake()

    def stop(self) -> None:
        """Deliver nothing more; return when the connections are closed, or after `STOP_TIMEOUT_S`."""
        session, self._session = self._session, None
        if session is not None:
            session.stop()

    def history(self, symbol: Symbol, since: datetime, until: datetime, timeout: float) -> History:
        """Return what the market did while nobody watched it; see `domain.trading.quotes.HistorySource`."""
        history = HistoryReader(self._exchange_id, self._options, self.timing).read(symbol, since, until, timeout)
        if self.real:
            return history
        return replace(history, data=tuple(replace(one, source=self.name, real=False) for one in history.data))

    def require_reachable(self, timeout: float) -> None:
        """Load the list of markets once.

        Args:
            timeout: in seconds.

        Raises:
            ExchangeUnreachable: there is no answer in time, or none that can be read.
        """
        asyncio.run(self._load_markets(timeout))

    async def _load_markets(self, timeout: float) -> None:
        venue = self.make_venue()
        try:
            await asyncio.wait_for(venue.instruments(), timeout)
        except TimeoutError:
            raise ExchangeUnreachable(f"cannot reach {self.name}: no answer within {timeout:g} s") from None
        except Exception as error:
            raise ExchangeUnreachable(f"cannot reach {self.name}: {describe_error(error)}") from error
        finally:
            with suppress(Exception):
                await asyncio.wait_for(venue.close(), STOP_TIMEOUT_S / 2)

    def _wake(self) -> None:
        if (session := self._session) is not None:
            session.wake()

    def subscribed(self) -> set[Symbol]:
        """Return the watched symbols, as people typed them."""
        with self._lock:
            return set(self._subscribed)

    def take_urgent(self) -> set[Symbol]:
        """Return the symbols to request at once, and clear them."""
        with self._lock:
            urgent, self._urgent = self._urgent, set()
            return urgent

    def request_again(self, symbol: Symbol) -> None:
        """Request the price of a symbol, if it is still watched."""
        if symbol in self.subscribed():
            self.subscribe([symbol])

    @property
    def troubles(self) -> Sequence[str]:
        """Messages of the failures that are being retried."""
        session = self._session
        return session.troubles if session is not None else ()

    def update_catalog(self, instruments: Collection[Instrument], awaited: Collection[Symbol]) -> bool:
        """Take the exchange's new list of instruments; return whether it differs from the one before.

        Args:
            instruments: the list.
            awaited: symbols that do not count as delisted yet, although the list may leave them out.
        """
        before = self.catalog
        self.catalog = instrument_cache.updated(before, instruments, self.name, awaited)
        changed = before is None or dict(before.instruments) != dict(self.catalog.instruments)
        if changed and self._cache is not None:
            instrument_cache.write(self._cache, self.name, self.catalog)
        return changed

    def make_book_venue(self) -> BookVenue:
        """Return the exchange for its order books, to be used on the running loop."""
        return BookVenue(self._exchange_id, self._options, self.timing.request_timeout)

    def make_venue(self) -> Venue:
        """Return the exchange, to be used on the running loop."""
        instruments = self.catalog.instruments.values() if self.catalog is not None else ()
        traded = [Symbol(instrument.symbol) for instrument in instruments if not instrument.not_traded]
        list_check = MarketListCheck(traded, self.timing.list_interval)
        return Venue(self._exchange_id, self._options, self.timing.request_timeout, list_check)


def from_options(options: SourceOptions) -> ExchangePrices:
    """Return the source of the setting ``exchange``, with its cache under ``home``; see `market.registry`."""
    check(options.exchange, options.exchange_options)
    access = Access(options.exchange_options, frozenset(options.exchange_trusted_hosts))
    name = provenance(options.exchange, access).name
    return ExchangePrices(
        options.exchange,
        options.clock,
        cache=options.home / "markets" / f"{name.replace(' ', '-')}.json",
        symbols=options.symbols or (),
        access=access,
        # Confirm prices often enough that a symbol without trades does not count as silent.
        timing=Timing(
            refresh_interval=min(Timing().refresh_interval, options.max_price_age / 2),
            max_quote_lag=options.max_quote_lag,
        ),
    )
