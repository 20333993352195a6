"""What a price source answers about a time in which no process saw the market."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime

from loguru import logger

from actors.settlement.messages import HistoryFetched, RequestHistory
from domain.trading.quotes import History, PriceSource
from domain.types import Symbol


class HistoryFetch:
    """One request; it runs in a thread of its own, because the source may wait.

    Args:
        source: the price source; only some can tell what happened before they were started.
        request: of the ExecutionSimulator.
        until: the time of the request.
        data_no: the number of the last data that were received by then.
    """

    def __init__(self, source: PriceSource, request: RequestHistory, until: datetime, data_no: int) -> None:
        self._source = source
        self._request = request
        self._until = until
        self._data_no = data_no

    def run(self, reply_to: Callable[[object], None]) -> None:
        """Ask for the symbols one after the other, and send each answer as soon as it is here."""
        timeout = self._request.timeout.total_seconds()
        deadline = time.monotonic() + timeout
        for symbol in sorted(self._request.since):
            history = self._history(symbol, max(deadline - time.monotonic(), 0.0))
            reply_to(HistoryFetched(self._request.generation, symbol, history, self._until, self._data_no))

    def _history(self, symbol: Symbol, timeout: float) -> History:
        fetch = getattr(self._source, "history", None)
        if fetch is None:
            return History(unknown=f"the price source {self._source.name} cannot tell")
        try:
            history: History = fetch(symbol, self._request.since[symbol], self._until, timeout)
        except Exception as error:  # noqa: BLE001 - a source of anybody; without an answer the orders would wait
            logger.opt(exception=error).debug("no history of {}", symbol)
            return History(unknown=f"the price source {self._source.name} failed: {type(error).__name__}")
        return history
