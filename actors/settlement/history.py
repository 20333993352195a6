"""What a price source answers about a time in which no process saw the market."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import NamedTuple

from loguru import logger

from actors.settlement.messages import HistoryFetched, RequestHistory
from domain.trading.quotes import Bar, History, PriceSource
from domain.types import Symbol


class Reach(NamedTuple):
    """Up to where a request reaches.

    Attributes:
        until: the time of the request.
        data_no: the number of the last data that were received by then.
        first_no: see `HistoryFetched.first_no`.
    """

    until: datetime
    data_no: int
    first_no: int = 0


class HistoryFetch:
    """One request; it runs in a thread of its own, because the source may wait.

    Args:
        source: the price source; only some can tell what happened before they were started.
        request: of the ExecutionSimulator.
        reach: up to where.
        stored: reads the prices that the program itself has stored of a symbol in a span of time.
    """

    def __init__(
        self,
        source: PriceSource,
        request: RequestHistory,
        reach: Reach,
        stored: Callable[[Symbol, datetime, datetime], tuple[Bar, ...]],
    ) -> None:
        self._source = source
        self._request = request
        self._reach = reach
        self._stored = stored

    def run(self, reply_to: Callable[[object], None]) -> None:
        """Ask for the symbols one after the other, and send each answer as soon as it is here."""
        timeout = self._request.timeout.total_seconds()
        deadline = time.monotonic() + timeout
        for symbol in sorted(self._request.since):
            try:
                self._answer(symbol, deadline, reply_to)
            except Exception as error:  # noqa: BLE001 - without an answer orders wait, and then go on without the past
                logger.opt(exception=error).warning("what {} did during the downtime is fetched once more", symbol)
                self._answer(symbol, deadline, reply_to)

    def _answer(self, symbol: Symbol, deadline: float, reply_to: Callable[[object], None]) -> None:
        history = self._history(symbol, max(deadline - time.monotonic(), 0.0))
        if history.unknown is not None:
            history = replace(history, stored=self._read_stored(symbol))
        reply_to(HistoryFetched(self._request.generation, symbol, history, *self._reach))

    def _read_stored(self, symbol: Symbol) -> tuple[Bar, ...]:
        try:
            return self._stored(symbol, self._request.since[symbol], self._reach.until)
        except Exception as error:  # noqa: BLE001 - the marks of trailing orders stay where they are
            logger.opt(exception=error).debug("the stored prices of {} cannot be read", symbol)
            return ()

    def _history(self, symbol: Symbol, timeout: float) -> History:
        fetch = getattr(self._source, "history", None)
        if fetch is None:
            return History(unknown=f"the price source {self._source.name} cannot tell")
        try:
            history: History = fetch(symbol, self._request.since[symbol], self._reach.until, timeout)
        except Exception as error:  # noqa: BLE001 - a source of anybody; without an answer the orders would wait
            logger.opt(exception=error).debug("no history of {}", symbol)
            return History(unknown=f"the price source {self._source.name} failed: {type(error).__name__}")
        return history
