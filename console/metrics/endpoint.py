"""The endpoint ``/metrics``: HTTP on 127.0.0.1 alone, without authentication, for a Prometheus on this machine."""

from __future__ import annotations

from contextlib import AbstractContextManager
from types import TracebackType

from prometheus_client import CollectorRegistry, start_http_server

from domain.errors import SettingsError

LOOPBACK = "127.0.0.1"
STOP_TIMEOUT_S = 5.0
"""How long `__exit__` waits for the server's thread."""


class MetricsEndpoint(AbstractContextManager["MetricsEndpoint"]):
    """An HTTP server that answers between `__enter__` and `__exit__`, in daemon threads.

    Args:
        port: of the endpoint; None: no endpoint.
        registry: metrics to be served.

    Raises:
        SettingsError: in `__enter__`, if the port is not available.
    """

    def __init__(self, port: int | None, registry: CollectorRegistry) -> None:
        self._port = port
        self._registry = registry

    @property
    def url(self) -> str | None:
        """Address of the endpoint; None without one."""
        return None if self._port is None else f"http://{LOOPBACK}:{self._port}/metrics"

    def __enter__(self) -> MetricsEndpoint:
        if self._port is not None:
            try:
                self._server, self._thread = start_http_server(self._port, LOOPBACK, self._registry)
            except OSError as error:
                msg = (
                    f"setting metrics_port = {self._port}: cannot listen on {LOOPBACK}:{self._port}"
                    f" ({(error.strerror or str(error)).lower()}); choose a free port, or none"
                )
                raise SettingsError(msg) from None
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._port is not None:
            self._server.shutdown()
            self._server.server_close()
            self._thread.join(STOP_TIMEOUT_S)
