"""A simulated market: prices by geometric Brownian motion, reproducible by a seed."""

from __future__ import annotations

import hashlib
import math
import random
import re
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from domain.errors import SettingsError
from domain.trading.arithmetic import (
    CONTEXT,
    ONE,
    QUANTITY_STEP,
    ZERO,
    add,
    ceil_to,
    divide,
    floor_to,
    multiply,
    round_to,
    subtract,
)
from domain.trading.instruments import Instrument, InstrumentCatalog, Unresolved
from domain.trading.quotes import History, PriceListener, Quote
from domain.types import Clock, Instant, Symbol
from market.base import MonotonicTimer, ThreadedSource
from market.registry import SourceOptions

SECONDS_PER_YEAR = 365 * 24 * 3600
"""Crypto trades every second of the year."""
MAX_LATE_TICKS = 100
"""Missed ticks, after a suspension of the machine for example; more are skipped instead of sent in a burst."""
MAX_PRICE = Decimal("1e18")
MAX_ANNUAL_RATE = 1e6
"""Largest annual volatility and drift, as fractions."""
_MAX_LOG_RETURN = 50.0  # e⁵⁰ leads from any price to either bound; more would overflow


@dataclass(frozen=True, slots=True)
class SimulatedInstrument:
    """An instrument and the parameters of its price's motion.

    Attributes:
        price: the first price.
        volatility: standard deviation of a year's log return, a fraction: 0.6 is 60 %.
        drift: expected growth in a year, a fraction.
        spread: the distance of ask and bid, a fraction of the price; 0 means that there is neither.
    """

    instrument: Instrument
    price: Decimal
    volatility: float = 0.6
    drift: float = 0.0
    spread: Decimal = ZERO

    def __post_init__(self) -> None:
        if not (self.price.is_finite() and ZERO < self.price <= MAX_PRICE):
            msg = f"price of {self.instrument.symbol} = {self.price}: must be above 0 and at most {MAX_PRICE}"
            raise ValueError(msg)
        if not (0 <= self.volatility <= MAX_ANNUAL_RATE and abs(self.drift) <= MAX_ANNUAL_RATE):
            raise ValueError(f"volatility {self.volatility}, drift {self.drift}: must be between 0, or −1e6, and 1e6")
        if self.spread.is_nan() or not ZERO <= self.spread <= ONE:
            raise ValueError(f"spread = {self.spread}: must be between 0 and 1")

    def bid_and_ask(self, price: Decimal) -> tuple[Decimal | None, Decimal | None]:
        """Return bid and ask around ``price``: multiples of the tick, at least one tick apart and above 0.

        The bid is rounded down and the ask up: no order gets a price that is better than `spread` allows.
        """
        if self.spread == ZERO:
            return None, None
        half, tick = divide(self.spread, Decimal(2)), self.instrument.tick
        bid = max(floor_to(multiply(price, subtract(ONE, half)), tick), tick)
        ask = ceil_to(multiply(price, add(ONE, half)), tick)
        return bid, max(ask, add(bid, tick))


def _demo_instrument(symbol: str, price: str, tick: str, step: Decimal, volatility: float) -> SimulatedInstrument:
    instrument = Instrument(Symbol(symbol), symbol.partition("/")[2], Decimal(tick), step)
    return SimulatedInstrument(instrument, Decimal(price), volatility)


DEMO_INSTRUMENTS = (
    _demo_instrument("BTC/USDT", "110485.85", "0.01", QUANTITY_STEP, 0.5),
    _demo_instrument("ETH/USDT", "3950", "0.01", QUANTITY_STEP, 0.7),
    _demo_instrument("SOL/USDT", "190", "0.01", Decimal("0.0001"), 0.9),
    _demo_instrument("XRP/USDT", "2.45", "0.0001", Decimal("0.01"), 0.9),
    _demo_instrument("DOGE/USDT", "0.195", "0.00001", Decimal("0.01"), 1.0),
)
"""The five markets of the demo and of the setting ``symbols`` by default."""
_DEMO_CATALOG = InstrumentCatalog(simulated.instrument for simulated in DEMO_INSTRUMENTS)
_DEMO_BY_SYMBOL = {simulated.instrument.symbol: simulated for simulated in DEMO_INSTRUMENTS}
_PAIR = re.compile(r"[A-Z0-9]{1,40}/[A-Z0-9]{1,40}")


def simulated_instruments(symbols: Sequence[str] | None) -> tuple[SimulatedInstrument, ...]:
    """Return the instruments that the simulated market trades under the names in the setting ``symbols``.

    Any name of the form BASE/QUOTE is possible. One that is not among `DEMO_INSTRUMENTS` begins at a price between 1
    and 1 000 that depends on a hash of its name. Case does not matter, and the demo's instruments are found in other
    usual spellings too.

    Args:
        symbols: None means `DEMO_INSTRUMENTS`.

    Raises:
        SettingsError: a name is malformed, or there is none.
    """
    if symbols is None:
        return DEMO_INSTRUMENTS
    if not symbols:
        raise SettingsError("symbols = []: must name at least one market such as BTC/USDT")
    instruments = (_simulated_instrument(name) for name in symbols)
    return tuple({simulated.instrument.symbol: simulated for simulated in instruments}.values())


def _simulated_instrument(typed: str) -> SimulatedInstrument:
    name = typed.strip().upper()
    if not _PAIR.fullmatch(name):
        instrument = _DEMO_CATALOG.resolve(name)
        if isinstance(instrument, Unresolved):
            msg = f"symbols = {typed!r}: a simulated market has a name of the form BASE/QUOTE, such as BTC/USDT"
            raise SettingsError(msg)
        return _DEMO_BY_SYMBOL[instrument.symbol]
    demo = _DEMO_BY_SYMBOL.get(Symbol(name))
    if demo is not None:
        return demo
    number = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8])
    price = divide(Decimal(100 + number % 99_901), Decimal(100))
    return SimulatedInstrument(Instrument(Symbol(name), name.partition("/")[2], tick=Decimal("0.01")), price)


def prices(simulated: SimulatedInstrument, seed: int, step: float) -> Iterator[Decimal]:
    """Yield an endless path of prices, each a positive multiple of the tick, from the instrument's first price on.

    Geometric Brownian motion by its exact solution, S(t+Δ) = S(t) · exp((μ − σ²/2) Δ + σ √Δ Z) with Z standard normal
    (P. Glasserman, Monte Carlo Methods in Financial Engineering, 2003, section 3.2.1), so the step may have any size.
    The motion itself is not rounded, otherwise steps below half a tick would never move the price. It stays between
    one tick and `MAX_PRICE`.

    Args:
        simulated: the instrument and the parameters of the motion.
        seed: the same seed and symbol give the same path, whichever other symbols there are.
        step: seconds of market time between two prices.
    """
    instrument = simulated.instrument
    generator = random.Random(f"{seed}:{instrument.symbol}")  # nosec B311  # noqa: S311 - reproducible on purpose, not a secret
    years = step / SECONDS_PER_YEAR
    shift = (simulated.drift - simulated.volatility * simulated.volatility / 2) * years
    spread = simulated.volatility * math.sqrt(years)
    tick = instrument.tick
    price = max(simulated.price, tick)
    while True:
        yield round_to(price, tick)
        # The random return is a ratio and may be a float; the price is a Decimal throughout.
        log_return = shift + spread * generator.gauss(0.0, 1.0)
        growth = math.exp(min(max(log_return, -_MAX_LOG_RETURN), _MAX_LOG_RETURN))
        price = min(max(multiply(price, CONTEXT.create_decimal_from_float(growth)), tick), MAX_PRICE)


class SimulatedMarket(ThreadedSource):
    """Random prices that are the same with the same seed: of all symbols at its start, and then at each interval.

    >>> market = SimulatedMarket(simulated_instruments(None), seed=1, interval=0.1, clock=clock)  # doctest: +SKIP
    >>> market.start(listener)  # doctest: +SKIP

    Args:
        instruments: see `simulated_instruments`.
        seed: determines every path.
        interval: seconds between two prices of a symbol.
        clock: gives the quotes' times.
        speed: seconds of market time per second; with 60 the prices move in a second as far as usual in a minute.
        timer: for tests.
    """

    name = "simulated"

    def __init__(
        self,
        instruments: Sequence[SimulatedInstrument],
        seed: int,
        interval: float,
        clock: Clock,
        speed: float = 1.0,
        timer: MonotonicTimer | None = None,
    ) -> None:
        super().__init__(InstrumentCatalog(simulated.instrument for simulated in instruments), clock, timer)
        if not len(self.catalog) or not 0 < interval < math.inf:
            raise ValueError(f"interval = {interval}, {len(self.catalog)} instruments: both must be above 0")
        if not 0 <= speed < math.inf:
            raise ValueError(f"speed = {speed}: must be a number that is not negative")
        self._interval = interval
        self._instruments = {simulated.instrument.symbol: simulated for simulated in instruments}
        self._paths = [
            (simulated.instrument.symbol, prices(simulated, seed, interval * speed)) for simulated in instruments
        ]

    def _next_prices(self) -> Iterable[tuple[Symbol, Decimal]]:
        """Return the price of each symbol at the next tick."""
        # A skipped tick takes no price from its path: the order of the prices depends on the seed alone.
        return [(symbol, next(path)) for symbol, path in self._paths]

    def _quote(self, symbol: Symbol, price: Decimal, now: Instant) -> Quote:
        bid, ask = self._instruments[symbol].bid_and_ask(price)
        return Quote(symbol, price, now.time, now, self.name, bid, ask, real=self.real)

    def history(self, symbol: Symbol, since: datetime, until: datetime, timeout: float) -> History:  # noqa: ARG002
        """Return that it is not known what happened: the market begins anew with each process."""
        return History(unknown="a simulated market begins anew")

    def _play(self, listener: PriceListener, stopped: threading.Event) -> str:
        timer, interval = self._timer, self._interval
        due = timer.seconds()
        while not stopped.is_set():
            now = Instant.of(self._clock)
            listener.quotes_seen(tuple([self._quote(symbol, price, now) for symbol, price in self._next_prices()]))
            # Counted from the tick that was due, not from now, so that delays do not add up.
            due += interval
            present = timer.seconds()
            if present - due > MAX_LATE_TICKS * interval:
                due = present
            timer.wait(stopped, due - present)
        return f"the price source {self.name!r} was stopped"


def from_options(options: SourceOptions) -> SimulatedMarket:
    """Return the market of the setting ``symbols``; see `market.registry`."""
    if math.isinf(options.price_speed):
        raise SettingsError("price_speed = max is for recorded prices; a simulated market needs a number, such as 60")
    instruments = simulated_instruments(options.symbols)
    return SimulatedMarket(
        [replace(simulated, spread=options.price_spread) for simulated in instruments],
        options.seed,
        options.price_interval,
        options.clock,
        speed=options.price_speed,
    )
