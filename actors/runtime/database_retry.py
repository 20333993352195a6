"""Waiting for the database: a state that can be seen and ended, not a hang."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime
from typing import TypeVar

from loguru import logger
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception_type,
    sleep_using_event,
    stop_after_delay,
    stop_never,
    wait_random_exponential,
)
from tenacity.stop import stop_base

from actors.runtime.activity import Activity
from actors.runtime.address import require_current
from domain.errors import DatabaseBusy, DatabaseError, DatabaseUnavailable, DatabaseUnsuitable, PaperTradingError
from domain.types import Clock

T = TypeVar("T")
SHORTEST, LONGEST = 0.05, 1.0
"""Seconds between two tries."""
WHILE = 10.0
"""Seconds that a caller can be made to wait for an answer that was lost."""


MENDABLE: tuple[type[DatabaseError], ...] = (DatabaseBusy, DatabaseUnsuitable)
"""What wrote nothing and may go well later: somebody's lock, or a table or right that was taken away while it ran."""


class Interrupted(PaperTradingError):
    """The system stops while something waits."""


class DatabaseRetry:
    """Tries again until the database is there, or the system stops.

    Args:
        name: of the actor that waits.
        activity: where its waiting can be seen.
        clock: since when.
        stopping: set when the system stops.
    """

    def __init__(self, name: str, activity: Activity, clock: Clock, stopping: threading.Event) -> None:
        self._name = name
        self._activity = activity
        self._clock = clock
        self._stopping = stopping
        self._breath = SHORTEST

    def until_done(self, action: Callable[[], T]) -> T:
        """Return what ``action`` returns once the database is available, not busy, and as the program needs it.

        Raises:
            Interrupted: the system stops.
        """
        return self._retrying(action, (DatabaseUnavailable, *MENDABLE), stop_never)

    def until_done_unless_away(self, action: Callable[[], T]) -> T:
        """Return what ``action`` returns once the database is not busy, and as the program needs it.

        Raises:
            DatabaseUnavailable: it is away; whoever waits must reload.
            Interrupted: the system stops.
        """
        return self._retrying(action, MENDABLE, stop_never)

    def once(self, action: Callable[[], T]) -> T:
        """Return what ``action`` returns; its errors are the caller's.

        Raises:
            Abandoned: whoever calls has a successor: it writes nothing any more, and tells nobody what came of it.
        """
        require_current()
        try:
            with self._activity.call():
                result = action()
        finally:
            require_current()
        if self._activity.waiting_since is not None:
            self._back(self._activity.waiting_since)
        return result

    def away(self, error: Exception) -> None:
        """The database is away, and this actor goes on without it for now."""
        if self._activity.waiting_since is None:
            self._activity.waiting_since = self._clock.now()
            logger.warning("{} waits for the database: {}", self._name, error)

    def backoff(self) -> None:
        """Wait a little before the same may go wrong again: 50 ms, doubling to a second until `refresh`."""
        self._stopping.wait(self._breath)
        self._breath = min(2 * self._breath, LONGEST)

    def refresh(self) -> None:
        """Something went well: the next breath is a short one."""
        self._breath = SHORTEST

    def for_a_while(self, action: Callable[[], T]) -> T:
        """Return what ``action`` returns, if the database is available within some seconds.

        Raises:
            DatabaseUnavailable: it is not.
            Interrupted: the system stops.
        """
        try:
            return self._retrying(action, (DatabaseUnavailable, *MENDABLE), stop_after_delay(WHILE))
        except MENDABLE as error:
            raise DatabaseUnavailable(str(error)) from error

    def _retrying(self, action: Callable[[], T], errors: tuple[type[Exception], ...], stop: stop_base) -> T:
        retrying = Retrying(
            retry=retry_if_exception_type(errors),
            wait=wait_random_exponential(multiplier=SHORTEST, min=SHORTEST, max=LONGEST),
            stop=stop,
            sleep=sleep_using_event(self._stopping),
            before_sleep=self._say,
            reraise=True,
        )
        try:
            return retrying(lambda: self.once(action))
        finally:
            self._activity.patient = False

    def _say(self, state: RetryCallState) -> None:
        if self._stopping.is_set():
            raise Interrupted(f"{self._name} stops while it waits for the database")
        self._activity.patient = True
        error = state.outcome.exception() if state.outcome is not None else None
        self.away(error if isinstance(error, Exception) else DatabaseUnavailable("it gave no answer"))

    def _back(self, since: datetime) -> None:
        self._activity.waiting_since = None
        logger.info("{}: the database is back after {:.1f} s", self._name, (self._clock.now() - since).total_seconds())
