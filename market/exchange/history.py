"""What an exchange's market did while nobody watched it: its trades, or its bars of a minute."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias

from loguru import logger

from domain.log_once import LogOnce
from domain.trading.quotes import Bar, History, Quote
from domain.types import Instant, Symbol
from market.base import STOP_TIMEOUT_S
from market.exchange.market_list import MarketListCheck
from market.exchange.parsing import positive, volume
from market.exchange.retry import Retrier, Timing, describe_error, is_interrupted
from market.exchange.venue import Venue

LOOK_BACK = timedelta(minutes=10)
"""The exchange is asked from so long before the time that counts: data of before show that its answer reaches back."""
MAX_TRADES = 20_000
"""More trades than this are not fetched; bars take their place."""
TRADES_SHARE = 0.6
"""The share of the time limit after which bars take the place of trades."""
MINUTE = timedelta(minutes=1)
WINDOW = timedelta(hours=1)
"""Some exchanges answer with no more than this time: a page without anything new need not be the last one."""
Page: TypeAlias = Sequence[Any]
Fetch: TypeAlias = Callable[[Symbol, datetime], Awaitable[Page]]


class _DoesNotReachBack(Exception):
    """The exchange tells nothing of the begin of the time that counts."""


class HistoryVenue(Venue):
    """An exchange that is asked for its past, on a loop of its own.

    Args:
        exchange_id: as ccxt spells it.
        options: further options of ccxt's exchange.
        timeout: for one answer, in seconds.
    """

    def __init__(self, exchange_id: str, options: Mapping[str, Any], timeout: float) -> None:
        super().__init__(exchange_id, options, timeout, MarketListCheck((), 0))
        self.has_trades = bool(self._ccxt.has.get("fetchTrades"))
        self.has_bars = bool(self._ccxt.has.get("fetchOHLCV"))

    async def past_trades(self, symbol: Symbol, since: datetime) -> Page:
        """Return a page of trades since a time, the oldest first."""
        answer: Page = await self._ccxt.fetch_trades(symbol, _milliseconds(since))
        return sorted(answer, key=lambda trade: trade["timestamp"])

    async def past_bars(self, symbol: Symbol, since: datetime) -> Page:
        """Return a page of bars of a minute since a time, the oldest first."""
        answer: Page = await self._ccxt.fetch_ohlcv(symbol, "1m", _milliseconds(since))
        return sorted(answer, key=lambda bar: bar[0])


class HistoryReader:
    """Asks an exchange for the past of one symbol after the other.

    Args:
        exchange_id: as ccxt spells it.
        options: further options of ccxt's exchange.
        timing: intervals and time limits.
    """

    def __init__(self, exchange_id: str, options: Mapping[str, Any], timing: Timing) -> None:
        self._name = exchange_id
        self._options = options
        self._timing = timing
        self._log = LogOnce.to(logger)

    def read(self, symbol: Symbol, since: datetime, until: datetime, timeout: float) -> History:
        """Return what the market did; see `domain.trading.quotes.HistorySource`."""
        return asyncio.run(self._read(symbol, since, until, timeout))

    async def _read(self, symbol: Symbol, since: datetime, until: datetime, timeout: float) -> History:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout
        venue = HistoryVenue(self._name, self._options, self._timing.request_timeout)
        request = _Request(venue, symbol, since, until, self._retrier(venue))
        reasons = []
        try:
            await asyncio.wait_for(request.retrier.call(venue.instruments), timeout)
            left = deadline - loop.time()
            for read, seconds in ((request.trades, left * TRADES_SHARE), (request.bars, left)):
                try:
                    history = await asyncio.wait_for(read(), min(seconds, deadline - loop.time()))
                except TimeoutError:
                    history = History(unknown="it did not answer in time")
                except Exception as error:  # noqa: BLE001 - bars may work where trades do not
                    history = History(unknown=describe_error(error))
                if history.unknown is None:
                    return history
                reasons.append(history.unknown)
        except TimeoutError:
            reasons.append("it did not answer in time")
        finally:
            with suppress(Exception):
                await asyncio.wait_for(venue.close(), STOP_TIMEOUT_S / 2)
        return History(unknown=f"{self._name}: {'; '.join(dict.fromkeys(reasons))}")

    def _retrier(self, venue: Venue) -> Retrier:
        messages = f"Cannot get the past of {self._name} ({{reason}}); retrying", f"Got the past of {self._name}"
        return Retrier(venue, self._timing, self._log, *messages)


class _Request:
    """A request for the past of one symbol."""

    def __init__(self, venue: HistoryVenue, symbol: Symbol, since: datetime, until: datetime, retrier: Retrier) -> None:
        self.retrier = retrier
        self._venue = venue
        self._symbol = symbol
        self._since = since
        self._until = until

    async def trades(self) -> History:
        """Return the trades, if the exchange tells them from far enough back."""
        if not self._venue.has_trades:
            return History(unknown="it tells no trades")
        fetched: dict[object, Quote] = {}
        try:
            async for page in self._pages(self._venue.past_trades, lambda trade: trade["timestamp"]):
                fetched |= {_identity(trade): quote for trade in page if (quote := self._quote(trade)) is not None}
                if len(fetched) > MAX_TRADES:
                    return History(unknown=f"there were over {MAX_TRADES} trades")
        except _DoesNotReachBack:
            return History(unknown="its trades do not reach back")
        trades = [trade for trade in fetched.values() if self._since < trade.price_time <= self._until]
        trades.sort(key=lambda trade: trade.price_time)
        return History(tuple(trades))

    async def bars(self) -> History:
        """Return the bars of a minute, if the exchange tells them from far enough back."""
        if not self._venue.has_bars:
            return History(unknown="it tells no bars of a minute")
        fetched: dict[datetime, Bar] = {}
        try:
            async for page in self._pages(self._venue.past_bars, lambda row: row[0]):
                fetched |= {bar.begin: bar for row in page if (bar := self._bar(row)) is not None}
        except _DoesNotReachBack:
            return History(unknown="its bars do not reach back")
        # The bar of the present minute is not over: what it shows is seen by this process, or is in none.
        bars = [bar for bar in fetched.values() if self._since < bar.end <= self._until + MINUTE]
        return History(tuple(self._whole(bars)))

    async def _pages(self, fetch: Fetch, milliseconds_of: Callable[[Any], int]) -> AsyncIterator[Page]:
        """Yield page after page up to the end of the time that counts; the same trade or bar may be in two of them.

        Raises:
            _DoesNotReachBack: the first page does not begin before the time that counts.
        """
        begin, is_first = self._since - LOOK_BACK, True
        while begin <= self._until:
            page = await self._page(fetch, begin)
            if is_first and (not page or _time(milliseconds_of(page[0])) > self._since):
                raise _DoesNotReachBack
            yield page
            last = _time(milliseconds_of(page[-1])) if page else begin
            begin, is_first = (last if last > begin else begin + WINDOW), False

    def _whole(self, bars: Iterable[Bar]) -> Iterable[Bar]:
        """Yield the bars in their order; the last one ends at the time of the request if it is not over by then."""
        for bar in sorted(bars, key=lambda one: one.begin):
            if bar.end <= self._until:
                yield bar
            elif bar.begin < self._until:
                yield self._ended(bar)

    def _ended(self, bar: Bar) -> Bar:
        return Bar(
            symbol=bar.symbol, open=bar.open, high=bar.high, low=bar.low, close=bar.close, begin=bar.begin,
            end=self._until, seen=Instant(self._until, 0.0), source=bar.source, real=True, volume=bar.volume,
            recovered=True,
        )  # fmt: skip

    async def _page(self, fetch: Fetch, since: datetime) -> Page:
        """Request a page until the exchange answers; an answer that is an error of the request is raised at once."""

        async def request() -> Page | Exception:
            try:
                return await fetch(self._symbol, since)
            except Exception as error:
                if is_interrupted(error):
                    raise
                return error

        answer = await self.retrier.call(request)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _quote(self, trade: Mapping[str, Any]) -> Quote | None:
        price, time = positive(trade.get("price")), _time(trade["timestamp"])
        if price is None:
            return None
        return Quote(
            self._symbol, price, time, Instant(time, 0.0), self._venue.name, real=True, is_trade=True,
            last_size=positive(trade.get("amount")), recovered=True,
        )  # fmt: skip

    def _bar(self, row: Sequence[Any]) -> Bar | None:
        opened, high, low, close = map(positive, row[1:5])
        if opened is None or high is None or low is None or close is None:
            return None
        begin = _time(row[0])
        end = begin + MINUTE
        return Bar(
            symbol=self._symbol, open=opened, high=max(high, opened, close), low=min(low, opened, close), close=close,
            begin=begin, end=end, seen=Instant(end, 0.0), source=self._venue.name, real=True,
            volume=volume(row[5]), recovered=True,
        )  # fmt: skip


def _identity(trade: Mapping[str, Any]) -> object:
    """Return what tells a trade from another; without an id, two that are alike in all are one."""
    return trade.get("id") or (trade["timestamp"], trade.get("price"), trade.get("amount"), trade.get("side"))


def _milliseconds(time: datetime) -> int:
    return int(time.timestamp() * 1000)


def _time(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)
