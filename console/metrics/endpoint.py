"""The endpoint ``/metrics``: HTTP on 127.0.0.1 alone, without authentication, for a Prometheus on this machine."""

from __future__ import annotations

from contextlib import AbstractContextManager
from types import TracebackType

from prometheus_client import CollectorRegistry, start_http_server

from domain.errors import SettingsError

LOOPBACK = "127.0.0.1"
STOP_LIMIT = 5.0
"""Seconds that the end waits for the thread, which has nothing left to do then."""


class MetricsEndpoint(AbstractContextManager["MetricsEndpoint"]):
    """Answers from the moment it is entered, in threads that end with the process.

    Args:
        port: of the endpoint; None: there is none.
        registry: what it shows.

    Raises:
        SettingsError: when it is entered, if the port cannot be had.
    """

    def __init__(self, port: int | None, registry: CollectorRegistry) -> None:
        self._port = port
        self._registry = registry

    @property
    def url(self) -> str | None:
        """Where it is."""
        return None if self._port is None else f"http://{LOOPBACK}:{self._port}/metrics"

    def __enter__(self) -> MetricsEndpoint:
        if self._port is not None:
            try:
                self._server, self._thread = start_http_server(self._port, LOOPBACK, self._registry)
            except OSError as error:
                msg = (
                    f"setting metrics_port = {self._port}: {LOOPBACK}:{self._port} cannot be listened at"
                    f" ({(error.strerror or str(error)).lower()}); choose a port that is free, or none"
                )
                raise SettingsError(msg) from None
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._port is not None:
            self._server.shutdown()
            self._server.server_close()
            self._thread.join(STOP_LIMIT)
