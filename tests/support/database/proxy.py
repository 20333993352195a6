"""A TCP proxy in front of a database server that fails as networks do, on request of a test.

::

    with Proxy(url) as proxy:
        system = TradingSystem.start(Settings(database_url=proxy.url_for(url)))
        proxy.at_commit("after", who="PositionKeeper")    # the next COMMIT happens, its answer is lost
        proxy.wait_for("after")                           # until it happened
        proxy.cut(); proxy.refuse(); proxy.admit(); proxy.freeze(); proxy.thaw(); proxy.delay(0.01)

Beginning and end of a fault depend on time. The message at which it strikes is counted, so a seed repeats it as far as
the program sends the same messages. ``who`` is the end of an ``application_name``; empty selects all connections.
"""

from __future__ import annotations

import asyncio
import random
import socket
import threading
from collections import Counter
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from psycopg.conninfo import conninfo_to_dict

from tests.support.database import protocol
from tests.support.database.proxy_link import Ambush, Link, Moment, Side, abort
from tests.support.database.server import url_of


@dataclass(slots=True, eq=False)
class _Fuse:
    """Cuts connections after a number of messages of either side."""

    messages: int
    who: str
    reset: bool


class Proxy:
    """A proxy that listens on 127.0.0.1 from `__enter__` to `__exit__`, in a thread of its own.

    Attributes:
        port: of the proxy.
        counts: of the events so far: ``connections``, ``cut``, ``commits`` (answered), ``before``, ``after``,
            ``late``, ``half``, ``fuse``.
        unexpected: errors of the proxy itself, which end a connection as a fault would.
    """

    def __init__(self, database_url: str) -> None:
        self.port = 0
        self.counts: Counter[str] = Counter()
        self.unexpected: list[Exception] = []
        target = conninfo_to_dict(database_url)
        self._host, self._target_port = str(target["host"]), int(str(target.get("port") or 5432))
        self._links: set[Link] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._ambushes: list[Ambush] = []
        self._fuses: list[_Fuse] = []
        self._halves: list[str] = []
        self._due = 0
        self._delay: Callable[[], float] | None = None
        self._changed = threading.Condition()
        self._loop = asyncio.new_event_loop()
        self._flowing = asyncio.Event()
        self._listening: socket.socket | None = None
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
        """Return the URL of the same database through this proxy."""
        params = conninfo_to_dict(database_url) | {"host": "127.0.0.1", "port": self.port}
        return url_of(params)

    # Faults; each can be switched while connections are open.

    def cut(self, who: str = "", *, reset: bool = True, unnoticed: float = 0.0) -> int:
        """Cut connections now.

        Args:
            who: see the top of the module.
            reset: by RST, else by FIN.
            unnoticed: seconds until the server's side is closed, too.

        Returns:
            The number of connections.
        """
        return int(self._call(lambda: self._cut(who, reset, unnoticed)))

    def swallow(self, *receivers: Side, who: str = "") -> int:
        """Make present connections black holes: they stay open, and what is sent there is acknowledged and lost.

        Args:
            receivers: to whom nothing is passed on: the server, the client, or both.
            who: see the top of the module.

        Returns:
            The number of connections.
        """

        def swallow() -> int:
            links = [link for link in self._links if link.name.endswith(who)]
            for link in links:
                link.swallow(*receivers)
            return len(links)

        return int(self._call(swallow))

    def cut_after(self, messages: int, who: str = "", *, reset: bool = True) -> None:
        """Cut connections instead of passing the ``messages``-th message from now on, of either side."""
        self._arm(1, lambda: self._fuses.append(_Fuse(messages, who, reset)))

    def connected(self, who: str) -> bool:
        """Return whether there is a connection of ``who`` now."""
        return bool(self._call(lambda: any(link.name.endswith(who) for link in self._links)))

    def refuse(self) -> None:
        """Refuse new connections, like a host on which nothing listens."""
        self._run(self._stop_listening())

    def admit(self) -> None:
        """Accept new connections again."""
        self._run(self._listen())

    def delay(self, seconds: float, jitter: float = 0.0, seed: int = 0) -> None:
        """Delay each packet by ``seconds`` and up to ``jitter`` more; 0 ends the delay."""
        draw = random.Random(seed)
        lag = (lambda: seconds + jitter * draw.random()) if seconds or jitter else None
        self._call(lambda: setattr(self, "_delay", lag))

    def freeze(self) -> None:
        """Accept everything, new connections included, and pass nothing on."""
        self._call(self._flowing.clear)

    def thaw(self) -> None:
        """Pass on everything again, including what was held back."""
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
        """Cut the connections of the next COMMITs.

        Args:
            moment: before, during or after the COMMIT; see `Moment`.
            times: number of COMMITs.
            who: see the top of the module.
            of: only in transactions that ran a statement that contains this text.
            sql: beginning of another statement than COMMIT, for ``before``.
            skip: number of COMMITs that pass first.
            delay: seconds between the cut and the arrival of a ``late`` COMMIT.
        """
        self._arm(times, lambda: self._ambushes.append(Ambush(moment, sql, of, who, times, skip, delay)))

    def halve(self, times: int = 1, who: str = "") -> None:
        """Pass on half of the server's next message, then cut the connection; ``times`` times."""
        self._arm(times, lambda: self._halves.extend([who] * times))

    def clear(self) -> None:
        """End all faults."""
        self._call(self._clear)
        if self._listening is None:
            self.admit()

    @property
    def halves(self) -> list[str]:
        """The clients whose next message is still to be halved."""
        return list(self._halves)

    def wait_for(self, event: str, times: int = 1, seconds: float = 10.0) -> None:
        """Wait until ``counts[event]`` is ``times`` or more."""
        with self._changed:
            assert self._changed.wait_for(lambda: self.counts[event] >= times, seconds), (event, times, self.counts)

    def wait_until_struck(self, seconds: float = 10.0) -> None:
        """Wait until every counted fault has struck."""
        with self._changed:
            struck = self._changed.wait_for(lambda: not self._due, seconds)
            assert struck, (self._due, self.counts, self.unexpected)

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

    def count(self, event: str) -> None:
        """Count an event."""
        with self._changed:
            self.counts[event] += 1
            self._changed.notify_all()

    def struck(self, event: str) -> None:
        """Count a fault that has struck."""
        self._due -= 1
        self.count(event)

    async def _listen(self) -> None:
        if self._listening is None:
            self._listening = socket.create_server(("127.0.0.1", self.port))
            self._listening.setblocking(False)
            self.port = self._listening.getsockname()[1]
            self._loop.add_reader(self._listening, self._accept, self._listening)

    async def _stop_listening(self) -> None:
        if self._listening is not None:
            self._loop.remove_reader(self._listening)
            self._listening.close()
            self._listening = None

    # Without asyncio's server: Python 3.11 leaves a connection open that it accepts just before its server is closed.
    def _accept(self, listening: socket.socket) -> None:
        with suppress(BlockingIOError, ConnectionAbortedError):
            client, _ = listening.accept()
            client.setblocking(False)
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            task = self._loop.create_task(self._take(client))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _close(self) -> None:
        await self._stop_listening()
        self._clear()
        self._cut("", reset=True, unnoticed=0.0)
        await asyncio.sleep(0)  # so that each task has begun, and cleans up
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

    async def _take(self, client: socket.socket) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):  # the client or the server is gone
            try:
                reader, writer = await asyncio.open_connection(sock=client)
            except BaseException:
                client.close()
                raise
            try:
                await self._serve(reader, writer)
            finally:
                if not writer.is_closing():
                    abort(writer)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        code, startup = await protocol.read_startup(reader)
        while code in {protocol.SSL_REQUEST, protocol.GSS_REQUEST}:
            writer.write(protocol.NO)
            code, startup = await protocol.read_startup(reader)
        await self._flowing.wait()
        server_reader, server_writer = await self._connect()
        try:
            server_writer.write(startup)
            if code == protocol.CANCEL_REQUEST:
                await server_reader.read()
                return
            self.count("connections")
            link = Link(self, protocol.application_name(startup), reader, writer, server_reader, server_writer)
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
        """Delay a packet as the current faults require."""
        if self._delay is not None:
            await asyncio.sleep(self._delay())
        await self._flowing.wait()

    def ambush(self, name: str, sql: str, before: list[str]) -> Ambush | None:
        """Return the fault for this statement of a transaction, and count it down; None if there is none."""
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
        """Return whether this message of the server is to be halved."""
        for who in self._halves:
            if name.endswith(who):
                self._halves.remove(who)
                return True
        return False

    def count_message(self, name: str) -> None:
        """Count a message; cut the connections whose limit it reaches."""
        for fuse in [fuse for fuse in self._fuses if name.endswith(fuse.who)]:
            fuse.messages -= 1
            if fuse.messages <= 0:
                self._fuses.remove(fuse)
                self._cut(fuse.who, fuse.reset, 0.0)
                self.struck("fuse")
