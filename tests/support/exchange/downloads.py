"""Downloads of a test from the local exchange, in this process."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from domain.types import Symbol
from market.exchange.retry import Timing
from market.history.download import Downloaded, Downloader, DownloadRequest
from market.history.store import HistoryStore, SeriesKey
from market.history.timeframe import Timeframe
from tests.support.exchange.server import ExchangeServer

BTC = Symbol("BTC/USDT")
QUICK = Timing(request_timeout=30, first_retry=0.01, max_retry=0.02)


class RecordedProgress:
    """The calls that a download made."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []

    def begins(self, symbol: Symbol, bars: int, present: int) -> None:
        self.calls.append(("begins", symbol, bars, present))

    def advances(self, symbol: Symbol, present: int) -> None:
        self.calls.append(("advances", symbol, present))

    def ends(self, symbol: Symbol) -> None:
        self.calls.append(("ends", symbol))


def options_of(server: ExchangeServer, exchange: str) -> dict[str, Any]:
    """Return options that lead ccxt to the local server, without pauses between requests."""
    return {**getattr(server, exchange), "rateLimit": 1}


class Downloads:
    """Downloads into one home.

    Args:
        server: the exchange.
        home: the program's folder.
        exchange: ccxt's id.
    """

    def __init__(self, server: ExchangeServer, home: Path, exchange: str = "kraken") -> None:
        self.store = HistoryStore(home)
        self.progress = RecordedProgress()
        self.options: Mapping[str, Any] = options_of(server, exchange)
        self._exchange = exchange

    def run(self, since: datetime, until: datetime | None = None, timeframe: str = "1m") -> Downloaded:
        """Download one symbol."""
        request = DownloadRequest(self._exchange, (BTC,), Timeframe.parse(timeframe), since, until)
        return Downloader(self.store, self.options, self.progress, QUICK).run(request)[0]

    def path(self, timeframe: str = "1m") -> Path:
        """Return the file of the series."""
        return self.store.path(SeriesKey(self._exchange, BTC, timeframe))

    def rows(self, timeframe: str = "1m") -> list[dict[str, Any]]:
        """Return the stored rows."""
        rows: list[dict[str, Any]] = self.store.read(SeriesKey(self._exchange, BTC, timeframe)).table.to_pylist()
        return rows
