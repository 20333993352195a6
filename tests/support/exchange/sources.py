"""Real price sources on an exchange that a test runs, and a listener that records what they deliver."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from actors.runtime.timer import SystemClock
from domain.trading.instruments import InstrumentCatalog
from domain.trading.quotes import Quote
from domain.types import Symbol
from market.exchange.ccxt_source import ExchangePrices
from market.exchange.provenance import Access
from market.exchange.retry import Timing
from tests.support.exchange.server import ExchangeServer
from tests.support.slow_cases import slow_after_first

BTC, ETH, SOL = Symbol("BTC/USDT"), Symbol("ETH/USDT"), Symbol("SOL/USDT")
_RETRIES = {"first_retry": 0.05, "max_retry": 0.2, "max_list_retry": 0.2}
QUICK = Timing(
    poll_interval=0.1, refresh_interval=0.3, stream_silence=1.0, list_interval=0.5, request_timeout=30, **_RETRIES
)
RARE = Timing(
    poll_interval=60, refresh_interval=60, stream_silence=60, list_interval=60, request_timeout=30, **_RETRIES
)
"""Prices are requested only for a decision."""
HANG_TIMEOUT_S = 0.5
"""The request timeout of tests whose server hangs. On a busy machine other requests exceed it too."""
BOTH = pytest.mark.parametrize("exchange", ["kraken", "bitstamp"])
KRAKEN_ALWAYS = pytest.mark.parametrize("exchange", slow_after_first(["kraken", "bitstamp"]))
"""`make test` leaves out bitstamp."""


class Recorder:
    """A `PriceListener` that records every call."""

    def __init__(self) -> None:
        self.catalogs: list[InstrumentCatalog] = []
        self.quotes: list[Quote] = []
        self.ended: list[str] = []
        self.times: list[float] = []
        self._changed = threading.Condition()

    def instruments_loaded(self, catalog: InstrumentCatalog) -> None:
        with self._changed:
            self.catalogs.append(catalog)
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

    def wait(self, condition: Callable[[], bool], seconds: float = 10.0) -> None:
        with self._changed:
            assert self._changed.wait_for(condition, seconds), (self.quotes[-3:], self.catalogs, self.ended)

    def prices(self, symbol: Symbol) -> list[str]:
        return [str(quote.price) for quote in self.quotes if quote.symbol == symbol]

    def price(self, symbol: Symbol, price: str, seconds: float = 10.0) -> Quote:
        """Wait until a price arrives from now on; return its quote."""
        begin = len(self.quotes)

        def matches() -> list[Quote]:
            return [quote for quote in self.quotes[begin:] if (quote.symbol, quote.price) == (symbol, Decimal(price))]

        self.wait(lambda: bool(matches()), seconds)
        return matches()[-1]


def trusted(options: Mapping[str, Any]) -> Access:
    """Return the access to an exchange on this machine, whose prices count as real."""
    return Access(options, frozenset({"127.0.0.1"}))


class SourceFactory:
    """Makes price sources and starts them; `close` stops them."""

    def __init__(self, server: ExchangeServer) -> None:
        self._server = server
        self._sources: list[ExchangePrices] = []

    def __call__(
        self, exchange: str, *symbols: str, timing: Timing = QUICK, cache: Path | None = None, **options: Any
    ) -> tuple[ExchangePrices, Recorder]:
        exchange_options = getattr(self._server, exchange) | options
        source = ExchangePrices(
            exchange, SystemClock(), cache=cache, symbols=symbols, access=trusted(exchange_options), timing=timing
        )
        recorder = Recorder()
        self._sources.append(source)
        source.start(recorder)
        return source, recorder

    def close(self) -> None:
        for source in self._sources:
            source.stop()
