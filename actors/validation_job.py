"""Stores the verdict of each day soon after its end, and ends validation runs that something has changed of."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Protocol

from loguru import logger

from domain.analytics.returns import DAY
from domain.errors import DatabaseBusy, DatabaseUnavailable, Fenced
from domain.log_once import LogOnce
from domain.trading.snapshot import day_of
from domain.types import Clock
from domain.validation.verdict import Verdict

MARGIN = timedelta(minutes=1)
"""After midnight, so that its snapshot is there."""
LOOK = 300.0
"""Seconds between two looks at what runs are bound to."""
AGAIN = 5.0
"""Seconds until the next try, where the database was away."""
PATIENCE = 0.5
"""Seconds that the end waits for what is under way; what is not stored then is stored at the next start."""


class Verdicts(Protocol):
    """What the watch needs of the database; `persistence.stores.verdicts.VerdictStore` is it."""

    def end_changed(self) -> list[str]:
        """End runs; return a sentence on each."""

    def fill(self, until: datetime, stopping: Callable[[], bool]) -> list[Verdict]:
        """Store the missing verdicts of days that ended by then."""

    def close(self) -> None:
        """Give the connection back."""


class ValidationJob:
    """A daemon thread from `start` to `stop`, on a connection of its own; nobody waits for it.

    Args:
        store: the database.
        clock: says which days have ended.
        wait: sleeps so many seconds, and says whether the end has come; made for tests.
    """

    def __init__(self, store: Verdicts, clock: Clock, wait: Callable[[float], bool] | None = None) -> None:
        self._store = store
        self._clock = clock
        self._stopping = threading.Event()
        self._wait = wait or self._stopping.wait
        self._failures = LogOnce(logger.opt(depth=1).error, logger.opt(depth=1).info)
        self._thread = threading.Thread(target=self._watch, name="validation", daemon=True)

    def start(self) -> None:
        """Begin to look; what is missing is stored at once."""
        self._thread.start()

    def stop(self) -> None:
        """Look no more, and give the connection back. Twice does no harm."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(PATIENCE)
        self._store.close()

    def _watch(self) -> None:
        pause = 0.0
        while not self._wait(pause):
            try:
                self._look()
                pause = self._pause()
                self._failures.recovered()
            except Fenced:
                return  # the process is about to end
            except (DatabaseUnavailable, DatabaseBusy) as error:
                pause = AGAIN
                logger.debug("verdicts are stored later: {}", error)
            except Exception as error:  # noqa: BLE001 - nobody would start this thread again
                if self._stopping.is_set():
                    return  # its connection was closed under it
                pause = LOOK
                reason = f"{type(error).__name__}: {error}"
                self._failures.failed(f"the day's verdict could not be made, and is tried again: {reason}", key=reason)

    def _look(self) -> None:
        for sentence in self._store.end_changed():
            logger.warning("{}", sentence)
        for verdict in self._store.fill(self._clock.now() - MARGIN, self._stopping.is_set):
            logger.info("{}", _told(verdict))

    def _pause(self) -> float:
        now = self._clock.now()
        next_day = day_of(now - MARGIN) + DAY + MARGIN
        return min(LOOK, (next_day - now).total_seconds())


def _told(verdict: Verdict) -> str:
    run = verdict.run.name if verdict.run is not None else ""
    state = "ready" if verdict.ready else f"not ready: {'; '.join(verdict.missing)}"
    return f"validation run {run}, {verdict.until - DAY:%Y-%m-%d}: portfolio {verdict.portfolio} is {state}"
