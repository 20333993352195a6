"""The streamed trades of the symbols that are watched closely, because orders rest there."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from domain.types import Clock, Instant, Symbol
from market.exchange.exchange_clock import time_of
from market.exchange.venue import CACHE_POLL_S, Venue

Trade = Mapping[str, Any]
SNAPSHOT_TIMEOUT = timedelta(seconds=10)
"""Trades of the past arrive within this time after a subscription; later the times of trades do not matter."""


@dataclass
class _Watched:
    """A watched symbol.

    Attributes:
        begin: when it was first watched, in whole milliseconds, as ccxt's times of trades are.
        last: the last trade in ccxt's cache that was returned or left out.
        wait: ends with the next trade; ccxt subscribes with the first one.
    """

    begin: Instant
    last: Trade | None
    wait: asyncio.Future[None]


class TradeStream:
    """Returns each new trade once, and those of a symbol in the order in which they arrived.

    Many exchanges answer a subscription with their last trades. What was traded before the subscription is left out, by
    the exchange's times: it must not fill an order that came later. The same holds after a broken connection.

    Args:
        venue: the exchange.
        clock: gives the moment of a subscription.
    """

    def __init__(self, venue: Venue, clock: Clock) -> None:
        self._venue = venue
        self._clock = clock
        self._watched: dict[Symbol, _Watched] = {}

    async def next_trades(self, symbols: Collection[Symbol]) -> list[Trade]:
        """Wait for the next trades of ``symbols``, and of no others; without symbols, return none.

        A call that is cancelled loses nothing: the next one returns what arrived meanwhile.
        """
        await self._follow(symbols)
        try:
            while self._watched and not (new := self._new()):
                waits = [watched.wait for watched in self._watched.values()]
                await asyncio.wait(waits, timeout=CACHE_POLL_S, return_when=asyncio.FIRST_COMPLETED)
                for symbol, watched in self._watched.items():
                    if watched.wait.done():
                        watched.wait.result()
                        watched.wait = asyncio.ensure_future(self._venue.next_trade(symbol))
        except Exception:
            await self.close()
            raise
        return new if self._watched else []

    async def close(self) -> None:
        """Wait for no trade any more; the next call subscribes anew."""
        await self._drop(list(self._watched))

    async def _follow(self, symbols: Collection[Symbol]) -> None:
        dropped = [symbol for symbol in self._watched if symbol not in symbols]
        if dropped:
            await self._drop(dropped)
            await self._venue.unwatch_trades(dropped)
        for symbol in symbols:
            if symbol not in self._watched:
                cached = self._venue.trades(symbol)
                last = cached[-1] if len(cached) else None
                wait = asyncio.ensure_future(self._venue.next_trade(symbol))
                self._watched[symbol] = _Watched(self._now(), last, wait)

    async def _drop(self, symbols: Collection[Symbol]) -> None:
        waits = [self._watched.pop(symbol).wait for symbol in symbols]
        for wait in waits:
            wait.cancel()
        await asyncio.gather(*waits, return_exceptions=True)

    def _new(self) -> list[Trade]:
        return [trade for symbol, watched in self._watched.items() for trade in self._new_of(symbol, watched)]

    def _new_of(self, symbol: Symbol, watched: _Watched) -> list[Trade]:
        cached = self._venue.trades(symbol)
        now = self._now()
        new: list[Trade] = []
        for trade in reversed(cached):
            if trade is watched.last:
                break
            new.append(trade)
        else:
            if watched.last is not None and new:  # ccxt began a new cache, which may begin with trades of the past
                watched.begin = now
        if new:
            watched.last = new[0]
        new.reverse()
        if now.since(watched.begin) > SNAPSHOT_TIMEOUT:
            return new
        return [trade for trade in new if (time_of(trade.get("timestamp")) or now.time) >= watched.begin.time]

    def _now(self) -> Instant:
        now = Instant.of(self._clock)
        return now._replace(time=now.time.replace(microsecond=now.time.microsecond // 1000 * 1000))
