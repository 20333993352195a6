"""PriceTracker: the newest price of each symbol, and the health of the price source."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from actors.introspection.quotes import describe_quote
from actors.messages import (
    AcceptPrice,
    DataSeen,
    ForgetPrice,
    HeldBack,
    InstrumentsLoaded,
    KeptData,
    Message,
    Prices,
    QuotesSeen,
    Release,
    SendPrices,
    SourceEnded,
    StoredPrices,
    Subscribe,
    Tick,
    Watch,
)
from actors.ports import PriceRecords
from actors.runtime.behaviour import Behaviour
from actors.runtime.routes import Routes
from actors.settlement.history import HistoryFetch, Reach
from actors.settlement.messages import RequestHistory
from actors.supervision.alarms import SilenceMonitor
from actors.supervision.held_prices import HeldPrices
from actors.supervision.stale_prices import StalePrices
from domain.alarms import Notify
from domain.market_data.awaited_splits import LastPrices
from domain.market_data.buffer import MarketDataBuffer
from domain.market_data.price_second import PriceSecond
from domain.trading.instruments import NO_CALENDARS, Calendars, Instrument, InstrumentCatalog
from domain.trading.quotes import PricePoint, PriceSource, Quote, WatchesBooks, WatchesClosely
from domain.types import Clock, Instant, Symbol

DELETE_INTERVAL = timedelta(hours=1)
"""Between two deletions of old prices from the database."""
EARLIEST = datetime.min.replace(tzinfo=UTC)
SUBSCRIPTION_LIFETIME = timedelta(minutes=15)
"""How long a symbol without an open position is watched after a decision subscribed to it; the next one renews it."""


@dataclass(frozen=True, slots=True)
class PriceRules:
    """The rules by which the PriceTracker keeps and expects prices.

    Attributes:
        retention: how long stored prices are kept.
        silent_after: a source, or a symbol that is needed, without a price for longer than this is reported.
        always: symbols that the source watches from the start, as people type them.
        calendars: of the symbols that have sessions.
        max_quote_lag: how long a lively symbol may repeat one answer.
        split_hold: how long a price that looks like a split is held back.
    """

    retention: timedelta
    silent_after: timedelta
    split_hold: timedelta
    always: tuple[str, ...] = ()
    calendars: Calendars = NO_CALENDARS
    max_quote_lag: timedelta = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class PriceServices:
    """What the PriceTracker reaches outside, and what outlives its restarts.

    Attributes:
        source: the price source; the system starts and stops it.
        records: the table of prices.
        buffer: numbers market data, and keeps those of symbols with open orders.
        notify: sends an alarm when the source is silent.
        run_beside: runs a named action that may wait in a thread of its own.
    """

    source: PriceSource
    records: PriceRecords
    buffer: MarketDataBuffer
    notify: Notify
    run_beside: Callable[[str, Callable[[], None]], None]


class PriceTracker(Behaviour):
    """The distributor of prices. It stores one row for each symbol and tick (a second).

    Args:
        services: the price source, the table of prices, the buffer of market data and the alarms.
        routes: the addresses of the actors.
        rules: how long prices are kept, and which symbols must not be silent.
        clock: the time.
    """

    def __init__(self, services: PriceServices, routes: Routes, rules: PriceRules, clock: Clock) -> None:
        self._source = source = services.source
        self._live = bool(
            getattr(source, "live", source.real)
        )  # an exchange may fall silent, also one that is not real
        self._records = services.records
        self._buffer = services.buffer
        self._run_beside = services.run_beside
        self._routes = routes
        self._rules = rules
        self._clock = clock
        self._silence = SilenceMonitor(source.name, rules.silent_after, services.notify, rules.calendars)
        self._stale = StalePrices(rules.max_quote_lag, services.notify)
        self._held_prices = HeldPrices(rules.split_hold, services.notify)
        self._catalog: InstrumentCatalog | None = None
        self._configured: list[Symbol] = []
        self._started_at = Instant.of(clock)
        self._quotes: dict[Symbol, Quote] = {}
        self._unrecorded: dict[Symbol, PriceSecond] = {}
        self._stored: dict[Symbol, PricePoint] | None = None
        self._held: frozenset[Symbol] | None = None
        self._read_at: Instant | None = None
        self._price_requests: list[Callable[[Prices], None]] = []
        self._requests_waited_a_tick = False
        # By symbol: when a decision last subscribed to it.
        self._subscribed_at: dict[Symbol, Instant] = {}
        self._deleted_at: Instant | None = None
        self._split_at: dict[Symbol, datetime] = {}
        self._held_back: dict[Symbol, str] = {}

    def started(self) -> None:
        """Request the stored prices; the source sends the rest again."""
        self._read_stored()
        self._set_catalog(self._source.catalog)
        self._started_at = Instant.of(self._clock)

    def handle(self, message: Message) -> None:
        """Handle one message."""
        match message:
            case QuotesSeen():
                self._take_quotes(message.quotes.values())
            case DataSeen():
                self._take_quotes(quote for quote in message.quotes if isinstance(quote, Quote))  # of the source
            case Watch():
                self._watch(message)
            case RequestHistory():
                self._request_history(message)
            case Release():
                self._release(message)
            case InstrumentsLoaded():
                self._set_catalog(message.catalog)
                self._silence.record_instruments()
                self._routes.sizer.tell(message)
            case Subscribe() | AcceptPrice() | ForgetPrice():
                self._handle_symbol(message)
            case SendPrices():
                self._price_requests.append(message.reply_to)
                if self._stored is not None:
                    self._answer()
            case StoredPrices():
                self._take_stored(message.prices)
            case SourceEnded():
                self._silence.end(message.reason)
            case Tick():
                self._answer_overdue()
                self._record()
                self._update_subscriptions()

    def _handle_symbol(self, message: Subscribe | AcceptPrice | ForgetPrice) -> None:
        symbol = message.symbol
        if isinstance(message, Subscribe):
            self._subscribed_at[symbol] = Instant.of(self._clock)
            self._source.subscribe([symbol])
            self._watch_books()
            return
        if isinstance(message, AcceptPrice):
            self._held_prices.release(symbol, "it counts as it is")
        # Sent again when a generation begins: what this behaviour knows by then may be later already.
        elif message.at >= self._started_at.time and message.at > self._split_at.get(symbol, EARLIEST):
            self._split_at[symbol] = message.at
            self._held_prices.release(symbol, "the split is in the books", until=message.at)
            quote = self._quotes.get(symbol)
            if quote is not None and quote.seen_at <= message.at:
                del self._quotes[symbol]
            if self._stored is not None:
                self._stored.pop(symbol, None)
            self._read_stored()  # other splits are awaited now, or other symbols are held
        self._report_held_back()

    def _set_catalog(self, catalog: InstrumentCatalog | None) -> None:
        self._catalog = catalog
        resolved = [catalog.resolve(name) for name in self._rules.always] if catalog is not None else []
        self._configured = [result.symbol for result in resolved if isinstance(result, Instrument)]

    def _take_quotes(self, quotes: Iterable[Quote]) -> None:
        plausible = []
        for quote in map(self._stale.judge, quotes):
            if quote.is_trade:
                if quote.symbol in self._buffer.watched and self._held_prices.filter.accepts_trade(quote):
                    plausible.append(quote)
            elif (judged := self._held_prices.judge(quote, self._catalog)) is not None:
                plausible.append(judged)
        self._report_held_back()
        numbered = self._buffer.number(plausible)
        data = [quote.market_data for quote in numbered if quote.symbol in self._buffer.watched]
        accepted: dict[Symbol, Quote] = {}
        for_sells = {quote.symbol: quote for quote in numbered if quote.no_buy is not None}
        for quote in numbered:
            if quote.no_buy is not None:
                continue
            newest = accepted.get(quote.symbol) or self._quotes.get(quote.symbol)
            if quote.is_trade:
                self._take_trade(quote, newest)
            # Where a symbol begins or ceases to be watched, a quote that was merged may overtake an older one.
            elif newest is None or quote.seen.monotonic >= newest.seen.monotonic:
                accepted[quote.symbol] = quote
                self._to_record(quote)
        self._quotes.update(accepted)
        self._silence.record_quotes({**for_sells, **accepted})
        if data:  # first: open orders come before those that are sized from these quotes
            self._routes.execution_simulator.tell(DataSeen(tuple(data)))
        if accepted or for_sells:
            self._routes.sizer.tell(QuotesSeen({**for_sells, **accepted}))

    def _report_held_back(self) -> None:
        """Tell the Sizer which prices are held back, if these are others than before."""
        if (reasons := self._held_prices.reasons) != self._held_back:
            self._held_back = reasons
            self._routes.sizer.tell(HeldBack(reasons))

    def _take_trade(self, trade: Quote, newest: Quote | None) -> None:
        """Store the price of a trade with the newest bid and ask; the Sizer keeps the quote, which has them, too."""
        if newest is not None:
            self._to_record(
                replace(
                    newest,
                    price=trade.price,
                    price_time=trade.price_time,
                    seen=trade.seen,
                    last_size=trade.last_size,
                    freshness=trade.freshness,
                )
            )

    def _to_record(self, quote: Quote) -> None:
        before = self._unrecorded.get(quote.symbol)
        self._unrecorded[quote.symbol] = before.then(quote) if before is not None else PriceSecond.of(quote)

    def _watch(self, message: Watch) -> None:
        """Send data of symbols with open orders to the ExecutionSimulator, from those on that were missed."""
        if unwatched := message.symbols.keys() - self._buffer.watched:
            self._source.subscribe(unwatched)
        self._buffer.watch(message.symbols, begins=message.begins is not None)
        self._watch_closely()
        if message.begins is not None:
            data = self._buffer.since(message.symbols, message.symbols)
            self._buffer.keep_only(data)
            self._routes.execution_simulator.tell(
                KeptData(message.begins, tuple(data), self._buffer.lost(message.symbols))
            )
        elif data := self._buffer.since(message.symbols, message.new):
            self._routes.execution_simulator.tell(DataSeen(tuple(data)))

    def _release(self, message: Release) -> None:
        before = self._buffer.watched
        self._buffer.release(message.numbers, message.watched)
        if self._buffer.watched != before:
            self._watch_closely()

    def _watch_closely(self) -> None:
        if isinstance(self._source, WatchesClosely):
            self._source.watch_closely(self._buffer.watched)
        self._watch_books()

    def _watch_books(self) -> None:
        """Follow the order books of symbols with open orders, and of those that decisions have subscribed to lately."""
        if isinstance(self._source, WatchesBooks):
            self._source.watch_books(self._buffer.watched | self._subscribed_at.keys())

    def _request_history(self, request: RequestHistory) -> None:
        """Have the source tell what this process has not seen, or keeps no more, in a thread of its own."""
        first_no, data_no = self._buffer.numbers_for_fetched(request.since.keys())
        reach = Reach(self._clock.now(), data_no, first_no)
        fetch = HistoryFetch(self._source, request, reach, self._records.stored)
        self._run_beside("price history", lambda: fetch.run(self._routes.execution_simulator.tell))

    def _update_subscriptions(self) -> None:
        """Renew what is watched, and report silent symbols."""
        now = Instant.of(self._clock)
        is_outdated = self._read_at is None or now.since(self._read_at) > SUBSCRIPTION_LIFETIME
        if self._held is None or is_outdated or self._outdated_subscriptions():
            self._read_stored()
        if self._live and self._catalog is None:
            self._silence.check_instruments(self._started_at, now)
        elif self._live:
            needed = (self._held or frozenset()) | self._buffer.watched
            self._silence.check({**dict.fromkeys(needed, now), **self._subscribed_at}, now)

    def _record(self) -> None:
        if self._stored is None:
            self._read_stored()
        if self._unrecorded:
            self._records.offer(list(self._unrecorded.values()))
            self._unrecorded = {}
        now = Instant.of(self._clock)
        if self._deleted_at is None or now.since(self._deleted_at) >= DELETE_INTERVAL:
            self._deleted_at = now
            self._records.forget(now.time - self._rules.retention)

    def describe(self) -> Mapping[str, Any]:
        """Return the health of the source and the ages of the newest prices."""
        now = Instant.of(self._clock)
        return {
            "source": self._source.name,
            "real": self._source.real,
            "live": self._live,
            "ended": self._silence.ended,
            "symbols": len(self._quotes),
            "instruments": len(self._catalog) if self._catalog is not None else None,
            "silent": self._silence.silent,
            "frozen": self._stale.frozen,
            "troubles": [*self._source.troubles, *self._stale.reasons, *self._held_prices.sentences],
            "notes": list(self._source.notes),
            "newest": max((quote.seen_at for quote in self._quotes.values()), default=None),
            "set_aside": self._held_prices.refused,
            "held_back": self._held_prices.describe(),
            "kept_for_open_orders": len(self._buffer),
            "last_seen": {symbol: self._quotes[symbol].seen_at for symbol in self._watched if symbol in self._quotes},
            "quotes": {
                symbol: describe_quote(self._quotes[symbol], now) for symbol in self._watched if symbol in self._quotes
            },
        }

    @property
    def _watched(self) -> list[Symbol]:
        """The symbols for which prices are expected: with open positions, subscribed, configured, in this order.

        For a simulation or a file these are all symbols. An exchange sends nothing for a symbol that is not needed any
        more, so the age of its last price means nothing.
        """
        everything = [] if self._live else sorted(self._quotes)
        held = (self._held or frozenset()) | self._buffer.watched
        needed = [*sorted(held), *sorted(self._subscribed_at), *self._configured]
        return list(dict.fromkeys(needed + everything))

    def _read_stored(self) -> None:
        # The recorder's thread reads them, so that prices go on while the database does not answer.
        self._read_at = Instant.of(self._clock)
        self._records.read(lambda prices: self._routes.price_tracker.tell(StoredPrices(prices)))

    def _outdated_subscriptions(self) -> list[Symbol]:
        now = Instant.of(self._clock)
        return [symbol for symbol, at in self._subscribed_at.items() if now.since(at) > SUBSCRIPTION_LIFETIME]

    def _answer_overdue(self) -> None:
        """Answer requests that have waited a tick for stored prices: the database may not answer for long."""
        if self._requests_waited_a_tick:
            self._answer()
        self._requests_waited_a_tick = bool(self._price_requests)

    def _answer(self) -> None:
        requests, self._price_requests, self._requests_waited_a_tick = self._price_requests, [], False
        for reply_to in requests:
            points = {**(self._stored or {}), **{symbol: quote.point for symbol, quote in self._quotes.items()}}
            reply_to(Prices(self._catalog, dict(self._quotes), points, self._held_prices.reasons))

    def _take_stored(self, stored: LastPrices | None) -> None:
        if stored is None:
            # They cannot be read now, and those who requested prices must not wait for them.
            self._answer()
            return
        self._stored = {symbol: point for symbol, point in stored.points.items() if point is not None}
        for symbol, point in self._stored.items():
            self._held_prices.filter.remember(symbol, point.price)
        self._held_prices.await_splits(stored.awaited)
        self._held = frozenset(stored.points)
        self._source.subscribe(self._held | self._buffer.watched)
        outdated = self._outdated_subscriptions()
        dropped = [symbol for symbol in outdated if symbol not in self._held | self._buffer.watched]
        for symbol in outdated:
            del self._subscribed_at[symbol]
        self._source.unsubscribe(dropped)
        self._watch_books()
        self._silence.forget(dropped)
        self._answer()
