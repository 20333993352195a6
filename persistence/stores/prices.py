"""The table of market prices, which the PriceTracker reads and writes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from loguru import logger

from domain.trading.quotes import PricePoint, Quote
from domain.types import Symbol
from persistence.connections import engine_for, transaction
from persistence.lease import Lease, writing
from persistence.log_once import LogErrorsOnce
from persistence.recorder import Recorder
from persistence.rows import KEEP_EXISTING, insert_rows
from persistence.stores.store import Store

LAST_PRICES = """
SELECT held.symbol, m.price, m.bid, m.ask
FROM (SELECT DISTINCT symbol FROM paper_positions) held
LEFT JOIN LATERAL (
    SELECT price, bid, ask FROM market_prices q WHERE q.symbol = held.symbol ORDER BY q.time DESC LIMIT 1
) m ON true
"""


class PriceStore(Store):
    """The table of market prices."""

    def __init__(self, database_url: str, lease: Lease) -> None:
        self.engine = engine_for(database_url, "PriceTracker")  # no writer: a long deletion has no time limit
        self._lease = lease

    def last_prices(self) -> Mapping[Symbol, PricePoint | None]:
        """Return the last stored price of each symbol with an open position, None without one; used as marks only."""
        with transaction(self.engine) as cursor:
            return {
                Symbol(symbol): PricePoint(price, bid, ask) if price is not None else None
                for symbol, price, bid, ask in cursor.execute(LAST_PRICES).fetchall()
            }

    def record(self, quotes: Sequence[Quote]) -> None:
        """Store quotes; the same quote again changes nothing. The caller sends at most one per symbol and second."""
        with writing(self.engine, self._lease) as cursor:
            insert_rows(cursor, "market_prices", [price_row(quote) for quote in quotes], KEEP_EXISTING)

    def forget(self, retention: timedelta) -> int:
        """Delete prices older than ``retention``; return how many. Nothing else is ever deleted."""
        with writing(self.engine, self._lease) as cursor:
            return cursor.execute("DELETE FROM market_prices WHERE time < now() - %s", [retention]).rowcount


def price_row(quote: Quote) -> dict[str, object]:
    """Return the row of ``market_prices``."""
    return {
        "time": quote.seen_at, "symbol": quote.symbol, "source": quote.source, "price": quote.price, "bid": quote.bid,
        "ask": quote.ask, "volume": quote.volume, "price_time": quote.price_time,
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

    def read(self, reply: Callable[[Mapping[Symbol, PricePoint | None] | None], None]) -> None:
        """Call ``reply`` soon with `PriceStore.last_prices`, or with None if they cannot be read now; never waits."""

        def read_and_reply() -> None:
            prices: Mapping[Symbol, PricePoint | None] | None = None
            try:
                prices = self._store.last_prices()
            finally:
                reply(prices)

        if not self._offer(_Job(read_and_reply)):
            reply(None)

    def offer(self, quotes: Sequence[Quote]) -> None:
        """Store ``quotes`` soon; never waits."""
        if not self._offer(_Job(lambda: self._store.record(quotes), len(quotes))):
            self.dropped += len(quotes)

    def forget(self, retention: timedelta) -> None:
        """Delete prices older than ``retention`` soon; never waits."""
        if not self._offer(_Job(lambda: self._store.forget(retention))):
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
