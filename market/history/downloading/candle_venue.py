"""An exchange that is asked for its past bars, and for its clock. Numbers keep every digit that was sent."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from contextvars import ContextVar
from typing import Any

from domain.trading.freshness.age import ClockKind
from domain.types import Symbol
from market.exchange.exchange_clock import ClockReading
from market.exchange.market_list import MarketListCheck
from market.exchange.venue import Venue
from market.history.downloading.grid import time_of
from market.history.timeframe import Timeframe

DEFAULT_PAGE_BARS = 100
"""Bars that one answer may hold, of an exchange of which ccxt does not know it."""
_READS_CANDLES = ContextVar("reads_candles", default=False)
"""Whether this task reads bars: ccxt would turn JSON's numbers into floats."""


class CandleVenue(Venue):
    """An exchange and its past bars; made and used on one asyncio loop.

    Args:
        exchange_id: as ccxt spells it.
        options: further options of ccxt's exchange.
        timeout: for one answer, in seconds.

    Attributes:
        has_candles: whether the exchange itself has bars; ccxt can make some of trades, which are not its own.
    """

    def __init__(self, exchange_id: str, options: Mapping[str, Any], timeout: float) -> None:
        super().__init__(exchange_id, options, timeout, MarketListCheck((), 0))
        self.has_candles = self._ccxt.has.get("fetchOHLCV") is True
        self._read_json, self._ccxt.on_json_response = self._ccxt.on_json_response, self._exact_json

    @property
    def timeframes(self) -> Mapping[Timeframe, str]:
        """The timeframes that the exchange has, each with ccxt's spelling."""
        spellings: dict[Timeframe, str] = {}
        for spelling in self._ccxt.timeframes or ():
            with suppress(ValueError):
                spellings.setdefault(Timeframe.parse(spelling), spelling)
        return spellings

    @property
    def symbols(self) -> Sequence[Symbol]:
        """The symbols of the last list of markets."""
        return [Symbol(symbol) for symbol in self._ccxt.markets or ()]

    def page_bars(self, symbol: Symbol) -> int:
        """Return the number of bars that one answer can hold."""
        limit = self._ccxt.feature_value(symbol, "fetchOHLCV", "limit")
        return limit if isinstance(limit, int) and limit > 0 else DEFAULT_PAGE_BARS

    async def candles(
        self, symbol: Symbol, timeframe: str, since: int | None, *, limit: int | None = None, until: int | None = None
    ) -> Sequence[Sequence[Any]]:
        """Request a page of bars.

        Args:
            symbol: of the market.
            timeframe: in ccxt's spelling.
            since: begin of the first bar, in milliseconds since 1970; None: the newest bars.
            limit: number of bars; None: as many as ccxt asks for by itself.
            until: begin of the last bar; None: no such limit.

        Returns:
            Rows of begin, open, high, low, close and volume; the numbers are text, exactly as they were sent.
        """
        reads = _READS_CANDLES.set(True)
        try:
            answer = await self._ccxt.fetch_ohlcv(
                symbol, timeframe, since, limit, {} if until is None else {"until": until}
            )
        finally:
            _READS_CANDLES.reset(reads)
        return answer or ()

    async def time(self) -> ClockReading:
        """Return the exchange's time: by its own clock, else by the last answer's ``Date``, else by this machine's."""
        own = ClockReading(time_of(self._ccxt.milliseconds()), ClockKind.OWN)
        return await self.read_clock() or own

    def _exact_json(self, body: str) -> Any:
        """Replace ccxt's own method while bars are read; it would make 0.1 of 0.1000000000000000055."""
        return json.loads(body, parse_float=str) if _READS_CANDLES.get() else self._read_json(body)
