"""A web server that receives alerts, and answers as the test requires."""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import SimpleQueue
from typing import Any, Self

HANG = 0
"""Instead of a status: the server never answers."""


@dataclass(frozen=True)
class Post:
    """A POST request that the server received."""

    path: str
    headers: dict[str, str]
    body: Any


class Receiver:
    """Receives POST requests on the loopback interface.

    Args:
        answers: statuses of the first answers; later ones are 200.
        response_body: text of each answer.

    Attributes:
        got: the requests, in order.
    """

    def __init__(self, answers: Iterable[int] = (), response_body: str = "") -> None:
        self.got: SimpleQueue[Post] = SimpleQueue()
        self._answers = deque(answers)
        self._response_body = response_body.encode()
        self._ending = threading.Event()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                receiver._post(self)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its own name
                """Do nothing: no test reads this log."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=lambda: self._server.serve_forever(poll_interval=0.02), daemon=True)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._server.server_port}"

    def url(self, path: str = "/alerts") -> str:
        return f"http://{self.address}{path}"

    def next(self, timeout: float = 20.0) -> Any:
        """Return the body of the next request."""
        return self.got.get(timeout=timeout).body

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._server.shutdown()
        self._thread.join(10)
        assert not self._thread.is_alive(), "the receiver's server does not end"
        self._server.server_close()

    def _post(self, handler: BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers["Content-Length"]))
        self.got.put(
            Post(handler.path, {name.lower(): value for name, value in handler.headers.items()}, json.loads(body))
        )
        status = self._answers.popleft() if self._answers else 200
        if status == HANG:
            self._ending.wait(30)
            return
        handler.send_response(status)
        handler.send_header("Location", "/elsewhere")
        handler.send_header("Content-Length", str(len(self._response_body)))
        handler.end_headers()
        handler.wfile.write(self._response_body)
