"""The job that stores each day's verdict after midnight, and ends validation runs whose rules have changed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Protocol

from loguru import logger

from domain.alarms import AlarmKind, Notify
from domain.analytics.returns import DAY
from domain.errors import DatabaseBusy, DatabaseUnavailable, Fenced
from domain.log_once import LogOnce
from domain.trading.snapshot import day_of
from domain.types import Clock
from domain.validation.progress import Course, Progress
from domain.validation.verdict import Verdict
from domain.worker_thread import WorkerThread

MARGIN = timedelta(minutes=1)
"""The delay after midnight, so that the snapshot of midnight is stored."""
CHECK_INTERVAL_S = 300.0
"""Between two checks of what validation runs depend on."""
PROGRESS_INTERVAL = timedelta(hours=1)
"""Between two computations of how far the runs are."""
RETRY_INTERVAL_S = 5.0
"""Until the next try after the database was unavailable."""
STOP_TIMEOUT_S = 0.5
"""How long `stop` waits for a check under way; the next start stores what is missing then."""


class Verdicts(Protocol):
    """The table of verdicts; `persistence.stores.verdicts.VerdictStore` implements it."""

    def end_changed(self) -> list[str]:
        """End the runs whose rules have changed; return a sentence on each run that has ended since the last call."""

    def progress(self) -> list[Progress]:
        """Return how far each open run is with each of its portfolios."""

    def last_progress(self) -> list[Progress]:
        """Return how far each open run was when its last verdict was stored."""

    def fill(self, until: datetime, stopping: Callable[[], bool]) -> list[Verdict]:
        """Store the missing verdicts of the days that ended before ``until``; return them."""

    def close(self) -> None:
        """Close the connection."""


class ValidationJob:
    """A daemon thread with its own database connection, from `start` to `stop`.

    Args:
        store: the table of verdicts.
        clock: the time; it decides which days have ended.
        notify: sends an alarm when a run has ended.
    """

    def __init__(self, store: Verdicts, clock: Clock, notify: Notify) -> None:
        self._notify = notify
        self._next_progress: datetime | None = None
        self._warned: set[tuple[str, str, Course]] | None = None
        self._store = store
        self._clock = clock
        self._failures = LogOnce.to(logger, "error")
        self._worker = WorkerThread("validation", self._check, self._failed)

    def start(self) -> None:
        """Start the thread; it stores missing verdicts at once."""
        self._worker.start()

    def stop(self) -> None:
        """Stop the thread and close the connection. A second call does nothing."""
        self._worker.stop(STOP_TIMEOUT_S)
        self._store.close()

    def _check(self) -> float:
        for sentence in self._store.end_changed():
            logger.warning("{}", sentence)
            self._notify(AlarmKind.VALIDATION_ENDED, sentence)
        if self._warned is None:
            # Of what was lost by then a process before this one has warned.
            lost = (progress for progress in self._store.last_progress() if progress.course is Course.LOST)
            self._warned = {_key(progress) for progress in lost}
        for verdict in self._store.fill(self._clock.now() - MARGIN, self._worker.stopping.is_set):
            logger.info("{}", _summary(verdict))
            self._next_progress = None  # the process after this one takes what it says for known
        self._warn(self._warned)
        self._failures.recovered()
        now = self._clock.now()
        next_day = day_of(now - MARGIN) + DAY + MARGIN
        return min(CHECK_INTERVAL_S, (next_day - now).total_seconds())

    def _warn(self, warned: set[tuple[str, str, Course]]) -> None:
        """Warn once of a run that cannot pass any more, and a day before its last day of one that would not pass."""
        now = self._clock.now()
        if self._next_progress is not None and now < self._next_progress:
            return
        self._next_progress = now + PROGRESS_INTERVAL
        for progress in self._store.progress():
            lost = progress.course is Course.LOST
            due = lost or (progress.course is Course.BEHIND and progress.ends - now <= DAY)
            if due and _key(progress) not in warned:
                warned.add(_key(progress))
                logger.warning("{}", progress.sentence)
                text = progress.sentence if lost else f"{progress.sentence}; its days end at {progress.ends:%H:%M} UTC"
                self._notify(AlarmKind.VALIDATION_AT_RISK, text)

    def _failed(self, error: Exception) -> float | None:
        if isinstance(error, Fenced):
            return None  # the process is about to end
        if isinstance(error, DatabaseUnavailable | DatabaseBusy):
            logger.debug("cannot store verdicts now, retrying: {}", error)
            return RETRY_INTERVAL_S
        reason = f"{type(error).__name__}: {error}"
        self._failures.failed(f"cannot compute the day's verdict, retrying: {reason}", key=reason)
        return CHECK_INTERVAL_S


def _key(progress: Progress) -> tuple[str, str, Course]:
    return progress.run, progress.portfolio, progress.course


def _summary(verdict: Verdict) -> str:
    run = verdict.run.name if verdict.run is not None else ""
    state = "ready" if verdict.ready else f"not ready: {'; '.join(verdict.missing)}"
    return f"validation run {run}, {verdict.until - DAY:%Y-%m-%d}: portfolio {verdict.portfolio} is {state}"
