"""A TCP proxy in front of a database server that fails as networks do, when a test says so.

::

    with Proxy(url) as proxy:
        system = TradingSystem.start(Settings(database_url=proxy.url_for(url)))
        proxy.at_commit("after", who="PositionKeeper")    # the next COMMIT happens, its answer is lost
        proxy.wait_for("after")                           # it did
        proxy.cut(); proxy.refuse(); proxy.admit(); proxy.freeze(); proxy.thaw(); proxy.delay(0.01)

What depends on time is a fault's beginning and end; where in the conversation it strikes is counted, so a seed repeats
it as far as the program sends the same. ``who`` is the end of an ``application_name``; empty is everybody.
"""

from __future__ import annotations

import asyncio
import random
import socket
import struct
import threading
from collections import Counter
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal, Self

from psycopg.conninfo import conninfo_to_dict

from tests import wire
from tests.server_base import url_of

Moment = Literal["before", "after", "late"]
"""Of a COMMIT's end: it never reaches the server; its answer never reaches the client; it reaches the server only when
the client has known for a while that its connection is lost."""
PACKET = 65536
ANSWER = 10.0
"""Seconds in which the server must have answered a COMMIT that came late."""


@dataclass(slots=True, eq=False)
class _Ambush:
    """What happens to the next statements that begin with ``sql``, in a transaction that ran ``of`` before."""

    moment: Moment
    sql: str
    of: str
    who: str
    times: int
    skip: int
    delay: float


@dataclass(slots=True, eq=False)
class _Fuse:
    """Cuts connections when so many more messages, of either side, have come."""

    messages: int
    who: str
    reset: bool


class Proxy:
    """Listens on 127.0.0.1 from `__enter__` to `__exit__`, in a thread of its own.

    Attributes:
        port: where it listens.
        counts: what has happened so far: ``connections``, ``cut``, ``commits`` (answered), ``before``, ``after``,
            ``late``, ``half``, ``fuse``.
    """

    def __init__(self, database_url: str) -> None:
        self.port = 0
        self.counts: Counter[str] = Counter()
        target = conninfo_to_dict(database_url)
        self._host, self._target_port = str(target["host"]), int(str(target.get("port") or 5432))
        self._links: set[_Link] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._ambushes: list[_Ambush] = []
        self._fuses: list[_Fuse] = []
        self._halves: list[str] = []
        self._due = 0
        self._delay: Callable[[], float] | None = None
        self._changed = threading.Condition()
        self._loop = asyncio.new_event_loop()
        self._flowing = asyncio.Event()
        self._listening: asyncio.Server | None = None
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)

    def __enter__(self) -> Self:
        self._flowing.set()
        self._thread.start()
        self._run(self._listen())
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._run(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    def url_for(self, database_url: str) -> str:
        """The same database by way of this proxy."""
        params = conninfo_to_dict(database_url) | {"host": "127.0.0.1", "port": self.port}
        return url_of(params)

    # Faults; each can be switched while connections are open.

    def cut(self, who: str = "", *, reset: bool = True, unnoticed: float = 0.0) -> int:
        """Cut connections now, by RST or else FIN.

        Args:
            who: whose.
            reset: by RST.
            unnoticed: seconds that the server takes the client for alive still.

        Returns:
            How many there were.
        """
        return self._call(lambda: self._cut(who, reset, unnoticed))

    def cut_after(self, messages: int, who: str = "", *, reset: bool = True) -> None:
        """Cut connections instead of passing the ``messages``-th message from now on, of either side."""
        self._arm(1, lambda: self._fuses.append(_Fuse(messages, who, reset)))

    def refuse(self) -> None:
        """Refuse new connections, as a host does where nobody listens."""
        self._run(self._deafen())

    def admit(self) -> None:
        """Take new connections again."""
        self._run(self._listen())

    def delay(self, seconds: float, jitter: float = 0.0, seed: int = 0) -> None:
        """Hold each packet back for ``seconds`` and up to ``jitter`` more; 0: no longer."""
        draw = random.Random(seed)
        lag = (lambda: seconds + jitter * draw.random()) if seconds or jitter else None
        self._call(lambda: setattr(self, "_delay", lag))

    def freeze(self) -> None:
        """Take everything, new connections included, and pass nothing on."""
        self._call(self._flowing.clear)

    def thaw(self) -> None:
        """Pass on what was held back, and what comes."""
        self._call(self._flowing.set)

    def at_commit(
        self,
        moment: Moment,
        times: int = 1,
        who: str = "",
        *,
        of: str = "",
        sql: str = "COMMIT",
        skip: int = 0,
        delay: float = 0.3,
    ) -> None:
        """Cut the connection of each of the next ``times`` COMMITs at a moment.

        Args:
            moment: when; see `Moment`.
            times: how many.
            who: whose.
            of: only of transactions that ran a statement with this in it.
            sql: another statement's beginning, for ``before``.
            skip: so many are let through first.
            delay: seconds that one that is ``late`` comes after the cut.
        """
        self._arm(times, lambda: self._ambushes.append(_Ambush(moment, sql, of, who, times, skip, delay)))

    def halve(self, times: int = 1, who: str = "") -> None:
        """Pass half of the server's next message on, then cut; so often."""
        self._arm(times, lambda: self._halves.extend([who] * times))

    def clear(self) -> None:
        """No faults from now on."""
        self._call(self._clear)
        if self._listening is None:
            self.admit()

    @property
    def halves(self) -> list[str]:
        """Whose next message is still to be halved."""
        return list(self._halves)

    def wait_for(self, what: str, times: int = 1, seconds: float = 10.0) -> None:
        """Wait until ``counts[what]`` is so high."""
        with self._changed:
            assert self._changed.wait_for(lambda: self.counts[what] >= times, seconds), (what, times, self.counts)

    def wait_until_struck(self, seconds: float = 10.0) -> None:
        """Wait until every counted fault has struck."""
        with self._changed:
            assert self._changed.wait_for(lambda: not self._due, seconds), (self._due, self.counts)

    # On the proxy's own loop.

    def _call(self, action: Callable[[], Any]) -> Any:
        async def called() -> Any:
            return action()

        return self._run(called())

    def _arm(self, times: int, action: Callable[[], Any]) -> None:
        def armed() -> None:
            self._due += times
            action()

        self._call(armed)

    def _run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(10)

    def count(self, what: str) -> None:
        """Something happened."""
        with self._changed:
            self.counts[what] += 1
            self._changed.notify_all()

    def struck(self, what: str) -> None:
        """A counted fault has struck."""
        self._due -= 1
        self.count(what)

    async def _listen(self) -> None:
        if self._listening is None:
            self._listening = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
            self.port = self._listening.sockets[0].getsockname()[1]

    async def _deafen(self) -> None:
        if self._listening is not None:
            self._listening.close()
            self._listening = None

    async def _close(self) -> None:
        await self._deafen()
        self._clear()
        self._cut("", reset=True, unnoticed=0.0)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.sleep(0)  # the transports close their sockets

    def _clear(self) -> None:
        self._ambushes.clear()
        self._fuses.clear()
        self._halves.clear()
        self._due = 0
        self._delay = None
        self._flowing.set()

    def _cut(self, who: str, reset: bool, unnoticed: float) -> int:
        links = [link for link in self._links if link.name.endswith(who)]
        for link in links:
            link.cut(reset=reset, unnoticed=unnoticed)
        return len(links)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self._serve(reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the client has left, the server is not there, or the proxy ends
        finally:
            if not writer.is_closing():
                _abort(writer)
            self._tasks.discard(task)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        code, startup = await wire.read_startup(reader)
        while code in {wire.SSL_REQUEST, wire.GSS_REQUEST}:
            writer.write(wire.NO)
            code, startup = await wire.read_startup(reader)
        await self._flowing.wait()
        server_reader, server_writer = await self._connect()
        try:
            server_writer.write(startup)
            if code == wire.CANCEL_REQUEST:
                await server_reader.read()
                return
            self.count("connections")
            link = _Link(self, wire.application_name(startup), reader, writer, server_reader, server_writer)
            self._links.add(link)
            try:
                await link.serve()
            finally:
                self._links.discard(link)
        finally:
            server_writer.close()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._host.startswith("/"):
            return await asyncio.open_unix_connection(f"{self._host}/.s.PGSQL.{self._target_port}")
        return await asyncio.open_connection(self._host, self._target_port)

    async def hold(self) -> None:
        """Keep a packet as long as the faults of now say."""
        if self._delay is not None:
            await asyncio.sleep(self._delay())
        await self._flowing.wait()

    def ambush(self, name: str, sql: str, before: list[str]) -> _Ambush | None:
        """What is to happen to this statement of a transaction; it happens once less from now on."""
        for ambush in self._ambushes:
            begins = sql.upper().startswith(ambush.sql.upper())
            if ambush.times and begins and name.endswith(ambush.who) and any(ambush.of in text for text in before):
                if ambush.skip:
                    ambush.skip -= 1
                    continue
                ambush.times -= 1
                return ambush
        return None

    def half(self, name: str) -> bool:
        """Whether this message of the server is to be cut in two."""
        for who in self._halves:
            if name.endswith(who):
                self._halves.remove(who)
                return True
        return False

    def burns(self, name: str) -> None:
        """Count a message; cut what is to be cut at it."""
        for fuse in [fuse for fuse in self._fuses if name.endswith(fuse.who)]:
            fuse.messages -= 1
            if fuse.messages <= 0:
                self._fuses.remove(fuse)
                self._cut(fuse.who, fuse.reset, 0.0)
                self.struck("fuse")


class _Link:
    """One client's connection, and the one to the server that stands for it."""

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
        self._statements = wire.Statements()
        self._said: list[str] = []
        self._cut = False
        self._unnoticed = 0.0
        self._late = False
        self._swallowing: _Ambush | None = None

    def cut(self, *, reset: bool = True, unnoticed: float = 0.0) -> None:
        """End the client's connection, and the server's ``unnoticed`` seconds later."""
        if self._cut:
            return
        self._cut = True
        self._unnoticed = unnoticed
        self._proxy.count("cut")
        if reset:
            _abort(self._client)
        else:
            self._client.close()
        if not unnoticed:
            self._server.close()

    async def serve(self) -> None:
        """Pass on what both say, until one of them ends."""
        pumps = [asyncio.ensure_future(self._forward()), asyncio.ensure_future(self._answer())]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            if self._unnoticed:
                await asyncio.wait(pumps, timeout=self._unnoticed, return_when=asyncio.ALL_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
            if not self._cut:
                # What the server said last, such as why it ends the connection, is still to arrive.
                self._client.close()
                with suppress(OSError):
                    await self._client.wait_closed()

    async def _forward(self) -> None:
        frames = wire.Frames()
        while packet := await self._client_reader.read(PACKET):
            await self._proxy.hold()
            arrived = list(frames.feed(packet))
            for number, frame in enumerate(arrived):
                sql = self._statements.run_by(frame)
                ambush = self._ambushed(sql) if sql else None
                if ambush is not None and ambush.moment != "after":
                    await self._spring(ambush, arrived[number:])
                    return
                self._swallowing = ambush or self._swallowing
                self._proxy.burns(self.name)
                if self._cut:
                    return
                self._server.write(frame.raw)
            await self._server.drain()

    def _ambushed(self, sql: str) -> _Ambush | None:
        if sql.upper().startswith("BEGIN"):
            self._said.clear()
        self._said.append(sql)
        return self._proxy.ambush(self.name, sql, self._said)

    async def _spring(self, ambush: _Ambush, frames: list[wire.Frame]) -> None:
        if ambush.moment == "before":
            self.cut()
            self._proxy.struck("before")
            return
        # No answer is awaited in the middle of a batch, so all of it has arrived with its first message.
        assert any(map(wire.ends_a_batch, frames)), "the batch was longer than a packet"
        self._late = True
        self.cut(unnoticed=ANSWER)
        await asyncio.sleep(ambush.delay)
        for frame in frames:
            self._server.write(frame.raw)

    async def _answer(self) -> None:
        frames = wire.Frames()
        while packet := await self._server_reader.read(PACKET):
            if not self._cut:
                await self._proxy.hold()
            for frame in frames.feed(packet):
                if wire.committed(frame):
                    if self._late:
                        self._proxy.struck("late")
                        return
                    if self._swallowing is not None:
                        self.cut()
                        self._proxy.struck("after")
                        return
                    self._proxy.count("commits")
                if wire.ready(frame) and self._swallowing is not None:
                    self._swallowing.times += 1  # that COMMIT was refused, so the next one
                    self._swallowing = None
                self._proxy.burns(self.name)
                if self._cut:
                    continue
                if self._proxy.half(self.name):
                    await self._pass_half(frame)
                    return
                self._client.write(frame.raw)
            if not self._cut:
                await self._client.drain()

    async def _pass_half(self, frame: wire.Frame) -> None:
        self._client.write(frame.raw[: len(frame.raw) // 2])
        await self._client.drain()
        self.cut(reset=False)  # RST could overtake the half
        self._proxy.struck("half")


def _abort(writer: asyncio.StreamWriter) -> None:
    """End a connection by RST."""
    if (channel := writer.get_extra_info("socket")) is not None:
        with suppress(OSError):
            channel.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
