"""The table of market prices, which the PriceTracker reads and writes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from loguru import logger

from domain.market_data.awaited_splits import LastPrices
from domain.market_data.price_second import PriceSecond
from domain.trading.quotes import Bar, PricePoint, QuoteRange
from domain.types import Instant, Symbol
from persistence.connections import engine_for, transaction
from persistence.lease import Lease, writing
from persistence.log_once import LogErrorsOnce
from persistence.recorder import Recorder
from persistence.rows import KEEP_EXISTING, insert_rows
from persistence.storage.timescale import drop_old_prices
from persistence.stores.books.awaited_splits import AwaitedSplitReader
from persistence.stores.store import Store

LAST_PRICES = """
WITH sources AS MATERIALIZED (SELECT portfolio_id, other_source, present_source FROM v_paper_portfolio_sources)
SELECT held.symbol, m.price, m.bid, m.ask
FROM (
    SELECT p.symbol, max(p.split_at) AS split_at FROM paper_positions p
    WHERE p.portfolio NOT IN (SELECT portfolio_id FROM sources WHERE other_source)
    GROUP BY p.symbol
) held
LEFT JOIN LATERAL (
    SELECT price, bid, ask, source FROM market_prices q
    WHERE q.symbol = held.symbol AND q.time > coalesce(held.split_at, '-infinity')
      AND q.time <= paper_now() + interval '2 seconds'
    ORDER BY q.time DESC LIMIT 1
) m ON coalesce(m.source = (SELECT present_source FROM sources LIMIT 1), true)
"""
"""Without the positions of portfolios that have another price source: the present one may not know their symbols."""


STORED = """
SELECT s.begins, s.time, s.source, s.price, s.high, s.low, s.ask_low, s.bid_high, s.mark_low, s.mark_high
FROM paper_stored_prices(%(symbol)s, %(since)s, %(until)s) s ORDER BY s.time
"""


class PriceStore(Store):
    """The table of market prices."""

    def __init__(self, database_url: str, lease: Lease) -> None:
        self.engine = engine_for(database_url, "PriceTracker")  # no writer: a long deletion has no time limit
        self._lease = lease
        self._awaited_splits = AwaitedSplitReader()

    def read(self) -> LastPrices:
        """Return `last_prices`, and the splits that stored prices have not followed."""
        prices = self.last_prices()
        with transaction(self.engine) as cursor:
            return LastPrices(prices, self._awaited_splits.read(cursor))

    def last_prices(self) -> Mapping[Symbol, PricePoint | None]:
        """Return the last stored price of each symbol with an open position of the present price source.

        None without one. They are used as marks only.
        """
        with transaction(self.engine) as cursor:
            return {
                Symbol(symbol): PricePoint(price, bid, ask) if price is not None else None
                for symbol, price, bid, ask in cursor.execute(LAST_PRICES).fetchall()
            }

    def stored(self, symbol: Symbol, since: datetime, until: datetime) -> tuple[Bar, ...]:
        """Return what is stored of a symbol after ``since`` up to ``until``, each row as a bar.

        A row is a bar since the one before it. One that began before ``since`` has the last price alone, because
        nobody knows on which side of that time its extremes lie. They are marked `Bar.recovered`; whether the source's
        prices are real is not stored, and no fill rests on them.
        """
        with transaction(self.engine) as cursor:
            span = {"symbol": symbol, "since": since, "until": until}
            return tuple(_as_bar(symbol, *row) for row in cursor.execute(STORED, span).fetchall())

    def record(self, prices: Sequence[PriceSecond]) -> None:
        """Store prices; the same again change nothing. The caller sends at most one per symbol and second."""
        with writing(self.engine, self._lease) as cursor:
            insert_rows(cursor, "market_prices", [price_row(one) for one in prices], KEEP_EXISTING)

    def forget(self, before: datetime) -> int:
        """Delete prices from before a time; return how many rows, or how many chunks of a hypertable.

        The time is the caller's: a database whose clock was set ahead would delete all.
        """
        with writing(self.engine, self._lease) as cursor:
            if (dropped := drop_old_prices(cursor, before)) is not None:
                return dropped
            return cursor.execute("DELETE FROM market_prices WHERE time < %s", [before]).rowcount


def _as_bar(symbol: Symbol, begin: datetime, time: datetime, source: str, *prices: Decimal) -> Bar:
    price, high, low, ask_low, bid_high, mark_low, mark_high = prices
    return Bar(
        symbol=symbol, open=price, high=high, low=low, close=price, begin=begin, end=time, seen=Instant(time, 0.0),
        source=source, real=False, recovered=True,
        by_quote=QuoteRange(price, mark_high, mark_low, ask_low, bid_high),
    )  # fmt: skip


def price_row(prices: PriceSecond) -> dict[str, object]:
    """Return the row of ``market_prices``."""
    quote = prices.last
    return {
        "time": quote.seen_at, "symbol": quote.symbol, "source": quote.source, "price": quote.price, "bid": quote.bid,
        "ask": quote.ask, "volume": quote.volume, "price_time": quote.price_time,
        "high": prices.high, "low": prices.low, "bid_high": prices.bid_high, "ask_low": prices.ask_low,
        "time_mark": quote.time_mark,
    }  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Job:
    run: Callable[[], object]
    quotes: int = 0


class PriceRecorder(Recorder[_Job]):
    """Reads and stores prices in a thread, so that market data flow on while the database is slow or away.

    Quotes that cannot be stored are dropped and counted: fills carry their own evidence.

    Attributes:
        dropped: quotes that were not stored.
        failures: of the thread; only `close` ends it.
    """

    MAX_WAITING = 60
    """Jobs in the queue."""

    def __init__(self, store: PriceStore) -> None:
        self.failures = LogErrorsOnce()
        self._store = store
        super().__init__("price recorder", store.close)

    def read(self, reply: Callable[[LastPrices | None], None]) -> None:
        """Call ``reply`` soon with `PriceStore.read`, or with None if that is not possible now; never waits."""

        def read_and_reply() -> None:
            prices: LastPrices | None = None
            try:
                prices = self._store.read()
            finally:
                reply(prices)

        if not self._offer(_Job(read_and_reply)):
            reply(None)

    def stored(self, symbol: Symbol, since: datetime, until: datetime) -> tuple[Bar, ...]:
        """Return `PriceStore.stored` at once; it waits for the database, in the caller's thread."""
        return self._store.stored(symbol, since, until)

    def offer(self, prices: Sequence[PriceSecond]) -> None:
        """Store ``prices`` soon; never waits."""
        if not self._offer(_Job(lambda: self._store.record(prices), len(prices))):
            self.dropped += len(prices)

    def forget(self, before: datetime) -> None:
        """Delete prices from before a time soon; never waits."""
        if not self._offer(_Job(lambda: self._store.forget(before))):
            logger.debug("old prices are deleted later")

    def _offer(self, job: _Job) -> bool:
        fits = len(self._waiting) < self.MAX_WAITING
        if fits:
            self._put(job)
        return fits

    def _write(self, item: _Job) -> None:
        try:
            item.run()
        except Exception as error:  # noqa: BLE001 - these quotes are dropped
            self.dropped += item.quotes
            self.failures.raised("prices are not stored at the moment", error)
        else:
            if item.quotes:
                self.failures.recovered("prices are stored again")
