"""Looks after the embedded server while a service uses it: one that crashed is started again."""

from __future__ import annotations

import threading

from loguru import logger

from domain.errors import EmbeddedServerError
from domain.log_once import LogOnce
from persistence.embedded.server import EmbeddedServer

CHECK_INTERVAL_S = 1.0
"""Seconds between two looks."""
MAX_RETRY_INTERVAL_S = 30.0
"""Seconds between two attempts that fail, at most; the pause doubles up to here."""
STOP_WAIT_S = 5.0
"""Seconds that `EmbeddedWatch.stop` waits for an attempt under way."""
DEAD = "the embedded PostgreSQL was found dead; it is started again"


class EmbeddedWatch:
    """A daemon thread from `start` to `stop`; to be stopped before the server is released.

    >>> watch = EmbeddedWatch(EmbeddedServer.attach(home))  # doctest: +SKIP
    >>> watch.start()  # doctest: +SKIP
    >>> watch.stop()  # doctest: +SKIP
    """

    def __init__(self, server: EmbeddedServer, interval: float = CHECK_INTERVAL_S) -> None:
        self._server = server
        self._interval = interval
        self._pause = interval
        self._dead = False
        self._failures = LogOnce(logger.opt(depth=1).error, logger.opt(depth=1).info)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="embedded watch", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """Look no more; an attempt under way gets a few seconds to end. Twice does no harm."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(STOP_WAIT_S)

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
            if self._failures.begins(DEAD, DEAD):
                logger.warning(DEAD)
        if self._dead:
            self._server.ensure_running()
        self._failures.recovered("the embedded PostgreSQL is back")
        self._dead = False
        self._pause = self._interval

    def _failed(self, message: str) -> None:
        self._pause = min(self._pause * 2, MAX_RETRY_INTERVAL_S)
        self._failures.failed(f"{message} It is tried again.", key=message)
