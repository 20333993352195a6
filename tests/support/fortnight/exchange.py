"""An exchange in this process: its prices change when they are set, and it can be away."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal

from domain.trading.instruments import Instrument, InstrumentCatalog
from domain.trading.quotes import History, PriceListener, Quote
from domain.types import Clock, Instant, Symbol
from market.base import ThreadedSource

CONFIRM_INTERVAL_S = 0.05
"""Seconds of real time between two quotes of the same prices."""


class LocalExchange(ThreadedSource):
    """Prices that count as real, with a bid and an ask that are equal to the last trade.

    Attributes:
        away: while it is set, no quote arrives.
    """

    name = "local"
    real = True

    def __init__(self, clock: Clock, gate: threading.RLock, prices: Mapping[str, Decimal]) -> None:
        super().__init__(InstrumentCatalog(Instrument(Symbol(symbol), "USDT") for symbol in prices), clock)
        self._gate = gate
        self._prices = dict(prices)
        self._listener: PriceListener | None = None
        self.away = threading.Event()

    def set_prices(self, prices: Mapping[str, Decimal]) -> None:
        """Change some prices, and send all of them."""
        self._prices |= prices
        self.send()

    def send(self) -> None:
        """Send a quote of each symbol, unless the exchange is away."""
        with self._gate:  # no jump of the clock makes a quote old on its way
            if self._listener is None or self.away.is_set():
                return
            now = Instant.of(self._clock)
            self._listener.quotes_seen(
                [
                    Quote(Symbol(symbol), price, now.time, now, self.name, price, price, real=True)
                    for symbol, price in self._prices.items()
                ]
            )

    def history(self, symbol: Symbol, since: datetime, until: datetime, timeout: float) -> History:
        return History(unknown="it keeps no past")

    def _play(self, listener: PriceListener, stopped: threading.Event) -> str:
        self._listener = listener
        while not stopped.is_set():
            self.send()
            stopped.wait(CONFIRM_INTERVAL_S)
        return "the exchange was stopped"
