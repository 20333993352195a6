"""Looks on, in threads of its own, so that whoever shows it waits for nobody: not for a database that hangs, either."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from console.live.state import Checked, ViewPoller, ViewState, check
from domain.errors import DatabaseError
from persistence.queries.row_lists import LedgerReader

CHECK_EVERY = 10.0
"""Seconds between two checks of the books, at least."""
CHECK_SHARE = 50
"""A check that takes long is made so many times rarer than it takes: it shall not cost the database more than 2 %."""
LAST_LOOK = 2.0
"""Seconds that a look which is under way gets at the end."""


class Watch:
    """Looks every so often between `__enter__` and `__exit__`.

    Args:
        looker: looks; it is closed at the end.
        interval: seconds.
        woken: called after each look, in another thread.

    Attributes:
        newest: what the last look found.
        failure: why it looks no more; a defect.
    """

    def __init__(self, looker: ViewPoller, interval: float, woken: Callable[[], None]) -> None:
        self.newest: ViewState = looker.look()
        self.failure: Exception | None = None
        self._looker = looker
        self._interval = interval
        self._woken = woken
        self._checked: Checked | None = None
        self._ended = threading.Event()
        self._threads = [
            threading.Thread(target=self._look, name="live view", daemon=True),
            threading.Thread(target=self._check, name="live view's check", daemon=True),
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join(LAST_LOOK)
        self._looker.close()

    def _look(self) -> None:
        while not self._ended.is_set():
            begin = time.monotonic()
            try:
                self.newest = self._looker.look(self._checked)
            except Exception as error:  # noqa: BLE001 - whoever shows it raises it
                self.failure = error
            self._woken()
            if self.failure is not None:
                return
            self._ended.wait(max(self._interval - (time.monotonic() - begin), 0.05))

    def _check(self) -> None:
        while not self._ended.is_set():
            pause = 1.0
            if self._looker.url is not None:
                reader = LedgerReader(self._looker.url)
                try:
                    self._checked = check(reader)
                    pause = max(CHECK_EVERY, CHECK_SHARE * self._checked.took)
                except DatabaseError:
                    pause = CHECK_EVERY  # the other thread says it
                except Exception as error:  # noqa: BLE001 - whoever shows it raises it
                    self.failure = error
                    self._woken()
                    return
                finally:
                    reader.close()
            self._ended.wait(pause)
