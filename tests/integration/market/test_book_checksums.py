"""Order books with checksums from the real ccxt: those of Bitget, which ccxt compares by default."""

from __future__ import annotations

import asyncio
import json
import zlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from decimal import Decimal

import pytest
from aiohttp import web

from actors.runtime.timer import SystemClock
from domain.types import Instant
from market.exchange.exchange_clock import ExchangeClock
from market.exchange.order_book import Book, BookFeed, BookVenue
from tests.support.exchange.sockets import cancel_all_others, serve
from tests.support.exchange.sources import ETH, QUICK

pytestmark = pytest.mark.logged("market")

ARGUMENT = {"instType": "SPOT", "channel": "books", "instId": "ETHUSDT"}
MARKET = {
    "id": "ETHUSDT", "symbol": "ETH/USDT", "base": "ETH", "quote": "USDT", "baseId": "ETH", "quoteId": "USDT",
    "type": "spot", "spot": True, "active": True,
}  # fmt: skip
WAIT_S = 10
Level = tuple[str, str]


@dataclass
class Socket:
    ws: web.WebSocketResponse


class Bitget:
    """The order book of one market, as Bitget streams it (documentation: Spot, Depth Channel).

    Attributes:
        subscriptions: number of requests for the book.
        confirms: set while requests to unsubscribe are answered.
    """

    def __init__(self) -> None:
        self.subscriptions = 0
        self.confirms = asyncio.Event()
        self.confirms.set()
        self._levels = [("3949.5", "2")], [("3950.5", "3")]
        self._sockets: list[Socket] = []

    async def stream(self, request: web.Request) -> web.StreamResponse:
        return await serve(request, Socket, self._sockets, self._handle, accepted=True)

    async def _handle(self, socket: Socket, text: str) -> None:
        if text == "ping":
            await socket.ws.send_str("pong")
            return
        operation = json.loads(text)["op"]
        if operation == "unsubscribe":
            await self.confirms.wait()
        else:
            self.subscriptions += 1
        await socket.ws.send_json({"event": operation, "arg": ARGUMENT})
        if operation == "subscribe":
            await self._send(socket, "snapshot", *self._levels)

    async def set_levels(self, bid: Level, ask: Level, *, right: bool = True) -> None:
        """Replace the best levels, with a checksum that is right or not."""
        (old_bid,), (old_ask,) = self._levels
        self._levels = [bid], [ask]
        removed_bids = [(old_bid[0], "0")] if old_bid[0] != bid[0] else []
        removed_asks = [(old_ask[0], "0")] if old_ask[0] != ask[0] else []
        for socket in self._sockets:
            await self._send(socket, "update", [*removed_bids, bid], [*removed_asks, ask], right=right)

    async def _send(
        self,
        socket: Socket,
        action: str,
        bids: list[tuple[str, str]],
        asks: list[tuple[str, str]],
        *,
        right: bool = True,
    ) -> None:
        (bid,), (ask,) = self._levels
        number = zlib.crc32(":".join([*bid, *ask]).encode())
        checksum = (number - 2**32 if number >= 2**31 else number) + (0 if right else 1)
        data = {
            "bids": bids,
            "asks": asks,
            "checksum": checksum,
            "ts": str(int(SystemClock().now().timestamp() * 1000)),
        }
        await socket.ws.send_json({"action": action, "arg": ARGUMENT, "data": [data], "ts": 0})


class Followed:
    """A feed that follows the book."""

    def __init__(self, bitget: Bitget, feed: BookFeed, delivered: list[Book]) -> None:
        self.bitget = bitget
        self.feed = feed
        self.delivered = delivered

    @property
    def best(self) -> Book | None:
        return self.feed.best(ETH, Instant.of(SystemClock()))

    @property
    def bids(self) -> list[str]:
        return [str(book.bid) for book in self.delivered]

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(WAIT_S):
            while not condition():
                await asyncio.sleep(0.005)


def follow(test: Callable[[Followed], Awaitable[None]]) -> None:
    """Run a test with a feed that has the first levels."""

    async def run() -> None:
        bitget, app = Bitget(), web.Application()
        app.router.add_get("/ws", bitget.stream)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        address = f"127.0.0.1:{runner.addresses[0][1]}"
        api = {"spot": f"http://{address}", "ws": {"public": f"ws://{address}/ws"}}
        options = {"urls": {"api": api}, "hostname": address}
        venue = BookVenue("bitget", options, 10)
        venue._ccxt.set_markets([venue._ccxt.safe_market_structure(MARKET)])
        venue._listed.set()
        delivered: list[Book] = []
        timing = replace(QUICK, book_interval=0.001)
        feed = BookFeed(venue, SystemClock(), ExchangeClock(timing.max_quote_lag), timing, delivered.append)
        followed = Followed(bitget, feed, delivered)
        try:
            feed.follow([ETH])
            await followed.until(lambda: bool(delivered))
            await test(followed)
        finally:
            bitget.confirms.set()
            await feed.close()
            await runner.cleanup()
            await cancel_all_others()

    asyncio.run(run())


def test_right_checksums_change_nothing(log_lines: list[str]) -> None:
    async def test(followed: Followed) -> None:
        await followed.bitget.set_levels(("3949", "7"), ("3950.5", "3"))
        await followed.until(lambda: followed.bids == ["3949.5", "3949.0"])
        assert followed.best is not None
        assert (Decimal(7), 1) == (followed.best.bid_size, followed.bitget.subscriptions)

    follow(test)
    assert [] == log_lines


def test_a_book_with_a_wrong_checksum_is_dropped_reported_and_read_anew(log_lines: list[str]) -> None:
    async def test(followed: Followed) -> None:
        await followed.bitget.set_levels(("3000", "1"), ("3950.5", "3"), right=False)
        await followed.until(lambda: 2 == followed.bitget.subscriptions)
        await followed.until(lambda: len(followed.bids) > 1)  # the snapshot after it is right
        await followed.bitget.set_levels(("3949", "7"), ("3950.5", "3"))
        await followed.until(lambda: followed.bids[-1] == "3949.0")
        assert ["3949.5", "3000.0", "3949.0"] == followed.bids

    follow(test)
    failure, recovery = log_lines
    reason = "a message did not fit to it; unsubscribed"
    assert f"WARNING The order book of ETH/USDT at bitget is unknown ({reason}); beginning anew" == failure
    assert "INFO bitget sends the order book of ETH/USDT again" == recovery


def test_nothing_of_a_wrong_message_is_used_while_the_exchange_has_not_answered() -> None:
    async def test(followed: Followed) -> None:
        followed.bitget.confirms.clear()  # ccxt keeps the wrong book until it is unsubscribed
        await followed.bitget.set_levels(("3000", "1"), ("3950.5", "3"), right=False)
        await followed.until(lambda: followed.best is None)
        await asyncio.sleep(0.2)
        assert (["3949.5"], None) == (followed.bids, followed.best)
        followed.bitget.confirms.set()
        await followed.until(lambda: 2 == followed.bitget.subscriptions)
        await followed.until(lambda: followed.bids[-1] == "3000.0")  # from the whole book that came then

    follow(test)
