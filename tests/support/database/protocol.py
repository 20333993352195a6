"""The part of PostgreSQL's protocol 3 that shows the client's name, the statements and the COMMITs.

Source: PostgreSQL's documentation, chapters "Message Flow" and "Message Formats".
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import NamedTuple

SSL_REQUEST, GSS_REQUEST, CANCEL_REQUEST = 80877103, 80877104, 80877102
NO = b"N"
"""The answer to a client that asks for encryption, which would hide the messages from the proxy."""


class Frame(NamedTuple):
    """One message: its letter, its body, and its raw bytes."""

    kind: bytes
    body: bytes
    raw: bytes


class Frames:
    """Splits a stream of packets into messages."""

    def __init__(self) -> None:
        self._rest = bytearray()

    def feed(self, packet: bytes) -> Iterator[Frame]:
        """Yield the messages that are complete now."""
        self._rest += packet
        while len(self._rest) >= 5 and len(self._rest) >= (size := 1 + int.from_bytes(self._rest[1:5])):
            raw = bytes(self._rest[:size])
            del self._rest[:size]
            yield Frame(raw[:1], raw[5:], raw)


class Statements:
    """The prepared statements of one connection, by name."""

    def __init__(self) -> None:
        self._prepared: dict[bytes, str] = {}

    def run_by(self, frame: Frame) -> str:
        """Return the text of the statement that a client's message runs, in one line; empty for other messages."""
        if frame.kind == b"Q":
            return _text(frame.body.rstrip(b"\0"))
        if frame.kind == b"P":  # Parse: name, text
            name, text, _ = frame.body.split(b"\0", 2)
            self._prepared[name] = _text(text)
        elif frame.kind == b"B":  # Bind: portal, name of the statement; nothing has run before the next Sync
            return self._prepared.get(frame.body.split(b"\0", 2)[1], "")
        return ""


def _text(text: bytes) -> str:
    return " ".join(text.decode(errors="replace").split()).rstrip("; ")


def ends_a_batch(frame: Frame) -> bool:
    """Return whether the server answers this message: a simple query, or Sync."""
    return frame.kind in {b"Q", b"S"}


def committed(frame: Frame) -> bool:
    """Return whether a server's message confirms a COMMIT; after a failed transaction it would be ROLLBACK."""
    return frame.kind == b"C" and frame.body == b"COMMIT\0"


def ready(frame: Frame) -> bool:
    """Return whether a server's message ends its answer."""
    return frame.kind == b"Z"


async def read_startup(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """Return the first message of a client, which has no letter: its code or version, and its raw bytes."""
    size = await reader.readexactly(4)
    rest = await reader.readexactly(int.from_bytes(size) - 4)
    return int.from_bytes(rest[:4]), size + rest


def application_name(startup: bytes) -> str:
    """Return the client's application name in its first message."""
    parameters = startup[8:].split(b"\0")
    return (
        dict(zip(parameters[::2], parameters[1::2], strict=False))
        .get(b"application_name", b"")
        .decode(errors="replace")
    )
