"""Looks after the embedded server while a service uses it: one that crashed is started again."""

from __future__ import annotations

import threading

from loguru import logger

from domain.errors import EmbeddedServerError
from persistence.embedded.server import EmbeddedServer

INTERVAL = 1.0
"""Seconds between two looks."""
LONGEST_PAUSE = 30.0
"""Seconds between two attempts that fail, at most; the pause doubles up to here."""
LAST_ATTEMPT = 5.0
"""Seconds that `EmbeddedWatch.stop` waits for an attempt under way."""


class EmbeddedWatch:
    """A daemon thread from `start` to `stop`; to be stopped before the server is released.

    >>> watch = EmbeddedWatch(EmbeddedServer.attach(home))  # doctest: +SKIP
    >>> watch.start()  # doctest: +SKIP
    >>> watch.stop()  # doctest: +SKIP
    """

    def __init__(self, server: EmbeddedServer, interval: float = INTERVAL) -> None:
        self._server = server
        self._interval = interval
        self._pause = interval
        self._dead = False
        self._said: set[str] = set()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="embedded watch", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """Look no more; an attempt under way gets a few seconds to end. Twice does no harm."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(LAST_ATTEMPT)

    def _watch(self) -> None:
        while not self._stopping.wait(self._pause):
            try:
                self._look()
            except EmbeddedServerError as error:
                self._failed(str(error))
            except Exception as error:  # noqa: BLE001 - whatever it is, the next look may find it gone
                self._failed(f"unexpected {type(error).__name__}: {error}")

    def _look(self) -> None:
        if not self._dead and not self._server.alive:
            self._dead = True
            logger.warning("the embedded PostgreSQL was found dead; it is started again")
        if self._dead:
            self._server.ensure_running()
        if self._dead or self._said:
            logger.info("the embedded PostgreSQL is back")
        self._dead = False
        self._said.clear()
        self._pause = self._interval

    def _failed(self, sentence: str) -> None:
        self._pause = min(self._pause * 2, LONGEST_PAUSE)
        if sentence not in self._said:  # said once, however often it is tried
            self._said.add(sentence)
            logger.error("{} It is tried again.", sentence)
