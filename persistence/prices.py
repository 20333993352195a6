"""What the PriceTracker reads and writes: prices as they were seen, and how long they are kept."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from decimal import Decimal

from loguru import logger

from domain.errors import DatabaseError
from domain.market import Quote
from domain.words import Symbol
from persistence.engine import engine_for, transaction
from persistence.lease import Lease, writing

COLUMNS = "time, symbol, source, price, bid, ask, volume, price_time"

LAST_PRICES = """
SELECT held.symbol, m.price
FROM (SELECT DISTINCT symbol FROM paper_positions) held
LEFT JOIN LATERAL (SELECT price FROM market_prices q WHERE q.symbol = held.symbol ORDER BY q.time DESC LIMIT 1) m
    ON true
"""


class PriceStore:
    """The table of market prices."""

    def __init__(self, database_url: str, lease: Lease) -> None:
        self._engine = engine_for(database_url, "PriceTracker")
        self._lease = lease

    def last_prices(self) -> Mapping[Symbol, Decimal | None]:
        """Return the last stored price of each symbol that is held, None without one; they serve as marks only."""
        with transaction(self._engine) as cursor:
            return {Symbol(symbol): price for symbol, price in cursor.execute(LAST_PRICES).fetchall()}

    def record(self, quotes: Sequence[Quote]) -> None:
        """Store quotes, at most one a symbol and second by the caller's choice; the same again changes nothing."""
        with writing(self._engine, self._lease) as cursor:
            cursor.executemany(
                f"INSERT INTO market_prices ({COLUMNS}) VALUES (%s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
                [(q.seen_at, q.symbol, q.source, q.price, q.bid, q.ask, q.volume, q.price_time) for q in quotes],
            )

    def forget(self, retention: timedelta) -> int:
        """Delete prices older than ``retention``; return how many. Nothing else is ever deleted."""
        with writing(self._engine, self._lease) as cursor:
            return cursor.execute("DELETE FROM market_prices WHERE time < now() - %s", [retention]).rowcount

    def close(self) -> None:
        """Give the connection back."""
        self._engine.dispose()


class PriceRecorder:
    """Stores prices from a thread of its own, so that they go on while the database is slow or away.

    What cannot be stored is dropped and counted: fills carry their own evidence.

    Attributes:
        dropped: quotes that were not stored.
    """

    MOST_WAITING = 60
    PATIENCE = 0.5

    def __init__(self, store: PriceStore) -> None:
        self.dropped = 0
        self._store = store
        self._jobs: queue.Queue[Callable[[], object] | None] = queue.Queue(self.MOST_WAITING)
        self._away = False
        self._thread = threading.Thread(target=self._run, name="price recorder", daemon=True)
        self._thread.start()

    def read(self, to: Callable[[Mapping[Symbol, Decimal | None] | None], None]) -> None:
        """Have ``to`` told soon the last stored price of each symbol held, None without one; never waits.

        It is told None where they cannot be read now.
        """

        def tell() -> None:
            prices: Mapping[Symbol, Decimal | None] | None = None
            try:
                prices = self._store.last_prices()
            finally:
                to(prices)

        try:
            self._jobs.put_nowait(tell)
        except queue.Full:
            to(None)

    def offer(self, quotes: Sequence[Quote]) -> None:
        """Have ``quotes`` stored soon; never waits."""
        try:
            self._jobs.put_nowait(lambda: self._store.record(quotes))
        except queue.Full:
            self.dropped += len(quotes)

    def forget(self, retention: timedelta) -> None:
        """Have prices older than ``retention`` deleted soon; never waits."""
        try:
            self._jobs.put_nowait(lambda: self._store.forget(retention))
        except queue.Full:
            logger.debug("old prices are deleted another time")

    def close(self) -> None:
        """Store what waits, if that does not take long, then give the connection back."""
        try:
            self._jobs.put_nowait(None)
            self._thread.join(timeout=self.PATIENCE)
        except queue.Full:
            logger.debug("prices that still waited are not stored")
        self._store.close()

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            try:
                job()
                self._away = False
            except DatabaseError as error:
                self.dropped += 1
                if not self._away:
                    logger.warning("prices are not stored at the moment: {}", error)
                self._away = True
            except Exception as error:  # noqa: BLE001 - without this thread nobody is told the stored prices again
                self.dropped += 1
                logger.opt(exception=error).error("prices could not be stored; the recorder goes on")
