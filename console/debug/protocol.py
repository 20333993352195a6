"""How a command talks to the running process: JSON lines over a Unix socket that only its owner can open.

A line asks, one or more answer (`PROTOCOL` is the version, a number that both sides must share)::

    {"v": 1, "id": 7, "do": "status", "with": {}}
    {"v": 1, "id": 7, "ok": true, "result": {...}}
    {"v": 1, "id": 7, "ok": true, "result": {...}, "more": true}     of several, not the last
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
from domain.errors import NotRunning, PaperTradingError
from domain.program import command_name
from persistence.connections import shown

PROTOCOL = 1
LONGEST_REQUEST = 64 * 1024
"""Bytes of a line that asks."""
LONGEST_ANSWER = 16 * 1024 * 1024
PATIENCE = 5.0
"""Seconds that a command waits for an answer."""
PATIENCE_FOR: Mapping[str, float] = {"decide": 100.0, "audit": 20.0}
"""The same for what waits for others itself: longer than it does, so that what was done is never called unanswered."""
LONGEST_PATH = 103
"""Bytes of a socket's path; macOS takes 103, Linux 107."""


class Refused(PaperTradingError):
    """The running process did not do what it was asked; the message is its sentence."""

    exit_code = 2


def socket_path(settings: Settings) -> Path:
    """Return where the process that serves these settings listens: in ``home``, else in a private folder in /tmp.

    Several services may share a home, one for each database.
    """
    name = "console.sock"
    if settings.url is not None:
        served = f"{shown(settings.url)} {settings.database_schema}"
        name = f"console-{hashlib.sha256(served.encode()).hexdigest()[:8]}.sock"
    path = settings.home.resolve() / name
    if len(os.fsencode(path)) <= LONGEST_PATH:
        return path
    folder = hashlib.sha256(os.fsencode(path.parent)).hexdigest()[:16]
    return Path("/tmp") / f"paper-trading-{os.geteuid()}-{folder}" / name  # noqa: S108 - private, see `is_private`


def is_private(folder: Path) -> bool:
    """Say whether a folder belongs to this user and nobody else can write there."""
    found = folder.lstat()
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid() and not found.st_mode & 0o022


def encode(message: dict[str, Any]) -> bytes:
    """Return a message as a line."""
    return (document({"v": PROTOCOL, **message}, indent=False) + "\n").encode()


def decode(line: bytes) -> dict[str, Any]:
    """Return the message in a line.

    Raises:
        Refused: it is none, or of another version.
    """
    try:
        message = json.loads(line)
    except (ValueError, RecursionError):
        raise Refused("that is no line of JSON") from None
    if not isinstance(message, dict) or message.get("v") != PROTOCOL:
        raise Refused(f"both sides must speak version {PROTOCOL} of the protocol; restart the older one")
    return message


class Line:
    """A client's connection to the running process."""

    def __init__(self, path: Path, patience: float = PATIENCE) -> None:
        self._path = path
        self._patience = patience
        self._number = 0
        self._connect()

    def _connect(self) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(self._patience)
        try:
            if not is_private(self._path.parent) or self._path.lstat().st_uid != os.geteuid():
                raise NotRunning(f"{self._path} belongs to another user")
            self._socket.connect(str(self._path))
        except OSError as error:
            self._socket.close()
            raise NotRunning(
                f"nothing runs here that could be asked ({self._path}); {command_name()} start begins"
            ) from error
        except NotRunning:
            self._socket.close()
            raise
        self._lines = self._socket.makefile("rb")

    def ask(self, do: str, **given: Any) -> Any:
        """Return the answer to a request.

        Raises:
            Refused: with the process's sentence.
            NotRunning: it ended, or did not answer in time.
        """
        self._send(do, given)
        self._socket.settimeout(max(self._patience, PATIENCE_FOR.get(do, 0.0)))
        try:
            return self._receive().get("result")
        finally:
            self._socket.settimeout(self._patience)

    def stream(self, do: str, **given: Any) -> Iterator[Any]:
        """Yield the answers to a request that gives several, as they come; see `ask`."""
        self._send(do, given)
        # Answers may be far apart; the process says itself when there are no more.
        self._socket.settimeout(None)
        whole = False
        try:
            while (answer := self._receive()).get("more"):
                yield answer.get("result")
            whole = True
        finally:
            if not whole:  # what else comes on this connection answers a question that nobody asks any more
                self.close()
                self._connect()
            self._socket.settimeout(self._patience)

    def _send(self, do: str, given: dict[str, Any]) -> None:
        self._number += 1
        try:
            self._socket.sendall(encode({"id": self._number, "do": do, "with": given}))
        except OSError as error:
            self._receive()  # it may have said why before it hung up
            raise NotRunning("the running process has ended") from error

    def _receive(self) -> dict[str, Any]:
        try:
            line = self._lines.readline(LONGEST_ANSWER)
        except OSError as error:
            raise NotRunning("the running process does not answer") from error
        if not line.endswith(b"\n"):
            raise NotRunning("the running process ended before it answered")
        answer = decode(line)
        if not answer.get("ok"):
            refused = Refused(str(answer.get("error")))
            refused.code = str(answer.get("code", refused.code))
            raise refused
        return answer

    def close(self) -> None:
        """Hang up."""
        with suppress(OSError):
            self._lines.close()
            self._socket.close()

    def __enter__(self) -> Line:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
