"""Runs the real actors as `actors.wiring` wires them, in one thread, in an order drawn from a seed, with its own clock.

The same seed gives the same trace.

Each actor has its real mailbox. A step lets one actor that has messages handle one group. Crashes are injected between
steps or inside them, and the real Supervisor restarts the actors. The rest of a handler that hangs runs later: in the
meantime the other actors go on, and its actor is abandoned and replaced.
"""

from __future__ import annotations

import math
import random
from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal
from typing import Any

from actors.messages import Message, Tick
from actors.observed_ports import observed
from actors.ports import TradingObserver
from actors.price_listener import TrackerListener
from actors.runtime.address import CURRENT
from actors.settings import Settings
from actors.supervision.messages import Begin
from actors.supervisor import StartingPoint
from actors.wiring import Ports, Wiring
from domain.alarms import Alarm
from domain.market_data.buffer import USUAL_LIMITS, BufferLimits
from domain.trading.instruments import Instrument, InstrumentCatalog
from domain.trading.quotes import PriceListener, Quote
from domain.types import Instant, Symbol
from tests.support.actors.memory_session import Session
from tests.support.actors.memory_stores import MemoryDatabase
from tests.support.actors.stepped_runtime import StepClock, SteppedCell, SteppedHost, SteppedTimer, stepped_runtime

SETTINGS: dict[str, Any] = {"max_restarts": 1_000, "max_decision_age": 0, "hang_timeout": 86_400}
"""Where they differ from the defaults: a test decides what ends the process, expires or hangs."""


class PassiveSource:
    """A price source that sends nothing by itself; the test sends the quotes."""

    notes: Sequence[str] = ()
    troubles: Sequence[str] = ()

    def __init__(self, instruments: list[Instrument], name: str = "test", *, real: bool = False) -> None:
        self.name, self.real = name, real
        self.catalog = InstrumentCatalog(instruments)
        self.wanted: set[Symbol] = set()
        self.watched_closely: set[Symbol] = set()
        self.watched_books: set[Symbol] = set()

    def start(self, listener: PriceListener) -> None: ...

    def subscribe(self, symbols: Collection[Symbol]) -> None:
        self.wanted.update(symbols)

    def unsubscribe(self, symbols: Collection[Symbol]) -> None:
        self.wanted.difference_update(symbols)

    def watch_closely(self, symbols: Collection[Symbol]) -> None:
        self.watched_closely = set(symbols)

    def watch_books(self, symbols: Collection[Symbol]) -> None:
        self.watched_books = set(symbols)

    def stop(self) -> None: ...


class Stepper:
    """The seven actors of one process over a `MemoryDatabase`, one step at a time.

    Args:
        clock: a clock that several processes share; without one it starts at noon.
        trace: a trace that several processes share.
        delays: deliver delayed messages when the clock reaches their time (`pass_by`), not at once.
        source: a price source that several processes share.
        limits: how much market data wait for a commit; those of the program without them.
        observer: gets what is committed.
        settings: settings that differ from `SETTINGS`.

    Attributes:
        wiring: the actors.
        trace: the steps in order; equal for equal seeds.
        ended: the reason for which the Supervisor ended the process; None if it did not.
        alarms: the alarms that were sent.
    """

    def __init__(
        self,
        database: MemoryDatabase,
        instruments: list[Instrument],
        seed: int,
        *,
        clock: StepClock | None = None,
        trace: list[str] | None = None,
        delays: bool = False,
        source: PassiveSource | None = None,
        limits: BufferLimits = USUAL_LIMITS,
        observer: TradingObserver | None = None,
        **settings: Any,
    ) -> None:
        self.database = database
        self.clock = clock or StepClock()
        database.now = self.clock.now
        self.trace: list[str] = [] if trace is None else trace
        self.ended: Exception | None = None
        self.alarms: list[Alarm] = []
        self.source = source or PassiveSource(instruments)
        self._random = random.Random(seed)
        self._timer = SteppedTimer(self.clock, delays=delays)
        session = Session(database)
        ledger, snapshots, _ = observed(observer, session, session, session)
        self.wiring = Wiring(
            Settings.isolated(seed=seed, **(SETTINGS | settings)),
            Ports(ledger, session, session, snapshots, session, session, self.source, alarms=self),
            StartingPoint(database.generation, session.epoch),
            stepped_runtime(self.clock, self._timer, limits),
            self._end_process,
        )
        self._listener = TrackerListener(self.wiring.address("PriceTracker"), self.wiring.market_data)
        self.counters = self.wiring.counters
        self.counters.now = lambda: self.clock.now().timestamp()
        self.wiring.start()
        self.tell("Supervisor", Begin())

    @property
    def hosts(self) -> list[SteppedHost]:
        """The hosts of all actors."""
        return [host for host in self.wiring.hosts.values() if isinstance(host, SteppedHost)]

    @property
    def cells(self) -> dict[str, SteppedCell]:
        """The present cells by name."""
        return {host.name: host.cells[-1] for host in self.hosts}

    @property
    def born(self) -> list[SteppedCell]:
        """All cells, also abandoned ones."""
        return [cell for host in self.hosts for cell in host.cells]

    @property
    def ready(self) -> bool:
        """Whether a generation has begun to take decisions."""
        return self.wiring.ready.is_set()

    @property
    def drained(self) -> bool:
        """Whether every decision under way has passed at an ordered stop."""
        return self.wiring.drained.is_set()

    @property
    def later(self) -> bool:
        """Whether delayed messages wait."""
        return bool(self._timer.later)

    def notify(self, alarm: Alarm) -> None:
        """Record an alarm."""
        self.alarms.append(alarm)

    def tell(self, actor: str, message: Message) -> None:
        """Put a message into an actor's mailbox."""
        self.wiring.address(actor).tell(message)

    def quote(
        self,
        prices: Mapping[str, str],
        *,
        spread: str | None = None,
        size: str | None = None,
        traded: str | None = None,
    ) -> None:
        """Send quotes from the source, all of the present time.

        Args:
            prices: last trade of each symbol.
            spread: distance of bid and ask from the last trade, in money; both are unknown without it.
            size: the quantity offered at bid and at ask; unknown without it.
            traded: the quantity of a trade of the market; without it they are states of the book.
        """
        now = Instant.of(self.clock)
        offered = Decimal(size) if size is not None else None
        quotes = [
            Quote(
                Symbol(symbol),
                Decimal(price),
                now.time,
                now,
                "test",
                real=False,
                bid=Decimal(price) - Decimal(spread) if spread is not None else None,
                ask=Decimal(price) + Decimal(spread) if spread is not None else None,
                bid_size=offered,
                ask_size=offered,
                last_size=Decimal(traded) if traded is not None else None,
                is_trade=traded is not None,
            )
            for symbol, price in prices.items()
        ]
        self._listener.quotes_seen(quotes)

    def crash(self, actor: str) -> None:
        """Crash the behaviour of an actor; the messages in its mailbox stay."""
        self.trace.append(f"{actor} crashed")
        self.cells[actor].crash(RuntimeError("injected"))

    def hang(self, actor: str, steps: int) -> None:
        """Make an actor hang; called inside one of its handlers. The other actors go on, then the handler does."""
        activity = self.cells[actor].activity
        self.trace.append(f"{actor} hangs")
        activity.seconds = math.inf
        before, CURRENT.sender = CURRENT.sender, None
        for _ in range(steps):
            if activity is self.cells[actor].activity:
                self.tell("Supervisor", Tick())
            self.pass_by(0.02 if self.step() else 1)
        CURRENT.sender = before
        activity.seconds = 0.0
        self.trace.append(f"{actor} goes on")

    def pass_by(self, seconds: float) -> None:
        """Let time pass, and deliver the delayed messages that are due."""
        self.clock.pass_by(seconds)
        self._timer.send_due()

    def end(self) -> None:
        """End the process in order: callers that wait get an error."""
        self.wiring.end()

    def step(self) -> bool:
        """Let one actor handle one group; return False if no actor can."""
        able = [
            cell
            for cell in self.cells.values()
            if cell.mailbox.deliverable and not cell.busy and not (cell.waits and self.database.away)
        ]
        if not able:
            return False
        cell = self._random.choice(able)
        envelope = cell.mailbox.get()
        assert envelope is not None
        self.trace.append(f"{cell.name} {_named(envelope.message)}")
        cell.receive(envelope.message)
        return True

    def run(self, most: int = 100_000) -> None:
        """Step until no actor has a message."""
        for _ in range(most):
            if not self.step():
                return
        raise AssertionError(f"the actors did not come to rest within {most} steps")

    def wake(self) -> None:
        """Wake the intake, as a notification of the database does."""
        self.wiring.wake("paper_decisions")

    def wake_all(self) -> None:
        """Wake the intake, for requests for accounts, too."""
        self.wake()
        self.wiring.wake("paper_account")

    def settle(self) -> None:
        """Wake the intake and run until everything is at rest."""
        self.wake()
        self.run()
        self.tell("Sizer", Tick())
        self.run()

    def _end_process(self, error: Exception) -> None:
        self.ended = self.ended or error


def _named(message: Message) -> str:
    """Return the kind of a message, and the decisions that it is about."""
    about = "".join(f" #{id_}" for id_ in message.decisions)
    return type(message).__name__ + about
