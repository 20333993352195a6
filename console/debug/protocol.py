"""Protocol between a command and the running service: JSON lines over a Unix socket that only its owner can open.

One line is a request, one or more lines are its answer. `PROTOCOL` is the version; both sides must have the same::

    {"v": 1, "id": 7, "do": "status", "with": {}}
    {"v": 1, "id": 7, "ok": true, "result": {...}}
    {"v": 1, "id": 7, "ok": true, "result": {...}, "more": true}     one of several, not the last
    {"v": 1, "id": 7, "ok": false, "error": "one sentence", "code": "invalid_request"}
"""

from __future__ import annotations

import hashlib
import json
import os
import socket
import stat
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from actors.settings import Settings
from console.display.format import document
from console.errors import Refused
from domain.errors import NotRunning
from domain.program import command_name
from persistence.sessions.address import display_address

PROTOCOL = 1
MAX_REQUEST_BYTES = 64 * 1024
MAX_RESPONSE_BYTES = 16 * 1024 * 1024
RESPONSE_TIMEOUT_S = 5.0
COMMAND_TIMEOUTS_S: Mapping[str, float] = {"decide": 100.0, "audit": 20.0}
"""Longer time limits of commands that wait themselves: the client must not time out while the command still works."""
MAX_SOCKET_PATH_BYTES = 103
"""macOS accepts 103 bytes, Linux 107."""


def socket_path(settings: Settings) -> Path:
    """Return the path of the service's socket: in ``home``, or in a private folder in /tmp if that path is too long.

    Several services may share a home, one for each database, so the name depends on the database.
    """
    name = "console.sock"
    if settings.url is not None:
        served = f"{display_address(settings.url)} {settings.database_schema}"
        name = f"console-{hashlib.sha256(served.encode()).hexdigest()[:8]}.sock"
    path = settings.home.resolve() / name
    if len(os.fsencode(path)) <= MAX_SOCKET_PATH_BYTES:
        return path
    folder = hashlib.sha256(os.fsencode(path.parent)).hexdigest()[:16]
    return Path("/tmp") / f"paper-trading-{os.geteuid()}-{folder}" / name  # noqa: S108 - private, see `is_private`


def is_private(folder: Path) -> bool:
    """Return whether a folder belongs to this user and nobody else can write there."""
    info = folder.lstat()
    return stat.S_ISDIR(info.st_mode) and info.st_uid == os.geteuid() and not info.st_mode & 0o022


def encode(message: dict[str, Any]) -> bytes:
    """Return a message encoded as a line."""
    # Half a character, which no encoding has, is sent as its escape in JSON.
    return (document({"v": PROTOCOL, **message}, indent=False) + "\n").encode("utf-8", "backslashreplace")


def decode(line: bytes) -> dict[str, Any]:
    """Return the message that a line encodes.

    Raises:
        Refused: the line is not valid, or of another version of the protocol.
    """
    try:
        message = json.loads(line.decode("utf-8"))
    except (ValueError, RecursionError):
        raise Refused("the line is not valid JSON") from None
    if not isinstance(message, dict) or message.get("v") != PROTOCOL:
        raise Refused(f"both sides must use version {PROTOCOL} of the protocol; restart the older one")
    return message


def decode_request(line: bytes) -> dict[str, Any]:
    """Return the request that a line encodes.

    Raises:
        Refused: see `decode`; or a text in it has half a character, which no encoding has, so that it could neither be
            stored nor be recorded.
    """
    message = decode(line)
    try:
        json.dumps(message, ensure_ascii=False).encode()
    except (UnicodeEncodeError, RecursionError):
        raise Refused("the line is not valid text: half a character (a surrogate), or nested too deeply") from None
    return message


class ConsoleConnection:
    """Client's connection to the running service.

    Args:
        path: the service's socket.
        timeout: longest wait for an answer, in seconds.

    Raises:
        NotRunning: no service of this user listens there.
    """

    def __init__(self, path: Path, timeout: float = RESPONSE_TIMEOUT_S) -> None:
        self._path = path
        self._timeout = timeout
        self._number = 0
        self._connect()

    def _connect(self) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(self._timeout)
        try:
            if not is_private(self._path.parent) or self._path.lstat().st_uid != os.geteuid():
                raise NotRunning(f"{self._path} belongs to another user")
            self._socket.connect(str(self._path))
        except OSError as error:
            self._socket.close()
            msg = f"The service is not running; start it with `{command_name()} start` (no socket at {self._path})"
            raise NotRunning(msg) from error
        except NotRunning:
            self._socket.close()
            raise
        self._lines = self._socket.makefile("rb")

    def _connect_again(self) -> None:
        """Drop the answers that are still to come: they must not be taken for those to the next request."""
        self.close()
        self._connect()

    def ask(self, do: str, **arguments: Any) -> Any:
        """Return the answer to a request.

        Raises:
            Refused: the service refused the request.
            NotRunning: the service ended, or did not answer in time.
        """
        try:
            self._send(do, arguments)
            self._socket.settimeout(max(self._timeout, COMMAND_TIMEOUTS_S.get(do, 0.0)))
            return self._receive().get("result")
        except KeyboardInterrupt:
            self._connect_again()
            raise
        finally:
            self._socket.settimeout(self._timeout)

    def stream(self, do: str, **arguments: Any) -> Iterator[Any]:
        """Yield the answers to a request that has several, as they arrive; see `ask`."""
        self._send(do, arguments)
        # There may be long pauses between answers; the service marks the last one.
        self._socket.settimeout(None)
        complete = False
        try:
            while (answer := self._receive()).get("more"):
                yield answer.get("result")
            complete = True
        finally:
            if not complete:
                self._connect_again()
            self._socket.settimeout(self._timeout)

    def _send(self, do: str, arguments: dict[str, Any]) -> None:
        self._number += 1
        try:
            self._socket.sendall(encode({"id": self._number, "do": do, "with": arguments}))
        except OSError as error:
            self._receive()  # raises the reason if the service sent one before it disconnected
            raise NotRunning("the service has ended") from error

    def _receive(self) -> dict[str, Any]:
        try:
            line = self._lines.readline(MAX_RESPONSE_BYTES)
        except OSError as error:
            raise NotRunning("the service does not answer") from error
        if not line.endswith(b"\n"):
            raise NotRunning("the service ended before it answered")
        answer = decode(line)
        if not answer.get("ok"):
            refused = Refused(str(answer.get("error")))
            refused.code = str(answer.get("code", refused.code))
            raise refused
        return answer

    def close(self) -> None:
        """Close the connection."""
        with suppress(OSError):
            self._lines.close()
            self._socket.close()

    def __enter__(self) -> ConsoleConnection:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
