"""The job that stores each day's verdict after midnight, and ends validation runs whose rules have changed."""

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
"""The delay after midnight, so that the snapshot of midnight is stored."""
CHECK_INTERVAL_S = 300.0
"""Between two checks of what validation runs depend on."""
RETRY_INTERVAL_S = 5.0
"""Until the next try after the database was unavailable."""
STOP_TIMEOUT_S = 0.5
"""How long `stop` waits for a check under way; the next start stores what is missing then."""


class Verdicts(Protocol):
    """The table of verdicts; `persistence.stores.verdicts.VerdictStore` implements it."""

    def end_changed(self) -> list[str]:
        """End the runs whose rules have changed; return a sentence on each."""

    def fill(self, until: datetime, stopping: Callable[[], bool]) -> list[Verdict]:
        """Store the missing verdicts of the days that ended before ``until``; return them."""

    def close(self) -> None:
        """Close the connection."""


class ValidationJob:
    """A daemon thread with its own database connection, from `start` to `stop`.

    Args:
        store: the table of verdicts.
        clock: the time; it decides which days have ended.
        wait: sleeps for a number of seconds; returns whether to stop. Tests replace it.
    """

    def __init__(self, store: Verdicts, clock: Clock, wait: Callable[[float], bool] | None = None) -> None:
        self._store = store
        self._clock = clock
        self._stopping = threading.Event()
        self._wait = wait or self._stopping.wait
        self._failures = LogOnce(logger.opt(depth=1).error, logger.opt(depth=1).info)
        self._thread = threading.Thread(target=self._run, name="validation", daemon=True)

    def start(self) -> None:
        """Start the thread; it stores missing verdicts at once."""
        self._thread.start()

    def stop(self) -> None:
        """Stop the thread and close the connection. A second call does nothing."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(STOP_TIMEOUT_S)
        self._store.close()

    def _run(self) -> None:
        pause = 0.0
        while not self._wait(pause):
            try:
                self._check()
                pause = self._seconds_to_next_check()
                self._failures.recovered()
            except Fenced:
                return  # the process is about to end
            except (DatabaseUnavailable, DatabaseBusy) as error:
                pause = RETRY_INTERVAL_S
                logger.debug("cannot store verdicts now, retrying: {}", error)
            except Exception as error:  # noqa: BLE001 - the thread must go on
                if self._stopping.is_set():
                    return  # `stop` has closed its connection
                pause = CHECK_INTERVAL_S
                reason = f"{type(error).__name__}: {error}"
                self._failures.failed(f"cannot compute the day's verdict, retrying: {reason}", key=reason)

    def _check(self) -> None:
        for sentence in self._store.end_changed():
            logger.warning("{}", sentence)
        for verdict in self._store.fill(self._clock.now() - MARGIN, self._stopping.is_set):
            logger.info("{}", _summary(verdict))

    def _seconds_to_next_check(self) -> float:
        now = self._clock.now()
        next_day = day_of(now - MARGIN) + DAY + MARGIN
        return min(CHECK_INTERVAL_S, (next_day - now).total_seconds())


def _summary(verdict: Verdict) -> str:
    run = verdict.run.name if verdict.run is not None else ""
    state = "ready" if verdict.ready else f"not ready: {'; '.join(verdict.missing)}"
    return f"validation run {run}, {verdict.until - DAY:%Y-%m-%d}: portfolio {verdict.portfolio} is {state}"
