"""The running process's side of the console: answers requests, from threads of its own, and disturbs nobody.

Nothing that is asked here can block, slow or crash an actor: what they do is read from what they publish, and whoever
asks too much, too long or too slowly is cut off.
"""

from __future__ import annotations

import os
import pwd
import select
import socket
import struct
import sys
import threading
from collections.abc import Callable, Generator, Mapping
from contextlib import closing, suppress
from pathlib import Path
from types import GeneratorType
from typing import Any

from loguru import logger

from console.debug.protocol import LONGEST_ANSWER, LONGEST_REQUEST, Refused, decode, encode, is_private
from console.logs import secrets_hidden
from domain.errors import PaperTradingError

MOST_CLIENTS = 32
FULL = f"{MOST_CLIENTS} consoles are open already; close one"
IDLE = 600.0
"""Seconds after which a client that asks nothing is cut off."""
AGAIN = 0.25
"""Seconds until the next try, where nobody can be let in."""
SLOW = 5.0
"""Seconds in which a client must take an answer."""
DRAIN_TIMEOUT_S = 2.0
"""Seconds that `ConsoleServer.close` waits for the answers to requests that are being handled."""

Command = Callable[[Mapping[str, Any]], Any]
"""Takes what came ``with`` the request, and ``who`` asks.

A generator's values are told one by one, as they come; None is told to nobody, it asks whether somebody still listens.
"""


class ConsoleServer:
    """Listens from `open` to `close`.

    Args:
        path: of the socket.
        commands: what can be asked, by name; each takes what came ``with`` the request. Run in a client's thread.
    """

    def __init__(self, path: Path, commands: Mapping[str, Command]) -> None:
        self._path = path
        self._commands = commands
        self._listener: socket.socket | None = None
        self._clients: set[socket.socket] = set()
        self._lock = threading.Condition()
        self._closing = threading.Event()

    def open(self) -> None:
        """Begin to listen. Where that is not possible it is said; trading does not depend on it."""
        try:
            self._listener = self._listening()
        except OSError as error:
            logger.warning("no console: {} cannot be listened at ({})", self._path, error.strerror or error)
            return
        threading.Thread(target=self._accept, args=(self._listener,), name="console", daemon=True).start()

    def close(self) -> None:
        """Stop listening; let requests that are being handled be answered, then close every connection.

        A command may itself end the process (a crash over the limit of restarts): its answer must get out before.
        """
        self._closing.set()
        if self._listener is None:
            return
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with suppress(OSError):
            self._path.unlink()
        with self._lock:
            for client in self._clients:
                with suppress(OSError):
                    client.shutdown(socket.SHUT_RD)  # an idle connection ends; one with a request can still answer it
            self._lock.wait_for(lambda: not self._clients, DRAIN_TIMEOUT_S)
            for client in self._clients:
                with suppress(OSError):
                    client.shutdown(socket.SHUT_RDWR)

    def __enter__(self) -> ConsoleServer:
        self.open()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _listening(self) -> socket.socket:
        folder = self._path.parent
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not is_private(folder):
            raise PermissionError(1, f"folder {folder} is not this user's alone")
        with suppress(FileNotFoundError):
            self._path.unlink()  # left by a process that was killed: the lease says that there is none now
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        before = os.umask(0o177)
        try:
            listener.bind(str(self._path))
        finally:
            os.umask(before)
        listener.listen(MOST_CLIENTS)
        return listener

    def _accept(self, listener: socket.socket) -> None:
        while not self._closing.is_set():
            try:
                self._take(listener)
            except (OSError, RuntimeError, MemoryError) as error:
                if not self._closing.wait(AGAIN):  # no file, thread or memory is to be had now; there may be again
                    logger.debug("a console could not be let in: {!r}", error)

    def _take(self, listener: socket.socket) -> None:
        """Let the next client in."""
        client, _ = listener.accept()
        try:
            with self._lock:
                full = len(self._clients) >= MOST_CLIENTS
                if not full:
                    self._clients.add(client)
            if peer_uid(client) not in {os.geteuid(), 0}:
                self._drop(client)
                return
            if full:
                client.setblocking(False)
                client.sendall(encode({"id": None, "ok": False, "error": FULL, "code": "refused"}))
                self._drop(client)
                return
            threading.Thread(target=self._serve, args=(client,), name="console client", daemon=True).start()
        except BaseException:
            self._drop(client)
            raise

    def _serve(self, client: socket.socket) -> None:
        who = _name(peer_uid(client))
        try:
            with client.makefile("rb") as lines:
                while True:
                    client.settimeout(IDLE)
                    line = lines.readline(LONGEST_REQUEST + 1)
                    if not line:
                        return
                    client.settimeout(SLOW)
                    with closing(self._answers(line, who)) as answers:
                        for answer in answers:
                            if answer:
                                client.sendall(answer)
                            if self._closing.is_set() or (not answer and hung_up(client)):
                                return
                    if not line.endswith(b"\n"):
                        return  # too long, or half a line
        except OSError as error:
            logger.debug("a console is cut off: {}", error)
        finally:
            self._drop(client)

    def _answers(self, line: bytes, who: str) -> Generator[bytes]:
        """Answer a line, empty where a generator has nothing yet; it ends where the client has gone."""
        number: object = None
        try:
            if len(line) > LONGEST_REQUEST:
                raise Refused(f"a request has at most {LONGEST_REQUEST} bytes")
            message = decode(line)
            number = message.get("id") if isinstance(message.get("id"), int) else None
            command, given = self._commands.get(str(message.get("do"))), message.get("with", {})
            if command is None:
                raise Refused(f"there is no command {str(message.get('do'))[:50]!r}")
            if not isinstance(given, dict):
                raise Refused("with must be an object")
            result = command({**given, "who": who})
            if isinstance(result, GeneratorType):
                with closing(result):
                    for each in result:
                        more = {"id": number, "ok": True, "result": each, "more": True}
                        yield encode(more) if each is not None else b""
                result = None
            answer = encode({"id": number, "ok": True, "result": result})
            if len(answer) > LONGEST_ANSWER:
                raise Refused("the answer is too long; ask for less")
            yield answer
        except PaperTradingError as error:
            yield encode({"id": number, "ok": False, "error": secrets_hidden(str(error)), "code": error.code})
        except Exception as error:  # noqa: BLE001 - a defect here must not reach anybody but the client
            logger.opt(exception=error).error("a request of a console failed: {!r}", error)
            sentence = secrets_hidden(f"it failed: {error!r}")
            yield encode({"id": number, "ok": False, "error": sentence, "code": "failed"})

    def _drop(self, client: socket.socket) -> None:
        with suppress(OSError):
            client.close()
        with self._lock:
            self._clients.discard(client)
            self._lock.notify_all()


def _name(uid: int | None) -> str:
    try:
        return pwd.getpwuid(uid).pw_name if uid is not None else "somebody"
    except KeyError:
        return f"user {uid}"


def hung_up(client: socket.socket) -> bool:
    """Say whether the other end has closed the connection; never waits."""
    poll = select.poll()
    poll.register(client, select.POLLIN)
    return bool(poll.poll(0)) and client.recv(1, socket.MSG_PEEK) == b""


def peer_uid(client: socket.socket) -> int | None:
    """Return the user at the other end of a Unix socket, None where the system does not tell."""
    try:
        if sys.platform == "linux":
            packed = client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
            return int(struct.unpack("3i", packed)[1])
        # struct xucred of macOS and the BSDs: version, uid, …; SOL_LOCAL is 0 and LOCAL_PEERCRED 1 (unix(4)).
        return int(struct.unpack_from("II", client.getsockopt(0, 1, 76))[1])
    except (OSError, struct.error):
        return None
