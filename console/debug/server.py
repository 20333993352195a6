"""Server of the debug console in the running process: answers requests in threads of its own.

No request can block, slow or crash an actor: queries read what the actors publish, and the server disconnects a client
whose requests are too large, too long or too slow.
"""

from __future__ import annotations

import errno
import os
import pwd
import select
import socket
import struct
import sys
import threading
from collections.abc import Generator, Mapping
from contextlib import closing, suppress
from pathlib import Path
from types import GeneratorType

from loguru import logger

from console.debug.protocol import MAX_REQUEST_BYTES, MAX_RESPONSE_BYTES, decode_request, encode, is_private
from console.errors import Refused
from console.service.requests import Command
from domain.errors import PaperTradingError
from domain.redaction.mask import mask
from domain.worker_thread import WorkerThread

MAX_CLIENTS = 32
FULL = f"{MAX_CLIENTS} consoles are open already; close one"
IDLE_TIMEOUT_S = 600.0
"""Time without a request after which a client is disconnected."""
ACCEPT_RETRY_INTERVAL_S = 0.25
SEND_TIMEOUT_S = 5.0
"""Time in which a client must read an answer."""
DRAIN_TIMEOUT_S = 2.0
"""Longest time that `ConsoleServer.close` waits for the answers to requests that are being handled."""


class ConsoleServer:
    """Console server; it listens while its block runs, or until `close`.

    Args:
        path: of the socket.
        commands: the commands by name; each runs in the thread of its client.
    """

    def __init__(self, path: Path, commands: Mapping[str, Command]) -> None:
        self._path = path
        self._commands = commands
        self._listener: socket.socket | None = None
        self._clients: set[socket.socket] = set()
        self._lock = threading.Condition()
        self._acceptor = WorkerThread("console", self._accept, self._cannot_accept)
        self._closing = self._acceptor.stopping

    def close(self) -> None:
        """Stop listening, finish the requests that are being handled, then disconnect all clients.

        A command may itself end the process (a crash over the restart limit): its answer must be sent before that.
        """
        self._acceptor.stop(timeout=0.0)
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
        """Start listening. A failure is logged only, because trading does not depend on the console."""
        try:
            self._listener = self._listen()
        except OSError as error:
            logger.warning("no console: cannot listen at {} ({})", self._path, error.strerror or error)
        else:
            self._acceptor.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _listen(self) -> socket.socket:
        folder = self._path.parent
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not is_private(folder):
            reason = f"folder {folder} is not private to this user: remove it, or choose a home with a shorter path"
            raise PermissionError(errno.EPERM, reason)
        with suppress(FileNotFoundError):
            self._path.unlink()  # left by a killed process: this one holds the lease, so no other serves
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        before = os.umask(0o177)
        try:
            listener.bind(str(self._path))
        finally:
            os.umask(before)
        listener.listen(MAX_CLIENTS)
        return listener

    def _cannot_accept(self, error: Exception) -> float:
        logger.debug("cannot accept a console: {!r}", error)  # no file, thread or memory is free now
        return ACCEPT_RETRY_INTERVAL_S

    def _accept(self) -> float:
        """Accept the next client."""
        assert self._listener is not None
        client, _ = self._listener.accept()
        try:
            with self._lock:
                full = len(self._clients) >= MAX_CLIENTS
                if not full:
                    self._clients.add(client)
            if peer_uid(client) not in {os.geteuid(), 0}:
                self._drop(client)
            elif full:
                client.setblocking(False)
                client.sendall(encode({"id": None, "ok": False, "error": FULL, "code": "refused"}))
                self._drop(client)
            else:
                threading.Thread(target=self._serve, args=(client,), name="console client", daemon=True).start()
        except BaseException:
            self._drop(client)
            raise
        return 0.0

    def _serve(self, client: socket.socket) -> None:
        who = _user_name(peer_uid(client))
        try:
            with client.makefile("rb") as lines:
                while True:
                    client.settimeout(IDLE_TIMEOUT_S)
                    line = lines.readline(MAX_REQUEST_BYTES + 1)
                    if not line:
                        return
                    client.settimeout(SEND_TIMEOUT_S)
                    with closing(self._answers(line, who)) as answers:
                        for answer in answers:
                            if answer:
                                client.sendall(answer)
                            if self._closing.is_set() or (not answer and is_disconnected(client)):
                                return
                    if not line.endswith(b"\n"):
                        return  # too long, or an incomplete line
        except OSError as error:
            logger.debug("a console was disconnected: {}", error)
        finally:
            self._drop(client)

    def _answers(self, line: bytes, who: str) -> Generator[bytes]:
        """Yield the encoded answers to a request; an empty one asks the caller to check the connection."""
        number: object = None
        try:
            if len(line) > MAX_REQUEST_BYTES:
                raise Refused(f"a request has at most {MAX_REQUEST_BYTES} bytes")
            message = decode_request(line)
            number = message.get("id") if isinstance(message.get("id"), int) else None
            command, arguments = self._commands.get(str(message.get("do"))), message.get("with", {})
            if command is None:
                raise Refused(f"there is no command {str(message.get('do'))[:50]!r}")
            if not isinstance(arguments, dict):
                raise Refused("with must be an object")
            result = command({**arguments, "who": who})
            if isinstance(result, GeneratorType):
                with closing(result):
                    for value in result:
                        more = {"id": number, "ok": True, "result": value, "more": True}
                        yield encode(more) if value is not None else b""
                result = None
            answer = encode({"id": number, "ok": True, "result": result})
            if len(answer) > MAX_RESPONSE_BYTES:
                raise Refused("the answer is too long; ask for less")
            yield answer
        except PaperTradingError as error:
            yield encode({"id": number, "ok": False, "error": mask(str(error)), "code": error.code})
        except Exception as error:  # noqa: BLE001 - a defect must reach the client alone
            logger.opt(exception=error).error("a console request failed: {!r}", error)
            text = mask(f"the request failed: {error!r}")
            yield encode({"id": number, "ok": False, "error": text, "code": "failed"})

    def _drop(self, client: socket.socket) -> None:
        with suppress(OSError):
            client.close()
        with self._lock:
            self._clients.discard(client)
            self._lock.notify_all()


def _user_name(uid: int | None) -> str:
    try:
        return pwd.getpwuid(uid).pw_name if uid is not None else "unknown user"
    except KeyError:
        return f"user {uid}"


def is_disconnected(client: socket.socket) -> bool:
    """Return whether the other end has closed the connection, without waiting."""
    poll = select.poll()
    poll.register(client, select.POLLIN)
    return bool(poll.poll(0)) and client.recv(1, socket.MSG_PEEK) == b""


def peer_uid(client: socket.socket) -> int | None:
    """Return the uid of the user at the other end of a Unix socket; None where the system does not provide it."""
    try:
        if sys.platform == "linux":
            packed = client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
            return int(struct.unpack("3i", packed)[1])
        # struct xucred of macOS and the BSDs: version, uid, …; SOL_LOCAL is 0 and LOCAL_PEERCRED 1 (unix(4)).
        return int(struct.unpack_from("II", client.getsockopt(0, 1, 76))[1])
    except (OSError, struct.error):
        return None
