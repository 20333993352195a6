"""One client's connection to `tests.support.database.proxy`, with its connection to the server."""

from __future__ import annotations

import asyncio
import socket
import struct
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from tests.support.database import protocol

if TYPE_CHECKING:
    from tests.support.database.proxy import Proxy

Side = Literal["server", "client"]
"""The receiver of bytes."""
Moment = Literal["before", "after", "late"]
"""The time of a cut: before the COMMIT reaches the server; after it, so that its answer is lost; or the COMMIT reaches
the server late, some time after the client has noticed the cut."""
MAX_PACKET_BYTES = 65536
LATE_ANSWER_TIMEOUT_S = 10.0
"""Within this time the server must answer a late COMMIT."""


@dataclass(slots=True, eq=False)
class Ambush:
    """A fault for the next statements that begin with ``sql``, in a transaction that ran ``of`` before."""

    moment: Moment
    sql: str
    of: str
    who: str
    times: int
    skip: int
    delay: float


class Link:
    """One client's connection, with its connection to the server."""

    def __init__(
        self,
        proxy: Proxy,
        name: str,
        client_reader: asyncio.StreamReader,
        client: asyncio.StreamWriter,
        server_reader: asyncio.StreamReader,
        server: asyncio.StreamWriter,
    ) -> None:
        self.name = name
        self._proxy = proxy
        self._client_reader, self._client = client_reader, client
        self._server_reader, self._server = server_reader, server
        self._statements = protocol.Statements()
        self._statement_texts: list[str] = []
        self._cut = False
        self._unnoticed = 0.0
        self._swallows: set[Side] = set()
        self._awaited: Ambush | None = None  # the fault that strikes once the server confirms the COMMIT

    def cut(self, *, reset: bool = True, unnoticed: float = 0.0) -> None:
        """End the client's connection, and the server's ``unnoticed`` seconds later."""
        if self._cut:
            return
        self._cut = True
        self._unnoticed = unnoticed
        self._proxy.count("cut")
        if reset:
            abort(self._client)
        else:
            self._client.close()
        if not unnoticed:
            self._server.close()

    def swallow(self, *receivers: Side) -> None:
        """Pass nothing on to a receiver any more, no end of the connection either; all is read and acknowledged."""
        self._swallows.update(receivers)

    async def serve(self) -> None:
        """Pass on the messages of both sides until one of them ends."""
        pumps = [asyncio.ensure_future(self._forward()), asyncio.ensure_future(self._answer())]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            if self._unnoticed:
                await asyncio.wait(pumps, timeout=self._unnoticed, return_when=asyncio.ALL_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            self._give_back()  # the connection was lost before the answer
            results = await asyncio.gather(*pumps, return_exceptions=True)
            self._proxy.unexpected += [r for r in results if isinstance(r, Exception) and not isinstance(r, OSError)]
            if not self._cut:
                # The server's last message, such as the reason of the end, must still arrive.
                self._client.close()
                with suppress(OSError):
                    await self._client.wait_closed()

    async def _read(self, reader: asyncio.StreamReader, receiver: Side) -> bytes:
        """Return the next packet for a receiver; empty at the end."""
        try:
            packet = await reader.read(MAX_PACKET_BYTES)
            while packet and receiver in self._swallows:
                packet = await reader.read(MAX_PACKET_BYTES)
        except OSError:
            if receiver not in self._swallows:
                raise
            packet = b""
        if not packet and receiver in self._swallows:
            await asyncio.Event().wait()  # until the proxy is closed
        return packet

    async def _forward(self) -> None:
        frames = protocol.Frames()
        while packet := await self._read(self._client_reader, "server"):
            await self._proxy.hold()
            arrived = list(frames.feed(packet))
            for number, frame in enumerate(arrived):
                sql = self._statements.run_by(frame)
                ambush = self._ambushed(sql) if sql else None
                if ambush is not None and ambush.moment != "after":
                    await self._spring(ambush, arrived[number:])
                    return
                self._awaited = ambush or self._awaited
                self._proxy.count_message(self.name)
                if self._cut or self._server.is_closing():
                    return
                self._server.write(frame.raw)
            await self._server.drain()

    def _ambushed(self, sql: str) -> Ambush | None:
        if sql.upper().startswith("BEGIN"):
            self._statement_texts.clear()
        self._statement_texts.append(sql)
        return self._proxy.ambush(self.name, sql, self._statement_texts)

    async def _spring(self, ambush: Ambush, frames: list[protocol.Frame]) -> None:
        if ambush.moment == "before":
            self.cut()
            self._proxy.struck("before")
            return
        # A client awaits no answer in the middle of a batch, so all of it has arrived with its first message.
        assert any(map(protocol.ends_a_batch, frames)), "the batch was longer than a packet"
        self._awaited = ambush
        self.cut(unnoticed=LATE_ANSWER_TIMEOUT_S)
        await asyncio.sleep(ambush.delay)
        for frame in frames:
            self._server.write(frame.raw)

    def _give_back(self) -> None:
        """Let a fault whose COMMIT did not happen strike at the next one."""
        if self._awaited is not None:
            self._awaited.times += 1
            self._awaited = None

    async def _answer(self) -> None:
        frames = protocol.Frames()
        while packet := await self._read(self._server_reader, "client"):
            if not self._cut:
                await self._proxy.hold()
            for frame in frames.feed(packet):
                if protocol.committed(frame):
                    if self._awaited is not None:
                        self.cut()
                        self._proxy.struck(self._awaited.moment)
                        self._awaited = None
                        return
                    self._proxy.count("commits")
                if protocol.ready(frame) and self._awaited is not None:
                    self._give_back()  # that COMMIT was refused
                    if self._cut:
                        return
                self._proxy.count_message(self.name)
                if self._cut or self._client.is_closing():
                    continue
                if self._proxy.half(self.name):
                    await self._pass_half(frame)
                    return
                self._client.write(frame.raw)
            if not self._cut:
                await self._client.drain()

    async def _pass_half(self, frame: protocol.Frame) -> None:
        self._client.write(frame.raw[: len(frame.raw) // 2])
        await self._client.drain()
        self.cut(reset=False)  # RST could overtake the half
        self._proxy.struck("half")


def abort(writer: asyncio.StreamWriter) -> None:
    """End a connection by RST."""
    if (channel := writer.get_extra_info("socket")) is not None:
        with suppress(OSError):
            channel.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
