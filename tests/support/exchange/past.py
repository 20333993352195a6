"""The past of the local exchange: trades and bars of a minute, as Kraken and Bitstamp tell them."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from decimal import Decimal
from typing import NamedTuple

from aiohttp import web

from tests.support.exchange.candles import CandleHistory
from tests.support.exchange.listings import answer_with

MINUTE_S = 60


class PastTrade(NamedTuple):
    """A trade: its unix time in seconds, and its price and size as the exchange spells them."""

    time: float
    price: str
    size: str


class Past:
    """What happened on the markets, by their ids.

    Attributes:
        reach: the trades that it shows begin at this unix time, all of them by default; ``bars_reach`` likewise.
        page: trades or bars in one answer.
        window: an answer holds what happened within so many seconds after the time that was asked for.
        refuse: the answers to so many requests are errors of the server.
        faults: kinds of the next answers' faults: one of `BODIES`, or ``half``: the connection breaks in the middle.
        requests: the paths that were asked, in order.
        candles: bars of their own, for markets without trades.
    """

    def __init__(self) -> None:
        self.reach = 0.0
        self.bars_reach = 0.0
        self.page = 1000
        self.window = float("inf")
        self.refuse = 0
        self.faults: deque[str] = deque()
        self.requests: list[str] = []
        self.candles = CandleHistory()
        self._trades: dict[str, list[PastTrade]] = {}

    def now(self) -> float:
        """Return the unix time in seconds by the exchange's clock, which is that of its machine."""
        return time.time()

    def add(self, market: str, *trades: tuple[float, str, str]) -> None:
        """Add trades of a market's id, in the order of their times."""
        self._trades.setdefault(market, []).extend(PastTrade(*one) for one in trades)

    def happen(self, market: str, *trades: tuple[str, str]) -> list[float]:
        """Let trades of a price and a size happen now, one in each of the next milliseconds; return their times.

        They are later than anything that a process which has ended may have seen, and a process takes longer to start.
        """
        now = int(self.now() * 1000)
        times = [(now + number) / 1000 for number in range(1, len(trades) + 1)]
        self.add(market, *((at, *trade) for at, trade in zip(times, trades, strict=True)))
        return times

    def add_routes(self, app: web.Application) -> None:
        """Answer the requests of both exchanges."""
        app.router.add_get("/kraken/0/public/Trades", self._kraken_trades)
        app.router.add_get("/kraken/0/public/OHLC", self._kraken_bars)
        app.router.add_get("/bitstamp/api/v2/transactions/{id}/", self._bitstamp_trades)
        app.router.add_get("/bitstamp/api/v2/ohlc/{id}/", self._bitstamp_bars)

    def _asked(self, request: web.Request) -> None:
        self.requests.append(request.path.rpartition("/public/")[2] or request.path)
        if self.refuse:
            self.refuse -= 1
            raise web.HTTPServiceUnavailable(text="<html>Service Unavailable</html>")

    async def _answer(self, request: web.Request, document: object) -> web.StreamResponse:
        return await answer_with(self.faults.popleft() if self.faults else "", request, document)

    def _since(self, market: str, since: float) -> list[tuple[int, PastTrade]]:
        """Return a page of trades with their numbers."""
        trades = list(enumerate(self._trades.get(market, ()), 1))
        end = since + self.window
        return [(number, one) for number, one in trades if max(since, self.reach) <= one.time <= end][: self.page]

    def _bars(self, market: str, since: float) -> Iterator[tuple[int, list[Decimal], Decimal]]:
        """Yield begin, prices and volume of the bars since a time."""
        by_minute: dict[int, list[PastTrade]] = {}
        for one in self._trades.get(market, ()):
            by_minute.setdefault(int(one.time // MINUTE_S) * MINUTE_S, []).append(one)
        begins = [begin for begin in by_minute if max(since, self.bars_reach) <= begin <= since + self.window]
        for begin in begins[: self.page]:
            trades = by_minute[begin]
            volume = sum((Decimal(one.size) for one in trades), Decimal(0))
            yield begin, [Decimal(one.price) for one in trades], volume

    async def _kraken_trades(self, request: web.Request) -> web.StreamResponse:
        self._asked(request)
        market = request.query["pair"]
        page = self._since(market, float(request.query.get("since", 0)))
        rows = [[one.price, one.size, one.time, "b", "m", "", number] for number, one in page]
        last = str(int(page[-1][1].time * 1e9)) if page else "0"
        return await self._answer(request, {"error": [], "result": {market: rows, "last": last}})

    async def _kraken_bars(self, request: web.Request) -> web.StreamResponse:
        if self.candles.has(request.query["pair"]):
            return await self.candles.kraken(request)
        self._asked(request)
        market = request.query["pair"]
        rows = [
            [begin, str(prices[0]), str(max(prices)), str(min(prices)), str(prices[-1]), "0", str(volume), len(prices)]
            for begin, prices, volume in self._bars(market, float(request.query.get("since", 0)))
        ]
        return await self._answer(request, {"error": [], "result": {market: rows, "last": rows[-1][0] if rows else 0}})

    async def _bitstamp_trades(self, request: web.Request) -> web.StreamResponse:
        self._asked(request)
        rows = [
            {"date": str(int(one.time)), "tid": str(number), "price": one.price, "amount": one.size, "type": "0"}
            for number, one in reversed(self._since(request.match_info["id"].upper(), 0))
        ]
        return await self._answer(request, rows)

    async def _bitstamp_bars(self, request: web.Request) -> web.StreamResponse:
        if self.candles.has(request.match_info["id"].upper()):
            return await self.candles.bitstamp(request)
        self._asked(request)
        market = request.match_info["id"].upper()
        rows = [
            {
                "timestamp": str(begin), "open": str(prices[0]), "high": str(max(prices)), "low": str(min(prices)),
                "close": str(prices[-1]), "volume": str(volume),
            }
            for begin, prices, volume in self._bars(market, float(request.query.get("start", 0)))
        ]  # fmt: skip
        return await self._answer(request, {"data": {"pair": market, "ohlc": rows}})
