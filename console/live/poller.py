"""Poller of the live view: reads the state in threads of its own, so that drawing never waits for the database."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from console.live.state import LedgerCheck, ViewReader, ViewState, check_ledger
from domain.errors import DatabaseError
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
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(target=self._poll, name="live view", daemon=True),
            threading.Thread(target=self._check_ledger, name="live view's check", daemon=True),
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join(STOP_TIMEOUT_S)
        self._reader.close()

    def _poll(self) -> None:
        while not self._stopping.is_set():
            begin = time.monotonic()
            try:
                self.newest = self._reader.read(self._ledger_check)
            except Exception as error:  # noqa: BLE001 - the caller raises it
                self.failure = error
            self._on_update()
            if self.failure is not None:
                return
            self._stopping.wait(max(self._interval - (time.monotonic() - begin), MIN_PAUSE_S))

    def _check_ledger(self) -> None:
        while not self._stopping.is_set():
            pause = 1.0
            if self._reader.url is not None:
                ledger_reader = LedgerReader(self._reader.url)
                try:
                    self._ledger_check = check_ledger(ledger_reader)
                    pause = max(LEDGER_CHECK_INTERVAL_S, LEDGER_CHECK_PAUSE_FACTOR * self._ledger_check.duration_s)
                except DatabaseError:
                    pause = LEDGER_CHECK_INTERVAL_S  # the other thread reports it
                except Exception as error:  # noqa: BLE001 - the caller raises it
                    self.failure = error
                    self._on_update()
                    return
                finally:
                    ledger_reader.close()
            self._stopping.wait(pause)
