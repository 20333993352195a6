"""Retries of database calls: waiting for the database is a visible state, which ends at a stop, and not a hang."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

from loguru import logger
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception_type,
    sleep_using_event,
    stop_after_delay,
    wait_random_exponential,
)

from actors.runtime.activity import Activity
from actors.runtime.address import require_current
from domain.errors import DatabaseBusy, DatabaseError, DatabaseUnavailable, DatabaseUnsuitable, PaperTradingError
from domain.retry_policy import RetryPolicy
from domain.types import Clock, Instant

T = TypeVar("T")
CALLER_TIMEOUT_S = 10.0
"""Seconds that a caller may have to wait for an answer that was lost."""


RETRYABLE: tuple[type[DatabaseError], ...] = (DatabaseBusy, DatabaseUnsuitable)
"""Errors after which nothing was written and a retry may succeed: a lock, or a table or right that is missing now."""
UNTIL_DONE = RetryPolicy((DatabaseUnavailable, *RETRYABLE))
UNLESS_AWAY = RetryPolicy(RETRYABLE)
FOR_A_WHILE = RetryPolicy(UNTIL_DONE.errors, limit_s=CALLER_TIMEOUT_S)


IDENTICAL_ERRORS = 3
"""After so many equal refusals in a row a repair is needed, and not time."""


class Interrupted(PaperTradingError):
    """The system stops while an actor waits for the database."""


class DatabaseRetry:
    """Repeats calls until the database is available, or the system stops.

    Args:
        name: name of the actor that calls.
        activity: record of its waiting.
        clock: gives the time since which it waits.
        stopping: event that is set when the system stops.
    """

    def __init__(self, name: str, activity: Activity, clock: Clock, stopping: threading.Event) -> None:
        self._name = name
        self._activity = activity
        self._clock = clock
        self._stopping = stopping
        self._backoff_s = UNTIL_DONE.first_wait_s
        self._last_error = ""
        self._identical = 0

    def until_done(self, action: Callable[[], T]) -> T:
        """Return what ``action`` returns once the database is available, not busy, and as the program needs it.

        Raises:
            Interrupted: the system stops.
        """
        return self._retrying(action, UNTIL_DONE)

    def until_done_unless_away(self, action: Callable[[], T]) -> T:
        """Return what ``action`` returns once the database is not busy, and as the program needs it.

        Raises:
            DatabaseUnavailable: it is unavailable; the actor must reload its state.
            Interrupted: the system stops.
        """
        return self._retrying(action, UNLESS_AWAY)

    def once(self, action: Callable[[], T]) -> T:
        """Return what ``action`` returns; its errors are the caller's.

        Raises:
            Abandoned: the caller was replaced; it writes and sends nothing more.
        """
        require_current()
        try:
            with self._activity.call():
                result = action()
        finally:
            require_current()
        self._identical = 0
        if (since := self._activity.waiting_since) is not None:
            self._activity.waiting_since = self._activity.waiting_reason = None
            seconds = Instant.of(self._clock).since(since).total_seconds()
            logger.info("{}: the database is back after {:.1f} s", self._name, seconds)
        return result

    def mark_unavailable(self, error: Exception) -> None:
        """Record that the database is unavailable and that the actor goes on without it for now."""
        if self._activity.waiting_since is None:
            self._activity.waiting_since = Instant.of(self._clock)
            logger.warning("{} waits for the database: {}", self._name, error)

    def backoff(self) -> None:
        """Sleep with exponential backoff: 50 ms, doubling to 1 s until `reset`."""
        self._stopping.wait(self._backoff_s)
        self._backoff_s = min(2 * self._backoff_s, UNTIL_DONE.longest_wait_s)

    def reset(self) -> None:
        """Begin the next backoff at 50 ms: a call succeeded."""
        self._backoff_s = UNTIL_DONE.first_wait_s

    def for_a_while(self, action: Callable[[], T]) -> T:
        """Return what ``action`` returns, if the database is available within `CALLER_TIMEOUT_S` seconds.

        Raises:
            DatabaseUnavailable: it was not.
            Interrupted: the system stops.
        """
        try:
            return self._retrying(action, FOR_A_WHILE)
        except RETRYABLE as error:
            raise DatabaseUnavailable(str(error)) from error

    def _retrying(self, action: Callable[[], T], policy: RetryPolicy) -> T:
        first_s, longest_s = policy.first_wait_s, policy.longest_wait_s
        retrying = Retrying(
            retry=retry_if_exception_type(policy.errors),
            wait=wait_random_exponential(multiplier=first_s, min=first_s, max=longest_s),
            stop=stop_after_delay(policy.limit_s),
            sleep=sleep_using_event(self._stopping),
            before_sleep=self._before_sleep,
            reraise=True,
        )
        try:
            return retrying(lambda: self.once(action))
        finally:
            self._activity.backing_off = False

    def _before_sleep(self, state: RetryCallState) -> None:
        if self._stopping.is_set():
            raise Interrupted(f"{self._name} stopped while it waited for the database")
        self._activity.backing_off = True
        error = state.outcome.exception() if state.outcome is not None else None
        self.mark_unavailable(error if isinstance(error, Exception) else DatabaseUnavailable("it gave no answer"))
        if isinstance(error, RETRYABLE):
            self._count_identical(error)

    def _count_identical(self, error: DatabaseError) -> None:
        """Report an error that comes again and again: the database answers, and refuses for the same reason."""
        self._identical = self._identical + 1 if str(error) == self._last_error else 1
        self._last_error = str(error)
        if self._identical == IDENTICAL_ERRORS:
            self._activity.waiting_reason = error.reason or str(error)
            logger.error(
                "{} gets the same error again and again; the intake is paused until its cause is mended: {}",
                self._name,
                self._activity.waiting_reason,
            )
