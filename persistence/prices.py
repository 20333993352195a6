"""What the PriceTracker reads and writes: prices as they were seen, and how long they are kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from decimal import Decimal

from domain.market import Quote
from domain.words import Symbol
from persistence.engine import engine_for, transaction

COLUMNS = "time, symbol, source, price, bid, ask, volume, price_time"

LAST_PRICES = """
SELECT held.symbol, m.price
FROM (SELECT DISTINCT symbol FROM paper_positions) held
JOIN LATERAL (SELECT price FROM market_prices q WHERE q.symbol = held.symbol ORDER BY q.time DESC LIMIT 1) m ON true
"""


class PriceStore:
    """The table of market prices."""

    def __init__(self, database_url: str) -> None:
        self._engine = engine_for(database_url, "PriceTracker")

    def last_prices(self) -> Mapping[Symbol, Decimal]:
        """Return the last stored price of each symbol that is held; they serve as marks only."""
        with transaction(self._engine) as cursor:
            return {Symbol(symbol): price for symbol, price in cursor.execute(LAST_PRICES).fetchall()}

    def record(self, quotes: Sequence[Quote]) -> None:
        """Store quotes, at most one a symbol and second by the caller's choice; the same again changes nothing."""
        with transaction(self._engine) as cursor:
            cursor.executemany(
                f"INSERT INTO market_prices ({COLUMNS}) VALUES (%s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
                [(q.seen_at, q.symbol, q.source, q.price, q.bid, q.ask, q.volume, q.price_time) for q in quotes],
            )

    def forget(self, retention: timedelta) -> int:
        """Delete prices older than ``retention``; return how many. Nothing else is ever deleted."""
        with transaction(self._engine) as cursor:
            return cursor.execute("DELETE FROM market_prices WHERE time < now() - %s", [retention]).rowcount

    def close(self) -> None:
        """Give the connection back."""
        self._engine.dispose()
