"""How often this process asked the database, and how long it waited for the answers, by who asked.

Counted where psycopg waits for the server, which is one place for statements, COPY, BEGIN and COMMIT alike. A count is
the process's own, as its connections are: engines come and go, and no count goes back.
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
    """Those of one name.

    Attributes:
        count: of the times that somebody waited for the server.
        seconds: that they waited, all together.
    """

    def __init__(self) -> None:
        self.count = 0
        self.seconds = 0.0
        self._lock = threading.Lock()

    def add(self, seconds: float) -> None:
        """Take note of one; from any thread."""
        with self._lock:
            self.count += 1
            self.seconds += seconds


_BY_NAME: dict[str, DatabaseTimings] = {}


def database_timings() -> Mapping[str, DatabaseTimings]:
    """Return those of this process, by the name that its connections carry."""
    return dict(_BY_NAME)


class CountedConnection(psycopg.Connection[Any]):
    """A connection that counts."""

    timings: DatabaseTimings | None = None

    def count_as(self, name: str | None) -> None:
        """Count under ``name`` from now on; None: nothing."""
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
        """Roll back; without a transaction, as when a pool takes a connection back, the server hears nothing of it."""
        if self.pgconn.transaction_status != TransactionStatus.IDLE:
            super().rollback()
            return
        timings, self.timings = self.timings, None
        try:
            super().rollback()
        finally:
            self.timings = timings

    def notifies(self, *args: Any, **options: Any) -> Iterator[psycopg.Notify]:  # type: ignore[override]
        """Listen; what is waited for now are others, so nothing is counted any more."""
        self.timings = None
        return super().notifies(*args, **options)
