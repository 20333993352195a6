"""Wake-ups from the database: LISTEN on a connection of its own.

``notifies()`` holds its connection's lock, and a notification that is sent while nothing listens is lost. So after each
reconnect every channel is woken, and the poll remains the truth. While the database is away every channel is woken once
per attempt to reconnect, so that an idle actor notices the outage before its next poll.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

import psycopg
from loguru import logger

from domain.worker_thread import WorkerThread
from persistence.connections import connect
from persistence.error_translation import translated
from persistence.log_once import LogErrorsOnce
from persistence.sessions.session import has_own_session

STOP_CHECK_INTERVAL_S = 0.25
"""A stop is noticed within this time."""
POLL_INTERVAL_S = 0.5
"""The longest wait where a pooler passes no notifications on."""
RECONNECT_INTERVAL_S = 1.0
"""Between two attempts to connect."""
CHECK_INTERVAL_S = 5.0
"""Between two statements by which the listener finds out whether the server still answers it."""
ANSWER_LIMIT_S = 10.0
"""Longest wait for the answer to one."""


class Listener:
    """A thread that calls ``woken(channel)`` for each notification, and for each channel after an attempt to connect.

    Attributes:
        failures: of the thread; only `stop` ends it.
    """

    def __init__(self, database_url: str, channels: Sequence[str], woken: Callable[[str], None]) -> None:
        self.failures = LogErrorsOnce()
        self._url = database_url
        self._channels = channels
        self._woken = woken
        self._worker = WorkerThread("listener", self._listen, self._lost)

    def start(self) -> None:
        """Start the thread."""
        self._worker.start()

    def stop(self) -> None:
        """Stop the thread; wait for its end, but not long if its connection hangs."""
        self._worker.stop(timeout=2 * STOP_CHECK_INTERVAL_S)

    def _listen(self) -> None:
        with connect(self._url, "listener", answer_limit=ANSWER_LIMIT_S) as connection:
            if not has_own_session(connection, lambda: connect(self._url, "listener check")):
                logger.info("the pooler of the database passes no wake-ups on; polling goes on")
                self._worker.stopping.wait()
                return
            _listen(connection, self._channels)
            self.failures.recovered("the database sends wake-ups again")
            for channel in self._channels:
                self._wake(channel)
            checked = time.monotonic()
            while not self._worker.stopping.is_set():
                if time.monotonic() - checked >= CHECK_INTERVAL_S:
                    connection.execute("SELECT 1")
                    checked = time.monotonic()
                for notification in connection.notifies(timeout=STOP_CHECK_INTERVAL_S, stop_after=1):
                    self._wake(notification.channel)

    def _lost(self, error: Exception) -> float:
        self.failures.raised("the database sends no wake-ups until it is back; polling goes on", error)
        # A server does not end all sessions at the same moment: an actor that is woken right after this connection was
        # lost may still get an answer on its own. So each failed attempt wakes it again.
        for channel in self._channels:
            with suppress(Exception):
                self._woken(channel)
        return RECONNECT_INTERVAL_S

    def _wake(self, channel: str) -> None:
        try:
            self._woken(channel)
        except Exception as error:  # noqa: BLE001 - the next wake-up may work
            self.failures.raised(f"a wake-up on {channel} was lost; polling goes on", error)
        else:
            self.failures.recovered()


@contextmanager
def wake_ups(database_url: str, name: str, channel: str) -> Iterator[Callable[[float], None]]:
    """Listen on a connection of its own; yield a function that waits for a notification, with a timeout in seconds.

    Raises:
        DatabaseUnavailable: the database does not answer.
    """
    with translated(), connect(database_url, name) as connection:
        if not has_own_session(connection, lambda: connect(database_url, name)):
            yield lambda timeout: time.sleep(min(timeout, POLL_INTERVAL_S))
            return
        _listen(connection, [channel])

        def wait(timeout: float) -> None:
            for _ in connection.notifies(timeout=timeout, stop_after=1):
                pass

        yield wait


def _listen(connection: psycopg.Connection, channels: Sequence[str]) -> None:
    for channel in channels:
        connection.execute(psycopg.sql.SQL("LISTEN {}").format(psycopg.sql.Identifier(channel)))
