"""A market out of a seed: prices by geometric Brownian motion, and prices that stand still."""

from __future__ import annotations

import hashlib
import math
import random
import re
import threading
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from domain.errors import SettingsError
from domain.trading.arithmetic import CONTEXT, QUANTITY_STEP, ZERO, divide, multiply, round_to
from domain.trading.instruments import Instrument, InstrumentCatalog, Unresolved
from domain.trading.quotes import PriceListener, Quote
from domain.types import Clock, Symbol
from market.base import Stopwatch, ThreadedSource

SECONDS_A_YEAR = 365 * 24 * 3600
"""Crypto trades every second of the year."""
CATCH_UP = 100
"""Late by more ticks than this (a suspended machine, say), the missed ones are skipped instead of sent in a burst."""
HIGHEST_PRICE = Decimal("1e18")
WILDEST = 1e6
"""Largest annual volatility and drift."""
_LARGEST_LOG_RETURN = 50.0  # e⁵⁰ leads from any price to either bound; more would overflow


@dataclass(frozen=True, slots=True)
class SimulatedInstrument:
    """An instrument and how its price moves.

    Attributes:
        price: where it begins.
        volatility: standard deviation of a year's log return, a fraction: 0.6 is 60 %.
        drift: expected growth of a year, a fraction.
    """

    instrument: Instrument
    price: Decimal
    volatility: float = 0.6
    drift: float = 0.0

    def __post_init__(self) -> None:
        _check_price(self.instrument.symbol, self.price)
        if not (0 <= self.volatility <= WILDEST and abs(self.drift) <= WILDEST):
            msg = f"volatility {self.volatility}, drift {self.drift}: must be between 0, or −1e6, and 1e6"
            raise ValueError(msg)


def _check_price(symbol: Symbol, price: Decimal) -> None:
    if not (price.is_finite() and ZERO < price <= HIGHEST_PRICE):
        msg = f"price of {symbol} = {price}: must be above 0 and at most {HIGHEST_PRICE}"
        raise ValueError(msg)


def _known(symbol: str, price: str, tick: str, step: Decimal, volatility: float) -> SimulatedInstrument:
    instrument = Instrument(Symbol(symbol), symbol.partition("/")[2], Decimal(tick), step)
    return SimulatedInstrument(instrument, Decimal(price), volatility)


KNOWN = (
    _known("BTC/USDT", "110485.85", "0.01", QUANTITY_STEP, 0.5),
    _known("ETH/USDT", "3950", "0.01", QUANTITY_STEP, 0.7),
    _known("SOL/USDT", "190", "0.01", Decimal("0.0001"), 0.9),
    _known("XRP/USDT", "2.45", "0.0001", Decimal("0.01"), 0.9),
    _known("DOGE/USDT", "0.195", "0.00001", Decimal("0.01"), 1.0),
)
"""The demo's five."""
_KNOWN_BOOK = InstrumentCatalog(known.instrument for known in KNOWN)
_KNOWN_BY_SYMBOL = {known.instrument.symbol: known for known in KNOWN}
_PAIR = re.compile(r"[A-Z0-9]{1,40}/[A-Z0-9]{1,40}")


def simulated_instruments(symbols: Sequence[str] | None) -> tuple[SimulatedInstrument, ...]:
    """Return what the simulated market trades under the names in the setting ``symbols``.

    Any name of the form BASE/QUOTE will do: one that is not among the known five begins at a price between 1 and 1 000
    that a hash of its name tells. Case does not matter, and the five are found in other usual spellings too.

    Args:
        symbols: None means the known five.

    Raises:
        SettingsError: a name is malformed, or there is none.
    """
    if symbols is None:
        return KNOWN
    if not symbols:
        msg = "symbols = []: must name at least one market such as BTC/USDT"
        raise SettingsError(msg)
    named = (_named(name) for name in symbols)
    return tuple({each.instrument.symbol: each for each in named}.values())


def _named(typed: str) -> SimulatedInstrument:
    name = typed.strip().upper()
    if not _PAIR.fullmatch(name):
        meant = _KNOWN_BOOK.resolve(name)
        if isinstance(meant, Unresolved):
            msg = f"symbols = {typed!r}: a simulated market has a name of the form BASE/QUOTE, such as BTC/USDT"
            raise SettingsError(msg)
        name = meant.symbol
    known = _KNOWN_BY_SYMBOL.get(Symbol(name))
    if known is not None:
        return known
    number = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8])
    price = divide(Decimal(100 + number % 99_901), Decimal(100))
    instrument = Instrument(Symbol(name), name.partition("/")[2], tick=Decimal("0.01"))
    return SimulatedInstrument(instrument, price)


def prices(simulated: SimulatedInstrument, seed: int, step: float) -> Iterator[Decimal]:
    """Yield an endless path of prices, each a positive multiple of the tick; the first is where it begins.

    Geometric Brownian motion by its exact solution, S(t+Δ) = S(t) · exp((μ − σ²/2) Δ + σ √Δ Z) with Z standard normal
    (P. Glasserman, Monte Carlo Methods in Financial Engineering, 2003, section 3.2.1), so the step may have any size.
    The motion itself is not rounded, else steps below half a tick would never get anywhere. It stays between
    one tick and `HIGHEST_PRICE`.

    Args:
        simulated: what moves, and how.
        seed: the same seed and symbol give the same path, whatever other symbols there are.
        step: seconds of market time between two prices.
    """
    instrument = simulated.instrument
    chance = random.Random(f"{seed}:{instrument.symbol}")  # noqa: S311 - a market that can be repeated, not a secret
    years = step / SECONDS_A_YEAR
    shift = (simulated.drift - simulated.volatility * simulated.volatility / 2) * years
    spread = simulated.volatility * math.sqrt(years)
    tick = instrument.tick
    price = max(simulated.price, tick)
    while True:
        yield round_to(price, tick)
        # Chance is a ratio and may be a float; the price that it moves is a Decimal throughout.
        log_return = shift + spread * chance.gauss(0.0, 1.0)
        growth = math.exp(min(max(log_return, -_LARGEST_LOG_RETURN), _LARGEST_LOG_RETURN))
        price = min(max(multiply(price, CONTEXT.create_decimal_from_float(growth)), tick), HIGHEST_PRICE)


class TickingMarket(ThreadedSource):
    """A market that prices all its symbols at once, the first time at its start and then every ``interval`` seconds."""

    name = "simulated"

    def __init__(
        self, instruments: Iterable[Instrument], interval: float, clock: Clock, stopwatch: Stopwatch | None = None
    ) -> None:
        super().__init__(InstrumentCatalog(instruments), clock, stopwatch)
        if not len(self.book) or not 0 < interval < math.inf:
            msg = f"interval = {interval}, {len(self.book)} instruments: both must be above 0"
            raise ValueError(msg)
        self._interval = interval

    @abstractmethod
    def _next(self) -> Iterable[tuple[Symbol, Decimal]]:
        """Return the price of each symbol at the next tick."""

    def _play(self, listener: PriceListener, stopped: threading.Event) -> str:
        watch, interval = self._stopwatch, self._interval
        due = watch.seconds()
        while not stopped.is_set():
            now = self._clock.now()
            listener.quotes_seen(tuple([Quote(symbol, price, now, now, self.name) for symbol, price in self._next()]))
            # Counted from the tick that was due, not from now, so that lateness does not add up.
            due += interval
            present = watch.seconds()
            if present - due > CATCH_UP * interval:
                due = present
            watch.wait(stopped, due - present)
        return f"the price source {self.name!r} was stopped"


class SimulatedMarket(TickingMarket):
    """Prices that move by chance, the same with the same seed.

    >>> market = SimulatedMarket(simulated_instruments(None), seed=1, interval=0.1, clock=clock)  # doctest: +SKIP
    >>> market.start(listener)  # doctest: +SKIP

    Args:
        instruments: what moves, see `simulated_instruments`.
        seed: tells every path.
        interval: seconds between two prices of a symbol.
        clock: tells the quotes' times.
        speed: seconds of market time in a second of waiting; 60 makes the prices move as far in a second as else in
            a minute.
        stopwatch: for tests.
    """

    def __init__(
        self,
        instruments: Sequence[SimulatedInstrument],
        seed: int,
        interval: float,
        clock: Clock,
        speed: float = 1.0,
        stopwatch: Stopwatch | None = None,
    ) -> None:
        super().__init__([each.instrument for each in instruments], interval, clock, stopwatch)
        if not 0 <= speed < math.inf:
            msg = f"speed = {speed}: must be a number that is not negative"
            raise ValueError(msg)
        self._paths = [(each.instrument.symbol, prices(each, seed, interval * speed)) for each in instruments]

    def _next(self) -> Iterable[tuple[Symbol, Decimal]]:
        # A tick that was skipped takes no price from its path: the seed alone tells which price follows which.
        return [(symbol, next(path)) for symbol, path in self._paths]


class StandingMarket(TickingMarket):
    """Prices that stand still, confirmed every ``interval`` seconds: each quote is seen anew.

    Args:
        prices: by symbol; a symbol has tick and step of `simulated_instruments`.
        clock: tells the quotes' times.
        interval: seconds.
        instruments: what can be traded, in place of those; one without a price here can be traded but never is priced.
        stopwatch: for tests.
    """

    def __init__(
        self,
        prices: Mapping[str, Decimal | str],
        clock: Clock,
        interval: float,
        instruments: Iterable[Instrument] | None = None,
        stopwatch: Stopwatch | None = None,
    ) -> None:
        if instruments is None:
            instruments = [_named(symbol).instrument for symbol in prices]
        super().__init__(instruments, interval, clock, stopwatch)
        self._prices: dict[Symbol, Decimal] = {}
        for symbol, price in prices.items():
            self.set_price(symbol, price)

    def set_price(self, symbol: str, price: Decimal | str) -> None:
        """Let the symbol stand at ``price`` from the next tick on.

        Raises:
            ValueError: the symbol is unknown, or the price not above 0.
        """
        instrument = self.book.resolve(symbol)
        if isinstance(instrument, Unresolved):
            raise ValueError(instrument.reason)
        exact = Decimal(price)
        _check_price(instrument.symbol, exact)
        # A new mapping each time: the thread reads the old one to its end.
        self._prices = {**self._prices, instrument.symbol: exact}

    def _next(self) -> Iterable[tuple[Symbol, Decimal]]:
        return self._prices.items()
