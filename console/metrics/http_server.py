"""An HTTP server with few clients at once, each for a short time, on a port or on a Unix socket."""

from __future__ import annotations

import errno
import os
import socket
import stat
import threading
from contextlib import suppress
from pathlib import Path
from socketserver import TCPServer, ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from loguru import logger

from domain.files.owners import exposure

MAX_CLIENTS = 8
"""Clients at once; the connection of a further one is closed at once."""
REQUEST_TIMEOUT_S = 5.0
"""From the connection to the end of the answer; then it is cut off."""
CONNECT_TIMEOUT_S = 1.0
"""How long another server that listens on the same socket may take to accept a connection."""


class HttpServer(ThreadingMixIn, WSGIServer):
    """A server on a port, or with `UnixHttpServer` on a socket."""

    daemon_threads = True
    request_queue_size = MAX_CLIENTS

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._places = threading.BoundedSemaphore(MAX_CLIENTS)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer a client in a thread of its own, if there is a place for it."""
        if not self._places.acquire(blocking=False):
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except BaseException:
            self._places.release()
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Answer a client, until its time is over."""
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


class UnixHttpServer(HttpServer):
    """A server on a Unix socket, which only this user may write; in a folder with the setgid bit, its group, too.

    Args:
        path: of the socket; one that a killed process left there is replaced.

    Raises:
        OSError: it cannot listen there: another user can change the folder, something else has that name, or a server
            listens there.
    """

    address_family = socket.AF_UNIX
    allow_reuse_address = False

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: tuple[int, int] | None = None
        super().__init__(str(path), RequestHandler)

    def server_bind(self) -> None:
        """Make the socket."""
        if (reason := exposure(self._path.parent)) is not None:
            raise PermissionError(errno.EPERM, f"the folder {self._path.parent} must be your own, and {reason}")
        _remove_left_over(self._path)
        has_group = self._path.parent.stat().st_mode & stat.S_ISGID
        before = os.umask(0o117 if has_group else 0o177)
        try:
            TCPServer.server_bind(self)  # HTTP's own would look up the host's name
        finally:
            os.umask(before)
        status = self._path.stat()
        self._file = status.st_dev, status.st_ino
        self.server_name, self.server_port = "localhost", 0
        self.setup_environ()

    def get_request(self) -> tuple[Any, Any]:
        """Return the next connection; a Unix socket's client has no address."""
        request, _ = super().get_request()
        return request, ("", 0)

    def server_close(self) -> None:
        """Close the socket and remove it, unless another server has taken its name."""
        super().server_close()
        with suppress(OSError):
            status = self._path.lstat()
            if (status.st_dev, status.st_ino) == self._file:
                self._path.unlink()


class RequestHandler(WSGIRequestHandler):
    """Handler that logs no requests."""

    def log_message(self, *_: Any) -> None:
        """Log no requests."""


def _remove_left_over(path: Path) -> None:
    """Remove the socket of a process that was killed.

    Raises:
        OSError: something else has that name, or a server listens there.
    """
    try:
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise FileExistsError(errno.EEXIST, "a file that is no socket has this name")
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(CONNECT_TIMEOUT_S)
        try:
            client.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            return
        except TimeoutError:
            pass  # it listens, and is busy
    raise OSError(errno.EADDRINUSE, "another program does")


def _cut_off(request: socket.socket) -> None:
    with suppress(OSError):
        request.shutdown(socket.SHUT_RDWR)
