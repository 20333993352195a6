"""Wake-ups from the database: LISTEN on a connection of its own.

``notifies()`` holds its connection's lock, and what was notified while nobody listened is gone: so after each
reconnect everything is woken, and the poll remains the truth.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import suppress

import psycopg
from loguru import logger

from persistence.engine import connect, first_line

BEAT = 0.25
"""Seconds after which a stop is noticed at the latest."""
RECONNECT = 1.0


class Listener:
    """A thread that calls ``woken(channel)`` for each notification, and for each channel after a (re)connect."""

    def __init__(self, database_url: str, channels: Sequence[str], woken: Callable[[str], None]) -> None:
        self._url = database_url
        self._channels = channels
        self._woken = woken
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="listener", daemon=True)

    def start(self) -> None:
        """Begin to listen."""
        self._thread.start()

    def stop(self) -> None:
        """End; returns when the thread has ended, or soon if its connection hangs."""
        self._stopping.set()
        self._thread.join(timeout=2 * BEAT)

    def _run(self) -> None:
        reported = False
        while not self._stopping.is_set():
            try:
                with connect(self._url, "listener") as connection:
                    reported = False
                    self._listen(connection)
            except psycopg.Error as error:
                if not reported and not self._stopping.is_set():
                    logger.warning(
                        "no wake-ups from the database until it is back, the poll goes on: {}", first_line(error)
                    )
                    reported = True
                    for channel in self._channels:  # who looks now, sees that the database is away
                        self._tell(channel)
                self._stopping.wait(RECONNECT)

    def _listen(self, connection: psycopg.Connection) -> None:
        for channel in self._channels:
            connection.execute(psycopg.sql.SQL("LISTEN {}").format(psycopg.sql.Identifier(channel)))
            self._tell(channel)
        while not self._stopping.is_set():
            for notification in connection.notifies(timeout=BEAT, stop_after=1):
                self._tell(notification.channel)

    def _tell(self, channel: str) -> None:
        with suppress(Exception):
            self._woken(channel)
