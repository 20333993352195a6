"""The job that measures what grows in the database, and thins old prices that nothing rests on."""

from __future__ import annotations

from collections import deque
from datetime import datetime, timedelta
from typing import Protocol

from loguru import logger

from domain.errors import DatabaseBusy, DatabaseUnavailable, Fenced
from domain.log_once import LogOnce
from domain.types import Clock, Instant
from domain.worker_thread import WorkerThread

START_DELAY_S = 60.0
"""After the start, so that it takes no time from the first decisions."""
INTERVAL = timedelta(hours=1)
"""Between two samples of the sizes, and between two looks for prices to thin."""
BATCH_PAUSE_S = 0.1
"""Between two batches, so that the database mostly does other things."""
RETRY_INTERVAL_S = 60.0
"""Until the next try after an error."""
STOP_TIMEOUT_S = 0.5
"""How long `stop` waits for a batch under way; one that is cut off changes nothing."""


class StorageTables(Protocol):
    """Sizes and prices in the database; `persistence.storage.store.StorageStore` implements it."""

    def sample(self, at: datetime) -> bool:
        """Store the sizes of the tables and what was traded, if that is due."""

    def untraded_symbols(self) -> list[str]:
        """Return the symbols with prices that no decision, order or position ever named."""

    def thin(self, symbol: str, before: datetime) -> int | None:
        """Thin the next hours of a symbol's prices from before a time.

        Returns:
            How many rows went; None where nothing is left to do.
        """

    def close(self) -> None:
        """Close the connection."""


class StorageJob:
    """A daemon thread with its own database connection, from `start` to `stop`.

    Args:
        store: sizes and prices.
        clock: the time.
        thin_after: age from which prices are thinned; None: they are not.
    """

    def __init__(self, store: StorageTables, clock: Clock, thin_after: timedelta | None) -> None:
        self._store = store
        self._clock = clock
        self._thin_after = thin_after
        self._looked: Instant | None = None
        self._symbols: deque[str] = deque()
        self._removed = 0
        self._failures = LogOnce.to(logger)
        self._worker = WorkerThread("storage", self._round, self._failed)

    def start(self) -> None:
        """Start the thread; it begins after `START_DELAY_S`."""
        self._worker.start(START_DELAY_S)

    def stop(self) -> None:
        """Stop the thread and close the connection. A second call does nothing."""
        self._worker.stop(STOP_TIMEOUT_S)
        self._store.close()

    def _round(self) -> float:
        """Look at everything each `INTERVAL`, and thin one batch in between."""
        now = Instant.of(self._clock)
        if self._looked is None or now.since(self._looked) >= INTERVAL:
            self._store.sample(now.time)
            self._symbols = deque(self._store.untraded_symbols() if self._thin_after is not None else ())
            self._looked = now
        elif self._symbols and self._thin_after is not None:
            removed = self._store.thin(self._symbols[0], now.time - self._thin_after)
            if removed is None:
                self._symbols.popleft()
            else:
                self._removed += removed
        self._failures.recovered("the storage job goes on")
        if self._symbols:
            return BATCH_PAUSE_S
        if self._removed:
            logger.debug("{} old prices were thinned", self._removed)
            self._removed = 0
        return (INTERVAL - now.since(self._looked)).total_seconds()

    def _failed(self, error: Exception) -> float | None:
        if isinstance(error, Fenced):
            return None  # the process is about to end
        reason = f"{type(error).__name__}: {error}"
        if isinstance(error, DatabaseUnavailable | DatabaseBusy):
            logger.debug("cannot measure or thin tables now, retrying: {}", error)
        else:
            self._failures.failed(f"cannot measure or thin tables, retrying: {reason}", key=reason)
        return RETRY_INTERVAL_S
