"""The endpoint ``/metrics``: HTTP on 127.0.0.1 alone, without authentication, for a Prometheus on this machine.

Any user of this machine can connect to it, so that none may hold the process up: there are few clients at once, each
for a short time, and a web page that a browser on this machine shows cannot read it.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, suppress
from socketserver import ThreadingMixIn
from types import TracebackType
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from loguru import logger
from prometheus_client import CollectorRegistry, make_wsgi_app

from domain.errors import SettingsError

LOOPBACK = "127.0.0.1"
OWN_HOSTS = {"", LOOPBACK, "localhost"}
"""Names by which a program on this machine asks; HTTP/1.0 has none."""
MAX_CLIENTS = 8
"""Clients at once; the connection of a further one is closed at once."""
REQUEST_TIMEOUT_S = 5.0
"""From the connection to the end of the answer; then it is cut off."""
STOP_TIMEOUT_S = 5.0
"""How long `__exit__` waits for the server's thread."""

WebApplication = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


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
                self._server = _Server((LOOPBACK, self._port), _Handler)
            except OSError as error:
                msg = (
                    f"setting metrics_port = {self._port}: cannot listen on {LOOPBACK}:{self._port}"
                    f" ({(error.strerror or str(error)).lower()}); choose a free port, or none"
                )
                raise SettingsError(msg) from None
            self._server.set_app(_for_own_hosts(make_wsgi_app(self._registry)))
            self._thread = threading.Thread(target=self._server.serve_forever, name="metrics endpoint", daemon=True)
            self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._port is not None:
            self._server.shutdown()
            self._server.server_close()
            self._thread.join(STOP_TIMEOUT_S)


class _Server(ThreadingMixIn, WSGIServer):
    """A server with few clients at once, each for a short time."""

    daemon_threads = True
    request_queue_size = MAX_CLIENTS

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._places = threading.BoundedSemaphore(MAX_CLIENTS)

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self._places.acquire(blocking=False):
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except BaseException:
            self._places.release()
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        # Not the socket's own limit: that begins anew with each byte.
        end = threading.Timer(REQUEST_TIMEOUT_S, _cut_off, [request])
        end.daemon = True
        end.start()
        try:
            super().process_request_thread(request, client_address)
        finally:
            end.cancel()
            self._places.release()

    def handle_error(self, *_: Any) -> None:
        """Log what went wrong with a request; by default it is printed on stderr with its traceback."""
        logger.opt(exception=True).debug("a request for metrics failed")


class _Handler(WSGIRequestHandler):
    def log_message(self, *_: Any) -> None:
        """Log no requests."""


def _cut_off(request: socket.socket) -> None:
    with suppress(OSError):
        request.shutdown(socket.SHUT_RDWR)


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
