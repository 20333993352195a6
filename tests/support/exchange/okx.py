"""A server with the public interface of OKX (documentation: API v5): its prices and order books have times and numbers.

ccxt is pointed at it through ``urls``; nothing of ccxt is replaced.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tests.support.exchange.listings import Listing
from tests.support.exchange.server import ExchangeServer
from tests.support.exchange.sockets import serve

Level = tuple[str, str]
"""Price and size."""


@dataclass
class _Client:
    ws: web.WebSocketResponse
    subscribed: set[tuple[str, str]] = field(default_factory=set)
    """Channels with the ids of markets."""


@dataclass
class _Book:
    """The order book of a market; ``number`` is that of its last message."""

    bids: list[Level]
    asks: list[Level]
    number: int = 100


class OkxServer(ExchangeServer):
    """OKX, by HTTP and WebSocket.

    Attributes:
        streams_books: whether order books are streamed; otherwise a subscription is refused.
        answers_books: whether requests for them are answered; otherwise they get a 503.
    """

    def __init__(self) -> None:
        super().__init__()
        self.streams_books, self.answers_books = True, True
        self._clients: list[_Client] = []
        self._books = {
            market.symbol: _Book([(market.last, "1")], [(market.last, "1")]) for market in self._markets.values()
        }

    @property
    def okx(self) -> dict[str, Any]:
        """The ``exchange_options`` that lead ccxt's OKX to this server."""
        api = {"rest": f"http://127.0.0.1:{self.port}/okx", "ws": f"ws://127.0.0.1:{self.port}/okx/ws"}
        return {"urls": {"api": api}, "rateLimit": 20, "options": {"fetchMarkets": {"types": ["spot"]}}}

    def set_book(self, symbol: str, bids: Sequence[Level], asks: Sequence[Level], *, lost: int = 0) -> None:
        """Replace an order book, and send the change to the subscribers.

        Args:
            symbol: the market.
            bids: the best one first; ``asks`` likewise.
            lost: the number of messages before it that nobody gets.
        """
        self._call(self._set_book(symbol, list(bids), list(asks), lost))

    # On the server's loop

    def _add_routes(self, app: web.Application) -> None:
        app.router.add_get("/okx/api/v5/public/time", self._okx_time)
        app.router.add_get("/okx/api/v5/public/instruments", self._okx_markets)
        app.router.add_get("/okx/api/v5/market/tickers", self._okx_tickers)
        app.router.add_get("/okx/api/v5/market/ticker", self._okx_tickers)
        app.router.add_get("/okx/api/v5/market/books", self._okx_books)
        app.router.add_get("/okx/ws/public", self._okx_stream)

    def _milliseconds(self, offset: float = 0.0) -> str:
        return str(int((self._time() + offset) * 1000))

    async def _okx_time(self, _: web.Request) -> web.Response:
        self._count("time")
        return web.json_response({"code": "0", "msg": "", "data": [{"ts": self._milliseconds()}]})

    async def _okx_markets(self, _: web.Request) -> web.Response:
        self._count("markets")
        rows = [
            {
                "instType": "SPOT", "instId": _id(market.symbol), "baseCcy": market.base, "quoteCcy": market.quote,
                "tickSz": f"1e-{market.price_decimals}", "lotSz": f"1e-{market.lot_decimals}",
                "minSz": market.min_quantity, "state": "live" if market.online else "suspend",
            }
            for market in self._markets.values()
        ]  # fmt: skip
        return await self._answer_list({"code": "0", "msg": "", "data": rows})

    def _ticker(self, market: Listing) -> dict[str, str]:
        return {
            "instType": "SPOT", "instId": _id(market.symbol), "last": self._price(market), "lastSz": "0.01",
            "bidPx": market.bid or market.last, "bidSz": market.bid_size, "askPx": market.ask or market.last,
            "askSz": market.ask_size, "vol24h": "200", "ts": self._milliseconds(self.stamp_offset),
        }  # fmt: skip

    async def _okx_tickers(self, request: web.Request) -> web.StreamResponse:
        id_ = request.query.get("instId")
        markets = [market for market in self._markets.values() if id_ in {None, _id(market.symbol)}]
        self.requested_symbols.append([market.symbol for market in markets])
        self._count("tickers")
        return await self._answer(request, {"code": "0", "msg": "", "data": [self._ticker(one) for one in markets]})

    async def _okx_books(self, request: web.Request) -> web.Response:
        self._count("books")
        if not self.answers_books:
            return web.Response(status=503, text="<html>Service Unavailable</html>")
        book = self._books[_symbol(request.query["instId"])]
        return web.json_response({"code": "0", "msg": "", "data": [self._levels(book)]})

    def _levels(self, book: _Book) -> dict[str, Any]:
        bids, asks = ([[price, size, "0", "1"] for price, size in side] for side in (book.bids, book.asks))
        return {"bids": bids, "asks": asks, "ts": self._milliseconds(), "seqId": book.number, "prevSeqId": -1}

    async def _okx_stream(self, request: web.Request) -> web.StreamResponse:
        return await serve(request, _Client, self._clients, self._handle, accepted=self.streams)

    async def _handle(self, client: _Client, text: str) -> None:
        if text == "ping":
            await client.ws.send_str("pong")
            return
        request = json.loads(text)
        for argument in request["args"]:
            channel, id_ = argument["channel"], argument["instId"]
            if channel == "books" and request["op"] == "subscribe" and not self.streams_books:
                refusal = {"event": "error", "code": "60018", "msg": "Wrong URL or channel", "connId": "1"}
                await client.ws.send_json(refusal)
                continue
            await client.ws.send_json({"event": request["op"], "arg": argument, "connId": "1"})
            self._count(f"{request['op']} {channel}")
            if request["op"] == "unsubscribe":
                client.subscribed.discard((channel, id_))
                continue
            client.subscribed.add((channel, id_))
            if channel == "tickers":
                await client.ws.send_json({"arg": argument, "data": [self._ticker(self._markets[_symbol(id_)])]})
            elif channel == "books":
                data = [self._levels(self._books[_symbol(id_)])]
                await client.ws.send_json({"arg": argument, "action": "snapshot", "data": data})

    async def _send(self, channel: str, symbol: str, message: dict[str, Any]) -> None:
        for client in list(self._clients):
            if (channel, _id(symbol)) in client.subscribed and not client.ws.closed:
                await client.ws.send_json({"arg": {"channel": channel, "instId": _id(symbol)}, **message})

    async def _set_price(
        self, symbol: str, last: str, bid: tuple[str | None, str], ask: tuple[str | None, str]
    ) -> None:
        await super()._set_price(symbol, last, bid, ask)
        await self._send("tickers", symbol, {"data": [self._ticker(self._markets[symbol])]})

    async def _set_book(self, symbol: str, bids: list[Level], asks: list[Level], lost: int) -> None:
        before = self._books[symbol]
        after = self._books[symbol] = _Book(bids, asks, before.number + lost + 1)
        data = self._levels(after) | {"prevSeqId": before.number + lost}
        for side, old in (("bids", before.bids), ("asks", before.asks)):
            prices = {row[0] for row in data[side]}
            data[side] += [[price, "0", "0", "0"] for price, _ in old if price not in prices]
        await self._send("books", symbol, {"action": "update", "data": [data]})

    async def _drop(self) -> None:
        await super()._drop()
        for client in list(self._clients):
            transport = client.ws._req.transport if client.ws._req is not None else None
            if transport is not None:
                transport.abort()


def _id(symbol: str) -> str:
    return symbol.replace("/", "-")


def _symbol(id_: str) -> str:
    return id_.replace("-", "/")
