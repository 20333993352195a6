"""Restarts the embedded server if it crashes while a service uses it, trims its log, looks for its second socket."""

from __future__ import annotations

from loguru import logger

from domain.log_once import LogOnce
from domain.worker_thread import WorkerThread
from persistence.embedded.errors import EmbeddedServerError
from persistence.embedded.server import EmbeddedServer

CHECK_INTERVAL_S = 1.0
"""Between two checks."""
MAX_RETRY_INTERVAL_S = 30.0
"""Longest pause between two failed attempts; the pause doubles up to this."""
STOP_WAIT_S = 5.0
"""How long `EmbeddedWatch.stop` waits for an attempt under way."""
CRASHED = "the embedded PostgreSQL has crashed; restarting it"


class EmbeddedWatch:
    """A daemon thread from `start` to `stop`; stop it before you release the server.

    >>> watch = EmbeddedWatch(EmbeddedServer.attach(home))  # doctest: +SKIP
    >>> watch.start()  # doctest: +SKIP
    >>> watch.stop()  # doctest: +SKIP
    """

    def __init__(self, server: EmbeddedServer, interval: float = CHECK_INTERVAL_S) -> None:
        self._server = server
        self._interval = interval
        self._pause = interval
        self._crashed = False
        self._failures = LogOnce.to(logger, "error")
        self._socket = LogOnce.to(logger)
        self._worker = WorkerThread("embedded watch", self._check, self._failed)

    def start(self) -> None:
        """Start the thread."""
        self._worker.start(self._interval)

    def stop(self) -> None:
        """Stop the thread; an attempt under way gets a few seconds to end. A second call does nothing."""
        self._worker.stop(STOP_WAIT_S)

    def _check(self) -> float:
        if not self._crashed and not self._server.alive:
            self._crashed = True
            if self._failures.begins(CRASHED, CRASHED):
                logger.warning(CRASHED)
        if self._crashed:
            self._server.ensure_running()
        self._failures.recovered("the embedded PostgreSQL runs again")
        self._crashed = False
        self._server.trim_log()
        if (missing := self._server.missing_socket()) is not None:
            if not self._socket.is_failing(missing):  # for another reason than before, too
                self._socket.ends()
            self._socket.failed(missing, key=missing)
        else:
            self._socket.recovered("no second socket is missing any more")
        self._pause = self._interval
        return self._pause

    def _failed(self, error: Exception) -> float:
        expected = isinstance(error, EmbeddedServerError)
        message = str(error) if expected else f"unexpected {type(error).__name__}: {error}."
        self._failures.failed(f"{message} Retrying.", key=message)
        self._pause = min(self._pause * 2, MAX_RETRY_INTERVAL_S)
        return self._pause
