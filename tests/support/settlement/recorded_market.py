"""A recorded market for steppers: it goes on while no process runs, and tells afterwards what it did."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from actors.messages import Tick
from actors.price_listener import TrackerListener
from domain.trading.instruments import Instrument
from domain.trading.quotes import Bar, History, Quote
from domain.types import Instant, Symbol
from tests.support.actors.memory_stores import MemoryDatabase
from tests.support.actors.stepped_runtime import StepClock
from tests.support.actors.stepper import PassiveSource, Stepper


@dataclass
class RecordedMarket(PassiveSource):
    """Trades with their times.

    Attributes:
        trades: in the order of their times.
        by_bars: its answers about the past are bars of a minute.
        unknown: why it has no answer about the past; None where it has one.
        requests: the spans for which it was requests.
    """

    instruments: list[Instrument]
    trades: list[Quote] = field(default_factory=list)
    by_bars: bool = False
    unknown: str | None = None
    requests: list[tuple[Symbol, datetime, datetime]] = field(default_factory=list)
    source_name: str = "test"

    def __post_init__(self) -> None:
        PassiveSource.__init__(self, self.instruments, self.source_name)

    def history(self, symbol: Symbol, since: datetime, until: datetime, timeout: float) -> History:
        self.requests.append((symbol, since, until))
        if self.unknown is not None:
            return History(unknown=self.unknown)
        trades = [t for t in self.trades if t.symbol == symbol and t.price_time <= until]
        if self.by_bars:
            return History(tuple(bar for bar in bars(trades, until) if since < bar.end))
        return History(tuple(replace(t, recovered=True) for t in trades if since < t.price_time))


def bars(trades: Sequence[Quote], until: datetime) -> list[Bar]:
    """Return the bars of a minute that trades of a symbol make; that of the present minute ends now."""
    by_minute: dict[datetime, list[Quote]] = {}
    for trade in trades:
        by_minute.setdefault(trade.price_time.replace(second=0, microsecond=0), []).append(trade)
    made = []
    for begin, minute in by_minute.items():
        prices, end = [trade.price for trade in minute], min(begin + timedelta(minutes=1), until)
        made.append(
            Bar(
                symbol=minute[0].symbol, open=prices[0], high=max(prices), low=min(prices), close=prices[-1],
                begin=begin, end=end, seen=Instant(end, 0), source=minute[0].source, real=False,
                volume=sum((trade.last_size or Decimal(0) for trade in minute), Decimal(0)), recovered=True,
            )
        )  # fmt: skip
    return made


def trade(symbol: str, price: str | Decimal, at: datetime, size: str | None = None, source: str = "test") -> Quote:
    """Return one trade of the market."""
    seen = Instant(at, 0)
    volume = None if size is None else Decimal(size)
    return Quote(Symbol(symbol), Decimal(price), at, seen, source, real=False, is_trade=True, last_size=volume)


def walk(symbols: Sequence[str], begin: datetime, seconds: int, every: int, seed: int) -> list[Quote]:
    """Return trades of a random walk, all symbols at the same times; each price is 100 at the beginning."""
    draw = random.Random(seed)
    prices = dict.fromkeys(symbols, Decimal(100))
    trades = []
    for second in range(every, seconds + 1, every):
        for symbol in symbols:
            step = Decimal(draw.choice([-30, -10, -5, -1, 0, 0, 1, 5, 10, 30])) / 100
            prices[symbol] = max(prices[symbol] + step, Decimal(1))
            size = str(Decimal(draw.randint(1, 40)) / 10)
            trades.append(trade(symbol, prices[symbol], begin + timedelta(seconds=second), size))
    return trades


class Served:
    """Processes one after the other that serve one database at a recorded market, with a shared clock.

    Attributes:
        stepper: the present process; None while none runs.
    """

    def __init__(self, market: RecordedMarket, database: MemoryDatabase, clock: StepClock, seed: int) -> None:
        self.market = market
        self.database = database
        self.clock = clock
        self.stepper: Stepper | None = None
        self._seed = seed
        self._played = 0

    def start(self, **settings: Any) -> Stepper:
        """Start a process, and run it until it rests."""
        self._seed += 1
        self.stepper = Stepper(
            self.database, self.market.instruments, self._seed, clock=self.clock, source=self.market, **settings
        )
        self.stepper.run()
        assert self.stepper.ready
        return self.stepper

    def kill(self) -> None:
        """End the process without a word: what its actors have not committed is lost."""
        self.stepper = None

    def kill_after(self, steps: int) -> None:
        """Kill the process some steps after a tick: messages are on their way, and some are committed."""
        assert self.stepper is not None
        self.stepper.tell("ExecutionSimulator", Tick())
        for _ in range(steps):
            self.stepper.step()
        self.kill()

    def pass_to(self, time: datetime) -> None:
        """Let the market go on up to a time; a process that runs sees it."""
        for piece in self.market.trades[self._played :]:
            if piece.price_time > time:
                break
            self._played += 1
            self._move_to(piece.price_time)
            if self.stepper is not None:
                self.see([piece])
        self._move_to(time)

    def ticker(self) -> None:
        """Let the running process see the state of each market: only from that are new orders sized."""
        newest = {piece.symbol: piece for piece in self.market.trades[: self._played]}
        self.see([replace(piece, is_trade=False, last_size=None) for piece in newest.values()])

    def see(self, pieces: Sequence[Quote]) -> None:
        """Let the running process see trades at once."""
        assert self.stepper is not None
        now = Instant.of(self.clock)
        wiring = self.stepper.wiring
        listener = TrackerListener(wiring.address("PriceTracker"), wiring.market_data)
        listener.quotes_seen([replace(piece, seen=now) for piece in pieces])
        self.stepper.run()

    def tick(self) -> None:
        """Send the ticks of the timer, and run until everything rests."""
        assert self.stepper is not None
        for actor in ("ExecutionSimulator", "Sizer", "PriceTracker"):
            self.stepper.tell(actor, Tick())
        self.stepper.settle()

    def _move_to(self, time: datetime) -> None:
        seconds = (time - self.clock.now()).total_seconds()
        if seconds > 0:
            self.clock.pass_by(seconds)


def events_as_text(database: MemoryDatabase) -> list[str]:
    """Return the events in the database as texts: ``12:02:00 recovered SELL 1 at 94``, without their versions."""
    texts: list[tuple[datetime, str]] = []
    for result in (*database.fills, *database.events):
        event = result.event
        what = f"{result.order.portfolio} {result.order.leg} {type(event).__name__}"
        if any(result is fill for fill in database.fills):
            what += f" {result.order.side} {result.fill.quantity.normalize():f} at {result.fill.price.normalize():f}"
        texts.append((event.at, f"{event.at:%d %H:%M:%S}{' recovered' if result.recovered else ''} {what}"))
    return [text for _, text in sorted(texts, key=lambda pair: (pair[0], pair[1]))]
