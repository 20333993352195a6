"""Poller of the live view: reads the state in threads of its own, so that drawing never waits for the database."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing
from types import TracebackType
from typing import Self

from console.live.state import LedgerCheck, ViewReader, ViewState, check_ledger
from domain.errors import DatabaseError
from domain.worker_thread import WorkerThread
from persistence.queries.row_lists import LedgerReader

LEDGER_CHECK_INTERVAL_S = 10.0
"""Shortest time between two checks of the books."""
LEDGER_CHECK_PAUSE_FACTOR = 50
"""After a slow check, the pause is this multiple of its duration, so that checks use at most 2 % of the time."""
STOP_TIMEOUT_S = 2.0
"""How long `__exit__` waits for each thread to end."""
MIN_PAUSE_S = 0.05
"""Shortest pause between two readings, however long the last one took."""


class ViewPoller:
    """Two threads that read the state and check the books between `__enter__` and `__exit__`.

    Args:
        reader: reads the state; the poller closes it at the end.
        interval: seconds between the beginnings of two readings.
        on_update: is called after each reading, in another thread.

    Attributes:
        newest: the result of the last reading.
        failure: the defect that ended the polling; None while it goes on.
    """

    def __init__(self, reader: ViewReader, interval: float, on_update: Callable[[], None]) -> None:
        self.newest: ViewState = reader.read()
        self.failure: Exception | None = None
        self._reader = reader
        self._interval = interval
        self._on_update = on_update
        self._ledger_check: LedgerCheck | None = None
        self._workers = [
            WorkerThread("live view", self._poll, self._failed),
            WorkerThread("live view's check", self._check_ledger, self._failed),
        ]

    def __enter__(self) -> Self:
        for worker in self._workers:
            worker.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for worker in self._workers:
            worker.stop(STOP_TIMEOUT_S)
        self._reader.close()

    def choose(self, portfolio: str | None) -> None:
        """Show this portfolio alone from the next reading on, which begins at once; None: all."""
        self._reader.portfolio = portfolio
        self._workers[0].wake()

    def _failed(self, error: Exception) -> None:
        self.failure = error  # the caller raises it
        self._on_update()

    def _poll(self) -> float | None:
        begin = time.monotonic()
        self.newest = self._reader.read(self._ledger_check)
        self._on_update()
        return max(self._interval - (time.monotonic() - begin), MIN_PAUSE_S) if self.failure is None else None

    def _check_ledger(self) -> float:
        if self._reader.url is None:
            return 1.0
        with closing(LedgerReader(self._reader.url)) as ledger_reader:
            try:
                self._ledger_check = check_ledger(ledger_reader, self._reader.clock)
            except DatabaseError:
                return LEDGER_CHECK_INTERVAL_S  # the other thread reports it
        return max(LEDGER_CHECK_INTERVAL_S, LEDGER_CHECK_PAUSE_FACTOR * self._ledger_check.duration_s)
