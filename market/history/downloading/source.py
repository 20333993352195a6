"""Pages of one market's bars, requested until the exchange answers with something that can be used."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from loguru import logger

from domain.errors import PaperTradingError
from domain.log_once import LogOnce
from domain.types import Symbol
from market.exchange.market_list import ImplausibleMarketList
from market.exchange.retry import Retrier, Timing, describe_error, is_interrupted
from market.history.downloading.candle_venue import CandleVenue
from market.history.downloading.grid import Grid
from market.history.downloading.pages import ContradictoryAnswer, Page, read_page

T = TypeVar("T")
OUTAGE_TIMEOUT_S = 600.0
"""An exchange that gives no usable answer for so long ends the download; the next one goes on where it stopped."""
MAX_ATTEMPTS = 3
"""Attempts at a request that the exchange refuses for another reason than an outage."""


class DownloadFailed(PaperTradingError):
    """An exchange did not give what a download needs; the message says what and why."""


@dataclass(frozen=True, slots=True)
class Series:
    """What is downloaded.

    Attributes:
        symbol: of the market.
        spelling: ccxt's spelling of the timeframe.
        grid: on which the bars begin.
        end: bars from here on are left out, in milliseconds since 1970.
    """

    symbol: Symbol
    spelling: str
    grid: Grid
    end: int


class PatientVenue:
    """An exchange that is asked again, with growing pauses and never faster than it allows, until it answers.

    Args:
        venue: the exchange.
        timing: pauses and time limits.
    """

    def __init__(self, venue: CandleVenue, timing: Timing) -> None:
        self.venue = venue
        self.requests: Counter[str] = Counter()
        failure, recovery = f"{venue.name} does not answer ({{reason}}); retrying", f"{venue.name} answers again"
        self._retrier = Retrier(venue, timing, LogOnce.to(logger), failure, recovery)

    async def call(self, operation: Callable[[], Awaitable[T]]) -> T:
        """Call ``operation`` until it succeeds; return its result.

        Raises:
            DownloadFailed: the exchange refuses it, or was away for too long.
        """
        refusals = 0
        last: Exception | None = None

        async def attempt() -> T | _Refusal:
            nonlocal refusals, last
            self.requests["requests"] += 1
            try:
                return await operation()
            except Exception as error:
                last = error
                self.requests["failed"] += 1
                if not _is_outage(error):
                    refusals += 1
                    if _is_final(error) or refusals >= MAX_ATTEMPTS:
                        return _Refusal(error)
                raise

        try:
            result = await asyncio.wait_for(self._retrier.call(attempt), OUTAGE_TIMEOUT_S)
        except TimeoutError:
            reason = f" ({describe_error(last)})" if last is not None else ""
            raise DownloadFailed(
                f"{self.venue.name} did not answer for {OUTAGE_TIMEOUT_S:g} s{reason};"
                " the same command goes on from here"
            ) from last
        if isinstance(result, _Refusal):
            raise DownloadFailed(f"{self.venue.name}: {describe_error(result.error)}") from result.error
        return result


class PageSource:
    """The pages of one series.

    Args:
        exchange: to ask.
        series: to ask for.

    Attributes:
        page_bars: number of bars that one answer can hold.
        dropped: number of rows without use, by reason.
    """

    def __init__(self, exchange: PatientVenue, series: Series) -> None:
        self.page_bars = exchange.venue.page_bars(series.symbol)
        self.dropped: Counter[str] = Counter()
        self._exchange = exchange
        self._series = series

    async def page(self, since: int) -> Page:
        """Return the bars from a moment on, as many as one answer can hold."""
        return await self._page(since, self.page_bars, None)

    async def other_page(self, since: int, until: int | None = None) -> Page:
        """Return the bars from a moment on by a request of another form: what one form leaves out, this one may have.

        Raises:
            DownloadFailed: the exchange refuses this form, or was away for too long.
        """
        return await self._page(since, None, until)

    async def newest(self) -> int | None:
        """Return the begin of the newest bar; None where the exchange tells none."""
        return (await self._page(None, None, None)).last

    async def _page(self, since: int | None, limit: int | None, until: int | None) -> Page:
        symbol, spelling = self._series.symbol, self._series.spelling

        async def request() -> Page:
            answer = await self._exchange.venue.candles(symbol, spelling, since, limit=limit, until=until)
            return read_page(answer, since or 0, self._series.grid, self._series.end)

        page = await self._exchange.call(request)
        self.dropped.update(page.dropped)
        return page


@dataclass(frozen=True, slots=True)
class _Refusal:
    error: Exception


def _is_outage(error: Exception) -> bool:
    """Return whether a later attempt may succeed, however often this one failed."""
    return is_interrupted(error) or isinstance(error, ImplausibleMarketList)


def _is_final(error: Exception) -> bool:
    """Return whether each further attempt will fail like this one."""
    from ccxt import ArgumentsRequired, AuthenticationError, BadRequest, NotSupported  # noqa: PLC0415

    if isinstance(error, ContradictoryAnswer):
        return False
    return isinstance(error, ArgumentsRequired | AuthenticationError | BadRequest | NotSupported)
