"""A server with the public interface of two exchanges, which fails as exchanges do.

Kraken (documentation: Spot REST, Spot WebSocket v2) by HTTP and WebSocket, Bitstamp (HTTP API v2) by HTTP alone. ccxt
is pointed at it through ``urls``; nothing of ccxt is replaced.
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from email.utils import formatdate
from types import TracebackType
from typing import Any, Self

from aiohttp import web

from tests.support.exchange.listings import (
    Listing,
    answer_with,
    bad_answer,
    bitstamp_market,
    kraken_book,
    kraken_market,
    kraken_requested_ticker,
    kraken_ticker,
    kraken_trades,
    listings,
)
from tests.support.exchange.past import Past
from tests.support.exchange.sockets import cancel_all_others, send, serve


@dataclass
class _Socket:
    ws: web.WebSocketResponse
    symbols: set[str] = field(default_factory=set)
    traded: set[str] = field(default_factory=set)
    """The symbols whose trades it gets; ``books`` likewise."""
    books: set[str] = field(default_factory=set)


class ExchangeServer:
    """A server with its own port and thread, from `__enter__` to `__exit__`.

    Attributes:
        requests: number of requests for each path: ``markets``, ``tickers``, ``subscribe`` or
            ``subscribe trades``.
        served: the prices that were sent, by symbol.
        requested_symbols: the symbols of each request for tickers, in order.
        clock_offset: seconds by which the exchange's clock is ahead.
        stamp_offset: seconds by which the times of prices are ahead of that clock.
        streams: whether WebSockets are accepted; otherwise they get a 503. ``past`` are the trades of the past.
    """

    def __init__(self) -> None:
        self.requests: Counter[str] = Counter()
        self.served: dict[str, set[str]] = {}
        self.requested_symbols: list[list[str]] = []
        self.clock_offset, self.stamp_offset, self.streams, self.past = 0.0, 0.0, True, Past()
        self._markets = listings()
        self._trades: list[dict[str, Any]] = []
        self._faults: deque[str] = deque()
        self._list_faults: deque[str] = deque()
        self._sockets: list[_Socket] = []
        self._changed = threading.Condition()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="exchange", daemon=True)
        self.port = 0

    def __enter__(self) -> Self:
        self._thread.start()
        self._call(self._open())
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._call(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    @property
    def kraken(self) -> dict[str, Any]:
        """The ``exchange_options`` that lead ccxt's Kraken to this server."""
        http, ws = f"http://127.0.0.1:{self.port}/kraken", f"ws://127.0.0.1:{self.port}/kraken/v2"
        urls = {"public": http, "private": http, "zendesk": http, "ws": {"publicV2": ws}}
        return {"urls": {"api": urls}, "rateLimit": 20}

    @property
    def bitstamp(self) -> dict[str, Any]:
        """The same for Bitstamp."""
        urls = {"api": {"public": f"http://127.0.0.1:{self.port}/bitstamp/api"}}
        return {"urls": urls, "rateLimit": 20, "has": {"watchTrades": False, "watchOrderBook": False}}

    def set_price(
        self,
        symbol: str,
        last: str,
        *,
        bid: str | None = None,
        ask: str | None = None,
        bid_size: str = "1",
        ask_size: str = "1",
    ) -> None:
        """Set a market's price, and send it to the subscribers; without a bid or ask, that is the last price."""
        self._call(self._set_price(symbol, last, (bid, bid_size), (ask, ask_size)))

    def trade(self, symbol: str, *trades: tuple[str, str]) -> None:
        """Let trades of a price and an amount happen at once, and send them to the subscribers in one message."""
        self._call(self._trade(symbol, trades))

    def fault(self, kind: str, times: int = 1) -> None:
        """Let the next answers to requests for tickers fail.

        Args:
            kind: ``429``, ``500``, ``garbage``, ``half``, ``hang``, ``unknown``, one of `BODIES`, or ``held``: the
                answer of now, sent when `release` is called.
            times: the number of answers.
        """
        self._faults.extend([kind] * times)

    def fault_list(self, kind: str, times: int) -> None:
        """Let the next answers to requests for the list of markets be one of `BODIES`, or ``hang``."""
        self._list_faults.extend([kind] * times)

    def release(self) -> None:
        """Send the answers that are ``held``."""
        self._call(self._release())

    @property
    def faults_left(self) -> int:
        """The number of answers to requests for tickers that will still fail."""
        return len(self._faults)

    def no_faults(self) -> None:
        """Answer correctly from now on."""
        self._faults.clear()
        self._list_faults.clear()

    def suspend(self, symbol: str) -> None:
        """Close a market, which stays listed."""
        self._markets[symbol].online = False

    def reopen(self, symbol: str) -> None:
        """Open a market again."""
        self._markets[symbol].online = True

    def remove(self, *symbols: str) -> None:
        """Delist markets, all at once: no list of markets in between lacks only some of them."""
        self._call(self._remove(symbols))

    def drop_sockets(self) -> None:
        """Abort every WebSocket connection."""
        self._call(self._drop())

    def send_raw(self, text: str) -> None:
        """Send any text to all WebSockets."""
        self._call(self._broadcast(text))

    def wait_for(self, path: str, times: int = 1, seconds: float = 10.0) -> None:
        """Wait until a path was requested ``times`` times: ``markets``, ``tickers``, … as in `requests`."""
        with self._changed:
            assert self._changed.wait_for(lambda: self.requests[path] >= times, seconds), (path, self.requests)

    # On the server's loop

    def _call(self, coroutine: Any) -> None:
        asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(10)

    async def _open(self) -> None:
        app = web.Application()
        app.on_response_prepare.append(self._stamp)
        self._add_routes(app)
        self._closing, self._released = asyncio.Event(), asyncio.Event()
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port)
        await site.start()
        self.port = self._runner.addresses[0][1]

    def _add_routes(self, app: web.Application) -> None:
        app.router.add_get("/kraken/0/public/Time", self._kraken_time)
        app.router.add_get("/kraken/0/public/AssetPairs", self._kraken_markets)
        app.router.add_get("/kraken/0/public/Depth", self._kraken_depth)
        app.router.add_get("/bitstamp/api/v2/order_book/{id}/", self._bitstamp_book)
        app.router.add_get("/kraken/0/public/Assets", self._kraken_assets)
        app.router.add_get("/kraken/0/public/Ticker", self._kraken_tickers)
        app.router.add_get("/kraken/v2", self._kraken_stream)
        app.router.add_get("/bitstamp/api/v2/markets/", self._bitstamp_markets)
        app.router.add_get("/bitstamp/api/v2/ticker/", self._bitstamp_tickers)
        app.router.add_get("/bitstamp/api/v2/ticker/{id}/", self._bitstamp_tickers)
        self.past.add_routes(app)

    async def _stamp(self, _: web.Request, response: web.StreamResponse) -> None:
        response.headers["Date"] = formatdate(self._time(), usegmt=True)

    def _time(self) -> float:
        """Return the exchange's unix time in seconds."""
        return self.past.candles.clock or time.time() + self.clock_offset

    async def _kraken_time(self, _: web.Request) -> web.Response:
        return web.json_response({"error": [], "result": {"unixtime": int(self._time())}})

    async def _close(self) -> None:
        self._closing.set()
        self._released.set()
        await self._drop()
        await self._runner.cleanup()
        await cancel_all_others()

    def _count(self, path: str) -> None:
        with self._changed:
            self.requests[path] += 1
            self._changed.notify_all()

    async def _answer(self, request: web.Request, document: object) -> web.StreamResponse:
        """Answer a request for tickers, or fail as `fault` demands."""
        kind = self._faults.popleft() if self._faults else ""
        if kind == "429":
            return web.Response(status=429, headers={"Retry-After": "1"}, text="slow down")
        if kind == "500":
            return web.Response(status=500, text="<html>Internal Server Error</html>")
        if kind == "garbage":
            return web.Response(text='{"error":[],"result":{"BTCUSDT":{"c":"\\u0000')
        if kind == "hang":
            await self._closing.wait()
        if kind == "held":
            await self._released.wait()
        if kind == "unknown":
            document = {"error": ["EQuery:Unknown asset pair"]}
        return await answer_with(kind, request, document)

    async def _answer_list(self, document: object) -> web.Response:
        kind = self._list_faults.popleft() if self._list_faults else ""
        if kind == "hang":
            await self._closing.wait()
        return bad_answer(kind, document) or web.json_response(document)

    async def _release(self) -> None:
        self._released.set()

    def _price(self, market: Listing) -> str:
        self.served.setdefault(market.symbol, set()).add(market.last)
        return market.last

    def _wanted(self, ids: str | None) -> list[Listing] | None:
        by_id = {market.id: market for market in self._markets.values()}
        wanted = list(by_id) if ids is None else ids.split(",")
        self.requested_symbols.append([by_id[id_].symbol for id_ in wanted if id_ in by_id])
        self._count("tickers")
        return [by_id[id_] for id_ in wanted] if by_id.keys() >= set(wanted) else None

    async def _kraken_markets(self, _: web.Request) -> web.Response:
        self._count("markets")
        result = {market.id: kraken_market(market) for market in self._markets.values()}
        return await self._answer_list({"error": [], "result": result})

    async def _kraken_assets(self, _: web.Request) -> web.Response:
        names = {name for market in self._markets.values() for name in (market.base, market.quote)}
        asset = {"aclass": "currency", "decimals": 10, "display_decimals": 5, "status": "enabled"}
        return web.json_response({"error": [], "result": {name: {**asset, "altname": name} for name in names}})

    async def _kraken_tickers(self, request: web.Request) -> web.StreamResponse:
        wanted = self._wanted(request.query.get("pair"))
        if wanted is None:
            return await self._answer(request, {"error": ["EQuery:Unknown asset pair"]})
        result = {market.id: kraken_requested_ticker(market, self._price(market)) for market in wanted}
        return await self._answer(request, {"error": [], "result": result})

    async def _kraken_stream(self, request: web.Request) -> web.StreamResponse:
        return await serve(request, _Socket, self._sockets, self._handle_kraken_request, accepted=self.streams)

    async def _handle_kraken_request(self, socket: _Socket, text: str) -> None:
        request = json.loads(text)
        if request.get("method") == "ping":
            await socket.ws.send_json({"method": "pong", "req_id": request.get("req_id")})
        elif request.get("method") == "subscribe" and request["params"]["channel"] == "trade":
            for symbol in request["params"]["symbol"]:
                socket.traded.add(symbol)
                past = [trade for trade in self._trades if trade["symbol"] == symbol][-50:]
                if past:
                    await socket.ws.send_json({"channel": "trade", "type": "snapshot", "data": past})
            self._count("subscribe trades")
        elif request.get("method") == "subscribe" and request["params"]["channel"] == "book":
            for market in filter(None, map(self._markets.get, request["params"]["symbol"])):
                socket.books.add(market.symbol)
                await socket.ws.send_json(kraken_book(market, self._price(market)))
            self._count("subscribe books")
        elif request.get("method") == "subscribe":
            for symbol in request["params"]["symbol"]:
                market = self._markets.get(symbol)
                if market is None:
                    await socket.ws.send_json(
                        {"method": "subscribe", "success": False, "error": "Currency pair not supported"}
                    )
                else:
                    socket.symbols.add(symbol)
                    await socket.ws.send_json(self._kraken_event(market))
            self._count("subscribe")

    def _kraken_event(self, market: Listing) -> dict[str, Any]:
        return kraken_ticker(market, float(self._price(market)))

    async def _kraken_depth(self, request: web.Request) -> web.Response:
        (market,) = [one for one in self._markets.values() if one.id == request.query["pair"]]
        self._price(market)
        sides = {side: [[*level, 1]] for side, level in (("bids", market.best_bid), ("asks", market.best_ask))}
        return web.json_response({"error": [], "result": {market.id: sides}})

    async def _bitstamp_book(self, request: web.Request) -> web.Response:
        (market,) = [one for one in self._markets.values() if one.id.lower() == request.match_info["id"]]
        stamp, _ = str(int(self._time() * 1_000_000)), self._price(market)
        return web.json_response({"microtimestamp": stamp, "bids": [market.best_bid], "asks": [market.best_ask]})

    async def _bitstamp_markets(self, _: web.Request) -> web.Response:
        self._count("markets")
        return await self._answer_list([bitstamp_market(market) for market in self._markets.values()])

    async def _bitstamp_tickers(self, request: web.Request) -> web.StreamResponse:
        one = request.match_info.get("id")
        wanted = self._wanted(None if one is None else one.upper())
        if wanted is None:
            return web.json_response({"status": "error", "reason": "Invalid pair"}, status=404)
        stamp = str(int(self._time() + self.stamp_offset))
        rows = [
            {
                "pair": market.symbol,
                "market": market.symbol,
                "timestamp": stamp,
                "last": self._price(market),
                "bid": market.bid or market.last,
                "ask": market.ask or market.last,
                "volume": "200",
                "vwap": market.last,
                "high": market.last,
                "low": market.last,
                "open": market.last,
            }
            for market in wanted
        ]
        return await self._answer(request, rows if one is None else rows[0])

    async def _set_price(
        self, symbol: str, last: str, bid: tuple[str | None, str], ask: tuple[str | None, str]
    ) -> None:
        market = self._markets[symbol]
        market.last, (market.bid, market.bid_size), (market.ask, market.ask_size) = last, bid, ask
        for socket in [one for one in self._sockets if symbol in one.symbols]:
            await send(socket.ws, json.dumps(self._kraken_event(market)))
        for socket in [one for one in self._sockets if symbol in one.books]:
            await send(socket.ws, json.dumps(kraken_book(market, self._price(market))))

    async def _trade(self, symbol: str, trades: Sequence[tuple[str, str]]) -> None:
        data = kraken_trades(symbol, trades, len(self._trades), self._time())
        self._trades += data
        for socket in [one for one in self._sockets if symbol in one.traded]:
            await send(socket.ws, json.dumps({"channel": "trade", "type": "update", "data": data}))

    async def _remove(self, symbols: Sequence[str]) -> None:
        for symbol in symbols:
            del self._markets[symbol]

    async def _broadcast(self, text: str) -> None:
        for socket in list(self._sockets):
            await send(socket.ws, text)

    async def _drop(self) -> None:
        for socket in list(self._sockets):
            transport = socket.ws._req.transport if socket.ws._req is not None else None
            if transport is not None:
                transport.abort()
