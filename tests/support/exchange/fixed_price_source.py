"""A price source whose prices change only when a test changes them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal

from domain.trading.instruments import Instrument, Unresolved
from domain.types import Clock, Symbol
from market.base import MonotonicTimer
from market.simulated import SimulatedInstrument, SimulatedMarket, simulated_instruments


class FixedPriceSource(SimulatedMarket):
    """Fixed prices, confirmed every ``interval`` seconds: each quote has a new ``seen_at``.

    Args:
        prices: by symbol.
        clock: gives the quotes' times.
        interval: seconds.
        instruments: what can be traded, one without a price included; by default `simulated_instruments` of ``prices``.
        timer: for tests of the intervals.
    """

    def __init__(
        self,
        prices: Mapping[str, Decimal | str],
        clock: Clock,
        interval: float,
        instruments: Iterable[Instrument] | None = None,
        timer: MonotonicTimer | None = None,
    ) -> None:
        simulated = (
            simulated_instruments(list(prices))
            if instruments is None
            else [SimulatedInstrument(instrument, Decimal(1)) for instrument in instruments]
        )
        super().__init__(simulated, 0, interval, clock, timer=timer)
        self._prices: dict[Symbol, Decimal] = {}
        for symbol, price in prices.items():
            self.set_price(symbol, price)

    def set_price(self, symbol: str, price: Decimal | str) -> None:
        """Set the symbol's price from the next interval on.

        Raises:
            ValueError: the symbol is unknown, or the price not above 0.
        """
        instrument = self.catalog.resolve(symbol)
        if isinstance(instrument, Unresolved):
            raise ValueError(instrument.reason)
        exact = Decimal(price)
        if not (exact.is_finite() and exact > 0):
            msg = f"price of {instrument.symbol} = {exact}: must be above 0"
            raise ValueError(msg)
        # A new mapping each time: the thread reads the old one to its end.
        self._prices = {**self._prices, instrument.symbol: exact}

    def _next_prices(self) -> Iterable[tuple[Symbol, Decimal]]:
        return self._prices.items()
