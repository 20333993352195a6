"""The endpoint ``/metrics``: HTTP without authentication, for a Prometheus on this machine.

It listens on a port of 127.0.0.1, to which any user of this machine can connect, or on a Unix socket, to which only
those can who may write it. None of them may hold the process up: there are few clients at once, each for a short time,
and a web page that a browser on this machine shows cannot read it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

from prometheus_client import CollectorRegistry, make_wsgi_app

from console.metrics.http_server import HttpServer, RequestHandler, UnixHttpServer
from domain.errors import SettingsError

LOOPBACK = "127.0.0.1"
OWN_HOSTS = {"", LOOPBACK, "localhost"}
"""Names by which a program on this machine asks; HTTP/1.0 has none."""
STOP_TIMEOUT_S = 5.0
"""How long `__exit__` waits for a server's thread."""

WebApplication = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class MetricsEndpoint(AbstractContextManager["MetricsEndpoint"]):
    """An HTTP server that answers between `__enter__` and `__exit__`, in daemon threads.

    Args:
        port: of the endpoint; None: no port.
        registry: metrics to be served.
        socket_path: of its Unix socket; None: no socket.

    Raises:
        SettingsError: in `__enter__`, if port or socket is not available.
    """

    def __init__(self, port: int | None, registry: CollectorRegistry, socket_path: Path | None = None) -> None:
        self._port = port
        self._registry = registry
        self._socket_path = socket_path
        self._serving = ExitStack()

    @property
    def url(self) -> str | None:
        """Address of the port; None without one."""
        return None if self._port is None else f"http://{LOOPBACK}:{self._port}/metrics"

    @property
    def socket_path(self) -> Path | None:
        """Path of the Unix socket; None without one."""
        return self._socket_path

    def __enter__(self) -> MetricsEndpoint:
        with ExitStack() as serving:
            if self._port is not None:
                serving.enter_context(self._answering(_at_port(self._port)))
            if self._socket_path is not None:
                serving.enter_context(self._answering(_at_socket(self._socket_path)))
            self._serving = serving.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._serving.close()

    @contextmanager
    def _answering(self, server: HttpServer) -> Iterator[None]:
        server.set_app(_for_own_hosts(make_wsgi_app(self._registry)))
        thread = threading.Thread(target=server.serve_forever, name="metrics endpoint", daemon=True)
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            server.server_close()
            thread.join(STOP_TIMEOUT_S)


def _at_port(port: int) -> HttpServer:
    try:
        return HttpServer((LOOPBACK, port), RequestHandler)
    except OSError as error:
        msg = (
            f"setting metrics_port = {port}: cannot listen on {LOOPBACK}:{port}"
            f" ({(error.strerror or str(error)).lower()}); choose a free port, or none"
        )
        raise SettingsError(msg) from None


def _at_socket(path: Path) -> HttpServer:
    try:
        return UnixHttpServer(path)
    except OSError as error:
        msg = f"setting metrics_socket = {str(path)!r}: cannot listen there ({error.strerror or error})"
        raise SettingsError(msg) from None


def _for_own_hosts(application: WebApplication) -> WebApplication:
    """Return an application that answers only to names of this machine.

    A web page of a foreign name that its owner points at 127.0.0.1 could otherwise read the answer in a browser here.
    """

    def guarded(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ.get("HTTP_HOST", "").partition(":")[0].lower() not in OWN_HOSTS:
            start_response("403 Forbidden", [("Content-Type", "text/plain; charset=utf-8")])
            return [f"The metrics are served as {LOOPBACK} and localhost only.\n".encode()]
        return application(environ, start_response)

    return guarded
