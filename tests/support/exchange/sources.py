"""Real sources of prices on an exchange that a test runs, and what they say."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from actors.runtime.timer import SystemClock
from domain.trading.instruments import InstrumentCatalog
from domain.trading.quotes import Quote
from domain.types import Symbol
from market.exchange.ccxt_source import ExchangePrices
from market.exchange.retry import Pace
from tests.support.exchange.server import ExchangeServer

BTC, ETH, SOL = Symbol("BTC/USDT"), Symbol("ETH/USDT"), Symbol("SOL/USDT")
_RETRIES = {"first_retry": 0.05, "longest_retry": 0.2, "longest_list_retry": 0.2}
QUICK = Pace(poll=0.1, refresh=0.3, quiet=1.0, books=0.5, timeout=0.5, **_RETRIES)
RARE = Pace(poll=60, refresh=60, quiet=60, books=60, timeout=0.5, **_RETRIES)
"""Nothing is asked for unless a decision wants it."""
BOTH = pytest.mark.parametrize("exchange", ["kraken", "bitstamp"])


class Heard:
    """What a source says."""

    def __init__(self) -> None:
        self.books: list[InstrumentCatalog] = []
        self.quotes: list[Quote] = []
        self.ended: list[str] = []
        self.times: list[float] = []
        self._changed = threading.Condition()

    def instruments_loaded(self, book: InstrumentCatalog) -> None:
        with self._changed:
            self.books.append(book)
            self._changed.notify_all()

    def quotes_seen(self, quotes: Sequence[Quote]) -> None:
        with self._changed:
            self.quotes.extend(quotes)
            self.times.append(time.monotonic())
            self._changed.notify_all()

    def source_ended(self, reason: str) -> None:
        with self._changed:
            self.ended.append(reason)
            self._changed.notify_all()

    def wait(self, true: Callable[[], bool], seconds: float = 10.0) -> None:
        with self._changed:
            assert self._changed.wait_for(true, seconds), (self.quotes[-3:], self.books, self.ended)

    def prices(self, symbol: Symbol) -> list[str]:
        return [str(quote.price) for quote in self.quotes if quote.symbol == symbol]

    def price(self, symbol: Symbol, price: str, seconds: float = 10.0) -> Quote:
        """Wait until a price was heard from now on; return its quote."""
        begin = len(self.quotes)

        def found() -> list[Quote]:
            return [q for q in self.quotes[begin:] if q.symbol == symbol and q.price == Decimal(price)]

        self.wait(lambda: bool(found()), seconds)
        return found()[-1]


class Opened:
    """Makes sources, and stops them in the end."""

    def __init__(self, server: ExchangeServer) -> None:
        self._server = server
        self._sources: list[ExchangePrices] = []

    def __call__(
        self, exchange: str, *symbols: str, pace: Pace = QUICK, cache: Path | None = None, **options: Any
    ) -> tuple[ExchangePrices, Heard]:
        made_with = getattr(self._server, exchange) | options
        source = ExchangePrices(exchange, SystemClock(), cache=cache, symbols=symbols, options=made_with, pace=pace)
        heard = Heard()
        self._sources.append(source)
        source.start(heard)
        return source, heard

    def close(self) -> None:
        for source in self._sources:
            source.stop()
