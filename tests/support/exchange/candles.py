"""Bars that the local exchange has, and the faults with which exchanges answer requests for bars."""

from __future__ import annotations

import asyncio
import json
import random
import re
import threading
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import NamedTuple

from aiohttp import web

OUTAGES = ("429", "503", "cut", "disconnect", "html")
LIES = ("leaves out", "short", "empty", "duplicates", "unordered")
FAULTS = (*OUTAGES, *LIES, "slow")
SLOW_S = 0.03
DAY_S = 86_400


class Bar(NamedTuple):
    """A bar as the exchange spells it; ``begin`` is its unix time in seconds."""

    begin: int
    open: str
    high: str
    low: str
    close: str
    volume: str


class Faults:
    """Faults of answers, drawn from a seed; each bar is kept back once at most, as an exchange that recovers does.

    Args:
        seed: of the draws.
        share: of the answers that have a fault.
        kinds: of `FAULTS`.

    Attributes:
        counts: of the faults so far, by kind.
    """

    def __init__(self, seed: int, share: float = 0.4, kinds: Sequence[str] = FAULTS) -> None:
        self.counts: Counter[str] = Counter()
        self._draws = random.Random(seed)
        self._share = share
        self._kinds = kinds
        self._kept_back: set[int] = set()

    def kind(self) -> str:
        """Return the fault of the next answer; empty for none."""
        kind = self._draws.choice(self._kinds) if self._draws.random() < self._share else ""
        if kind not in {*LIES, ""}:
            self.counts[kind] += 1
        return kind

    def lie(self, kind: str, bars: list[Bar]) -> list[Bar]:
        """Return the bars that an answer with this fault has."""
        if not bars or kind not in LIES:
            return bars
        changed = self._changed(kind, bars)
        left_out = {bar.begin for bar in bars}.difference(bar.begin for bar in changed)
        if left_out & self._kept_back:
            return bars
        self._kept_back |= left_out
        self.counts[kind] += 1
        return changed

    def _changed(self, kind: str, bars: list[Bar]) -> list[Bar]:
        match kind:
            case "leaves out":
                return [bar for bar in bars if self._draws.random() > 0.1]
            case "short":
                return bars[: self._draws.randint(1, len(bars))]
            case "empty":
                return []
            case "duplicates":
                return sorted([*bars, *self._draws.sample(bars, min(3, len(bars)))])
            case _:
                return self._draws.sample(bars, len(bars))


class CandleHistory:
    """The bars of the exchange's markets.

    Attributes:
        clock: the exchange's time, in unix seconds, which does not pass; 0: that of the server.
        page: bars in one answer.
        window: an answer holds bars of so many seconds after the time that was asked for.
        whole_days: answers begin with the first bar of the day that was asked for.
        newest_only: answers hold the newest bars, whatever time was asked for.
        faults: of the answers.
        planned: kinds of the next answers' faults, in order, before those of `faults`; also ``other close``,
            ``refused``, ``429, wait`` and ``hang``.
        numbers: whether answers have JSON's numbers in place of text.
        requests: the times from which on bars were requested.
        arrivals: when the requests came, in seconds of a clock that never jumps.
    """

    def __init__(self) -> None:
        self.clock = 0.0
        self.page = 720
        self.window = float("inf")
        self.newest_only = self.whole_days = self.numbers = False
        self.faults = Faults(0, share=0)
        self.planned: list[str] = []
        self.requests: list[float] = []
        self.arrivals: list[float] = []
        self._bars: dict[tuple[str, int], list[Bar]] = {}
        self._changed = threading.Condition()
        self._hanging = asyncio.Event()

    def add(self, market: str, seconds: int, bars: Iterable[Bar]) -> None:
        """Add bars of a length to a market's id, in the order of their begins."""
        self._bars.setdefault((market, seconds), []).extend(bars)

    def has(self, market: str) -> bool:
        """Return whether it has bars of a market at all."""
        return any(one == market for one, _ in self._bars)

    def wait_for(self, requests: int, timeout: float = 60.0) -> bool:
        """Wait until so many requests have come; return whether they have."""
        with self._changed:
            return self._changed.wait_for(lambda: len(self.requests) >= requests, timeout)

    async def kraken(self, request: web.Request) -> web.StreamResponse:
        """Answer as Kraken does."""
        market, seconds = request.query["pair"], int(request.query["interval"]) * 60
        # ccxt asks for the bars after the one before; without a time, Kraken has the newest ones.
        since = float(request.query["since"]) + seconds if "since" in request.query else None
        bars, kind = self._page(market, seconds, since, float("inf"))
        rows = [[bar.begin, bar.open, bar.high, bar.low, bar.close, "0", bar.volume, 1] for bar in bars]
        return await self._answer(request, {"error": [], "result": {market: rows, "last": 0}}, kind)

    async def bitstamp(self, request: web.Request) -> web.StreamResponse:
        """Answer as Bitstamp does."""
        market, seconds = request.match_info["id"].upper(), int(request.query["step"])
        start = request.query.get("start")
        until = float(request.query.get("end", "inf"))
        bars, kind = self._page(market, seconds, None if start is None else float(start), until)
        rows = [
            {
                "timestamp": str(bar.begin), "open": bar.open, "high": bar.high, "low": bar.low, "close": bar.close,
                "volume": bar.volume,
            }
            for bar in bars
        ]  # fmt: skip
        return await self._answer(request, {"data": {"pair": market, "ohlc": rows}}, kind)

    def _page(self, market: str, seconds: int, since: float | None, until: float) -> tuple[list[Bar], str]:
        """Return the bars of an answer, with its fault."""
        with self._changed:
            self.requests.append(-1 if since is None else since)
            self.arrivals.append(time.monotonic())
            self._changed.notify_all()
        begun = [bar for bar in self._bars.get((market, seconds), ()) if bar.begin <= self.clock]
        if since is None or self.newest_only:
            page = begun[-self.page :]
        else:
            since = since // DAY_S * DAY_S if self.whole_days else since
            end = min(until, since + self.window)
            page = [bar for bar in begun if since <= bar.begin <= end][: self.page]
        kind = self.planned.pop(0) if self.planned else self.faults.kind()
        page = [self._as_of_now(bar, seconds) for bar in page]
        if kind == "other close":
            page = [bar._replace(close=str(Decimal(bar.low) + len(self.requests))) for bar in page]
        return self.faults.lie(kind, page), kind

    def _as_of_now(self, bar: Bar, seconds: int) -> Bar:
        """Return a bar as it is now: one that has not ended has another close at each request."""
        if bar.begin + seconds <= self.clock:
            return bar
        return bar._replace(close=str(Decimal(bar.close) + len(self.requests)), volume="0.001")

    async def _answer(self, request: web.Request, document: object, kind: str) -> web.StreamResponse:
        text = json.dumps(document)
        if self.numbers:
            text = re.sub(r'"(\d+\.\d+)"', r"\1", text)
        match kind:
            case "429":
                return web.Response(status=429, headers={"Retry-After": "0"}, text="slow down")
            case "429, wait":
                return web.Response(status=429, headers={"Retry-After": "1"}, text="slow down")
            case "503":
                return web.Response(status=503, text="<html>Service Unavailable</html>")
            case "html":
                return web.Response(text="<html>Checking your browser</html>", content_type="text/html")
            case "cut":
                return web.Response(text=text[: len(text) // 2], content_type="application/json")
            case "disconnect":
                headers = {"Content-Length": str(len(text)), "Content-Type": "application/json"}
                response = web.StreamResponse(headers=headers)
                await response.prepare(request)
                await response.write(text[: len(text) // 2].encode())
                assert request.transport is not None
                request.transport.close()
                return response
            case "refused":
                return web.json_response({"error": ["EGeneral:Something else"], "result": {}})
            case "hang":
                await self._hanging.wait()
            case "slow":
                await asyncio.sleep(SLOW_S)
        return web.Response(text=text, content_type="application/json")


def random_bars(seed: int, begin: int, count: int, seconds: int, gaps: Sequence[tuple[int, int]] = ()) -> list[Bar]:
    """Return a random walk with exact numbers.

    Args:
        seed: of the walk.
        begin: unix time of the first bar.
        count: number of bars, those in the gaps counted.
        seconds: length of a bar.
        gaps: first and last number of the bars that the exchange does not have.
    """
    draws = random.Random(seed)
    missing = {number for first, last in gaps for number in range(first, last + 1)}
    price, bars = Decimal("110485.85"), []
    for number in range(count):
        opened, price = price, price + Decimal(draws.randint(-5000, 5000)).scaleb(-2)
        high = max(opened, price) + Decimal(draws.randint(0, 500)).scaleb(-2)
        low = min(opened, price) - Decimal(draws.randint(0, 500)).scaleb(-2)
        amount = Decimal(draws.randint(0, 10**9)).scaleb(-8)
        if number not in missing:
            numbers = [format(one, "f") for one in (opened, high, low, price, amount)]
            bars.append(Bar(begin + number * seconds, *numbers))
    return bars
