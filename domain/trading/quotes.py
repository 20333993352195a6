"""Quotes and price sources."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple, Protocol, TypeAlias, runtime_checkable

from domain.immutable.records import fast_frozen
from domain.trading.freshness.age import Freshness, TimeMark
from domain.trading.instruments import InstrumentCatalog
from domain.types import Instant, Symbol


class PricePoint(NamedTuple):
    """The price of a symbol at one moment, as far as its mark needs it.

    Attributes:
        price: the last trade, or the middle of bid and ask.
    """

    price: Decimal
    bid: Decimal | None = None
    ask: Decimal | None = None


class BarPrices(NamedTuple):
    """The bar of which a quote is the close.

    Attributes:
        begin: of the bar; it ends at the quote's time.
        volume: traded in the bar: 0 where nothing was, None where unknown.
    """

    begin: datetime
    open: Decimal
    high: Decimal
    low: Decimal
    volume: Decimal | None = None


@fast_frozen
@dataclass(frozen=True, slots=True)
class Quote:
    """A price as this process received it.

    Attributes:
        price: the last trade, or the middle of bid and ask.
        price_time: time of the price according to the source.
        seen: when this process received it, or its confirmation.
        source: name of the price source.
        real: whether it is the price of a real market: `PriceSource.real`. It has no default, so that no source
            forgets it; where results rest on other prices, they are marked.
        volume: of the last 24 hours; evidence only, it never limits a fill.
        bid_size: the quantity that buyers offer to take at the bid; None where unknown.
        ask_size: the quantity that sellers offer at the ask; None where unknown.
        last_size: the quantity of the last trade; None where unknown.
        is_trade: it is one trade of the market, not the state of its book.
        data_no: number of this piece of market data, higher than that of any piece before it; 0 before it has one.
        recovered: it was fetched after a downtime, and this process did not see it when it happened.
        bar: the bar of which its price is the close; None where it is no bar's.
        freshness: its age by the exchange's clock; None where the source is no exchange, so that it is always fresh.
        no_buy: why nothing may be bought at it, a clause; None where it may.
    """

    symbol: Symbol
    price: Decimal
    price_time: datetime
    seen: Instant
    source: str
    real: bool = field(kw_only=True)
    bid: Decimal | None = None
    ask: Decimal | None = None
    volume: Decimal | None = None
    bid_size: Decimal | None = field(default=None, kw_only=True)
    ask_size: Decimal | None = field(default=None, kw_only=True)
    last_size: Decimal | None = field(default=None, kw_only=True)
    is_trade: bool = field(default=False, kw_only=True)
    data_no: int = field(default=0, kw_only=True)
    recovered: bool = field(default=False, kw_only=True)
    no_buy: str | None = field(default=None, kw_only=True)
    bar: BarPrices | None = field(default=None, kw_only=True)
    freshness: Freshness | None = field(default=None, kw_only=True)

    @property
    def market_data(self) -> MarketData:
        """What open orders are matched with: the bar of which it is the close, else itself."""
        if self.bar is None:
            return self
        begin, opened, high, low, volume = self.bar
        return Bar(
            symbol=self.symbol,
            open=opened,
            high=high,
            low=low,
            close=self.price,
            begin=begin,
            end=self.price_time,
            seen=self.seen,
            source=self.source,
            real=self.real,
            volume=volume,
            data_no=self.data_no,
            recovered=self.recovered,
            freshness=self.freshness,
            no_buy=self.no_buy,
        )

    @property
    def time_mark(self) -> str | None:
        """What is unusual about its time, as the database stores it; None where nothing is."""
        return self.freshness.mark.value if self.freshness is not None and self.freshness.mark is not None else None

    @property
    def own_time(self) -> datetime | None:
        """The time that the source sent with it; None where it sent none, or one that cannot be."""
        if self.freshness is not None:
            return self.price_time if self.freshness.mark is None else None
        return self.price_time if self.price_time != self.seen.time else None

    @property
    def market_time(self) -> datetime:
        """The time up to which it tells what the market did: that of its source, but not later than it was seen."""
        if self.freshness is not None and self.freshness.mark is TimeMark.IMPOSSIBLE:
            return self.seen.time
        return min(self.price_time, self.seen.time)

    @property
    def point(self) -> PricePoint:
        """What its mark needs."""
        return PricePoint(self.price, self.bid, self.ask)

    @property
    def seen_at(self) -> datetime:
        """The time at which this process received it, or its confirmation."""
        return self.seen.time


class QuoteRange(NamedTuple):
    """What orders with price rule *quote* see of a span of time.

    Attributes:
        first: the first mark.
        high: the highest mark.
        low: the lowest mark.
        ask_low: the lowest price at which a resting BUY could have been filled.
        bid_high: the highest price at which a resting SELL could have been filled.
    """

    first: Decimal
    high: Decimal
    low: Decimal
    ask_low: Decimal
    bid_high: Decimal


@fast_frozen
@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """The prices of a span of time.

    Attributes:
        begin: of the span.
        end: of the span; the bar is known from then on.
        volume: traded in the span: 0 where nothing was, None where unknown.
        recovered: see `Quote.recovered`.
        by_quote: what is known of bid and ask; None where nothing is, then its prices count in their place.
        first_no: the number of the first of the pieces that were folded into it; 0 where none were.
        freshness: that of the pieces that were folded into it, where all are old; else None.
        no_buy: see `Quote.no_buy`.
    """

    symbol: Symbol
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    begin: datetime
    end: datetime
    seen: Instant
    source: str
    real: bool
    volume: Decimal | None = None
    data_no: int = 0
    recovered: bool = False
    by_quote: QuoteRange | None = None
    first_no: int = 0
    freshness: Freshness | None = None
    no_buy: str | None = None

    @property
    def folded(self) -> bool:
        """Whether it stands for pieces of market data that this process received one by one."""
        return self.first_no > 0

    @property
    def market_time(self) -> datetime:
        """The time up to which it tells what the market did."""
        return self.end

    def at(self, price: Decimal) -> Quote:
        """Return a quote of one price in the bar."""
        return Quote(
            self.symbol,
            price,
            self.end,
            self.seen,
            self.source,
            real=self.real,
            is_trade=True,
            data_no=self.data_no,
            recovered=self.recovered,
        )


MarketData: TypeAlias = Quote | Bar


@dataclass(frozen=True, slots=True)
class History:
    """What the market of a symbol did in a span of time in which this process did not see it.

    Attributes:
        data: in the order of their times, each of them `Quote.recovered`; empty where nothing happened.
        unknown: why it is not known; None where it is.
        stored: the prices that a process before had stored of that time, where it is not known otherwise. It is not
            known what came between them, so they only move the marks of trailing orders.
    """

    data: tuple[MarketData, ...] = ()
    unknown: str | None = None
    stored: tuple[Bar, ...] = ()


class HistorySource(Protocol):
    """What a `PriceSource` has beside, where it can tell what happened before it was started."""

    def history(self, symbol: Symbol, since: datetime, until: datetime, timeout: float) -> History:
        """Return what the market did after ``since`` up to ``until``.

        It is called in a thread of its own, also before the start and while the source runs; it may wait.

        Args:
            symbol: in the venue's spelling.
            since: excluded; a bar may begin before it.
            until: included.
            timeout: seconds after which nobody waits for the answer any more.
        """


class PriceListener(Protocol):
    """The receiver of prices. It is called from the source's thread, sends messages, and never blocks or raises."""

    def instruments_loaded(self, catalog: InstrumentCatalog) -> None:
        """Receive the instruments; called before the first price of each start."""

    def quotes_seen(self, quotes: Sequence[Quote]) -> None:
        """Receive prices that arrived together."""

    def waiting(self) -> int:
        """Return how much of what was delivered is still to be handled, or to be kept until a commit.

        A source of recorded prices waits while this is high. Callable from any thread.
        """

    def source_ended(self, reason: str) -> None:
        """Receive the reason why no more prices come: the end of a file, or a failure. Not called after a stop."""


class PriceSource(Protocol):
    """A source of prices.

    Attributes:
        name: ``simulated``, ``file``, the exchange's id, or another name of your own source; the value of
            ``Quote.source``.
        real: True where the prices are those of a real market; otherwise results are marked. A source may have `live`
            beside it: whether its prices are made now, so that their absence is a failure; by default as `real`.
    """

    name: str
    real: bool

    @property
    def notes(self) -> Sequence[str]:
        """Notes on its prices as sentences, for example the assumed length of a file's bars."""

    @property
    def troubles(self) -> Sequence[str]:
        """Failures that it retries at this moment, as sentences. Callable from any thread."""

    @property
    def catalog(self) -> InstrumentCatalog | None:
        """The instruments that can be traded; None until they are loaded."""

    def start(self, listener: PriceListener) -> None:
        """Start to deliver prices in a daemon thread; return at once. After a stop or an end it can start again.

        Raises:
            RuntimeError: the source is running.
        """

    def subscribe(self, symbols: Collection[Symbol]) -> None:
        """Request prices of ``symbols``, and one price of each at once, also where they were requested before.

        Symbols have the venue's spelling, or any usual one while the instruments are not loaded. A source that always
        delivers all its symbols ignores the request. Callable before the start and from any thread; never blocks.
        """

    def unsubscribe(self, symbols: Collection[Symbol]) -> None:
        """End the request for prices of ``symbols``. Callable from any thread; never blocks."""

    def stop(self) -> None:
        """Stop the delivery and return when the thread has ended, within 1 s. Without a running thread, do nothing."""


@runtime_checkable
class WatchesBooks(Protocol):
    """A price source that has order books. The method is optional for a `PriceSource`."""

    def watch_books(self, symbols: Collection[Symbol]) -> None:
        """Deliver the best levels of the order books of ``symbols``, which are subscribed, and of no others.

        They come as bid and ask of quotes, with their sizes, whose freshness is `Fresh.BOOK`: the last trade of such a
        quote may be older. Callable before the start and from any thread; never blocks.
        """


@runtime_checkable
class WatchesClosely(Protocol):
    """A price source that can show more of symbols where orders rest. The method is optional for a `PriceSource`."""

    def watch_closely(self, symbols: Collection[Symbol]) -> None:
        """Deliver all that it can of ``symbols``, which are subscribed, and no more than usual of all others.

        Each trade may be delivered as a quote with ``is_trade`` and ``last_size``, without bid and ask. Callable before
        the start and from any thread; never blocks.
        """
