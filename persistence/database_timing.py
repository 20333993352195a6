"""How often and how long this process waited for the database, by the name of the connection.

psycopg waits for the server in one method, for statements, COPY, BEGIN and COMMIT alike; the count is made there. The
counts belong to the process and never decrease, although engines are made and disposed of.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

import psycopg
from psycopg.abc import PQGen
from psycopg.pq import TransactionStatus

T = TypeVar("T")


class DatabaseTimings:
    """The waits of the connections of one name.

    Attributes:
        count: of the waits for the server.
        seconds: of all waits together.
    """

    def __init__(self) -> None:
        self.count = 0
        self.seconds = 0.0
        self._lock = threading.Lock()

    def add(self, seconds: float) -> None:
        """Count one wait; from any thread."""
        with self._lock:
            self.count += 1
            self.seconds += seconds


_BY_NAME: dict[str, DatabaseTimings] = {}


def database_timings() -> Mapping[str, DatabaseTimings]:
    """Return the waits of this process, by the name of the connections."""
    return dict(_BY_NAME)


class CountedConnection(psycopg.Connection[Any]):
    """A connection that counts its waits."""

    timings: DatabaseTimings | None = None

    def count_as(self, name: str | None) -> None:
        """Count under ``name`` from now on; None counts nothing."""
        self.timings = None if name is None else _BY_NAME.setdefault(name, DatabaseTimings())

    def wait(self, gen: PQGen[T], *args: Any, **options: Any) -> T:
        """Wait for the server."""
        timings = self.timings
        if timings is None:
            return super().wait(gen, *args, **options)
        begun = time.perf_counter()
        try:
            return super().wait(gen, *args, **options)
        finally:
            timings.add(time.perf_counter() - begun)

    def rollback(self) -> None:
        """Roll back. Without a transaction, as on return to a pool, nothing is sent and nothing is counted."""
        if self.pgconn.transaction_status != TransactionStatus.IDLE:
            super().rollback()
            return
        timings, self.timings = self.timings, None
        try:
            super().rollback()
        finally:
            self.timings = timings

    def notifies(self, *args: Any, **options: Any) -> Iterator[psycopg.Notify]:  # type: ignore[override]
        """Wait for notifications; this connection counts nothing from now on."""
        self.timings = None
        return super().notifies(*args, **options)
