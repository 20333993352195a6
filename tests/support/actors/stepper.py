"""Runs the real behaviours in their real cells in one thread, in an order drawn from a seed, with a clock of its own.

The same seed gives the same trace.

Each actor has its real mailbox. A step lets one actor that has messages handle one group. Crashes are injected between
steps or inside them, and the real Supervisor restarts the actors. The rest of a handler that hangs runs later: in the
meantime the other actors go on, and its actor is abandoned and replaced.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from actors.decision_watcher import Callers, DecisionWatcher
from actors.execution_simulator import ExecutionSimulator
from actors.introspection.counters import Counters
from actors.messages import Message, QuotesSeen, Tick, Wake
from actors.position_keeper import PositionKeeper
from actors.price_tracker import PriceRules, PriceTracker
from actors.runtime.activity import Activity
from actors.runtime.address import CURRENT, MailAddress
from actors.runtime.cell import Builder
from actors.runtime.database_retry import DatabaseRetry
from actors.runtime.mailbox import Mailbox
from actors.runtime.routes import PathServices, Routes
from actors.sizer import Sizer, SizerRules
from actors.snapshotter import Snapshotter
from actors.supervision.alarms import AlarmNotifier, HaltMonitor
from actors.supervision.messages import Begin, Crashed, Disconnected
from actors.supervision.recovery import PATH
from actors.supervision.restarts import Backoff, Budget, ChildSpec, Intensity, RestartRule
from actors.supervisor import Log, ProcessHooks, RestartPolicy, StartingPoint, Supervisor
from actors.wiring import WAKE_DELAY
from domain.alarms import Alarm
from domain.errors import PaperTradingError
from domain.trading.instruments import Instrument, InstrumentCatalog
from domain.trading.portfolio import Portfolio
from domain.trading.quotes import Quote
from domain.types import DecisionId, PortfolioName, Symbol
from tests.support.actors.memory_stores import MemoryDatabase, Session
from tests.support.actors.stepped_cell import Impatient, SteppedCell

NAMES = (
    "PriceTracker",
    "Snapshotter",
    "PositionKeeper",
    "ExecutionSimulator",
    "Sizer",
    "DecisionWatcher",
    "Supervisor",
)
NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)


class StepClock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.time = NOON

    def now(self) -> datetime:
        return self.time

    def pass_by(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)


class PassiveSource:
    """A price source that sends nothing by itself; the test sends the quotes."""

    name = "test"
    real = False
    notes: Sequence[str] = ()
    troubles: Sequence[str] = ()

    def __init__(self, instruments: list[Instrument]) -> None:
        self.catalog = InstrumentCatalog(instruments)
        self.wanted: set[Symbol] = set()

    def start(self, listener: object) -> None:
        """Do nothing: the test sends."""

    def unsubscribe(self, symbols: object) -> None:
        self.wanted.difference_update(symbols)  # type: ignore[call-overload]

    def subscribe(self, symbols: object) -> None:
        self.wanted.update(symbols)  # type: ignore[call-overload]

    def stop(self) -> None:
        """Do nothing: nothing runs."""


class SteppedChild:
    """What the Supervisor sees of a stepped cell, or of its replacement: an `ActorHost` without a thread."""

    alive = True
    stack = ""

    def __init__(self, name: str, stepper: Stepper) -> None:
        self.name = name
        self.address = stepper.to(name)
        self._stepper = stepper

    @property
    def activity(self) -> Activity:
        return self._stepper.cells[self.name].activity

    def start(self) -> None:
        self._stepper.cells[self.name].begin()

    def replace(self) -> frozenset[DecisionId]:
        old = self._stepper.cells[self.name]
        about = old.about
        in_hand = old.abandon()
        replacement = self._stepper.cell(self.name)
        replacement.take_over(old)
        replacement.requeue(in_hand, PaperTradingError(f"{self.name} was replaced while it handled this"))
        return about


class LastResort:
    """The address to which the Supervisor's cell reports a crash; it ends the process."""

    def __init__(self, end: Callable[[Exception], None]) -> None:
        self._end = end

    def tell(self, message: object, /) -> None:
        if isinstance(message, Crashed):
            self._end(PaperTradingError(f"the Supervisor crashed: {message.error!r}"))


class Stepper:
    """The seven actors of one process over a `MemoryDatabase`, one step at a time.

    Args:
        clock: a clock that several processes share; without one it starts at noon.
        trace: a trace that several processes share.
        delays: deliver delayed messages when the clock reaches their time (`pass_by`), not at once.

    Attributes:
        trace: the steps in order; equal for equal seeds.
        ended: the reason for which the Supervisor ended the process; None if it did not.
        log: the Supervisor's log of failures.
        counters: the counters of this process.
        cells: the present cells by name.
        born: all cells, also abandoned ones.
        later: the delayed messages: time, actor and message.
        alarms: the alarms that were sent.
    """

    def __init__(
        self,
        database: MemoryDatabase,
        instruments: list[Instrument],
        seed: int,
        *,
        most_restarts: int = 1_000,
        max_decision_age: timedelta | None = None,
        clock: StepClock | None = None,
        trace: list[str] | None = None,
        delays: bool = False,
    ) -> None:
        self.database = database
        self.session = Session(database)
        self.clock = clock or StepClock()
        self.callers = Callers()
        self.trace: list[str] = [] if trace is None else trace
        self.ended: Exception | None = None
        self.ready = False
        self.drained = False
        self.log = Log()
        self.counters = Counters(lambda: self.clock.now().timestamp())
        self.alarms: list[Alarm] = []
        notifier = AlarmNotifier(self, self.clock)
        halts = HaltMonitor(notifier.notify)
        self._random = random.Random(seed)
        self._delays = delays
        self.later: list[tuple[datetime, str, Message]] = []
        self.source = PassiveSource(instruments)
        self._mailboxes = {name: Mailbox() for name in NAMES}
        routes = Routes(
            decision_watcher=self.to("DecisionWatcher"),
            sizer=self.to("Sizer"),
            execution_simulator=self.to("ExecutionSimulator"),
            position_keeper=self.to("PositionKeeper"),
            price_tracker=self.to("PriceTracker"),
            snapshotter=self.to("Snapshotter"),
            supervisor=self.to("Supervisor"),
        )
        states: dict[PortfolioName, Portfolio] = {}
        builders: dict[str, Builder] = {
            "PriceTracker": lambda _: PriceTracker(
                self.source,
                self.session,
                routes,
                PriceRules(retention=timedelta(days=30), silent_after=timedelta(seconds=30)),
                self.clock,
                notifier.notify,
            ),
            "Snapshotter": lambda activity: Snapshotter(
                self.session,
                states,
                routes,
                self._retry("Snapshotter", activity),
                self.clock,
                timedelta(seconds=60),
            ),
            "PositionKeeper": lambda activity: PositionKeeper(
                self.session, routes, self._services("PositionKeeper", activity), halts, notifier.notify
            ),
            "ExecutionSimulator": lambda _: ExecutionSimulator(routes, self.clock),
            "Sizer": lambda _: Sizer(
                routes,
                SizerRules(
                    price_grace=timedelta(seconds=1),
                    max_price_age=timedelta(seconds=30),
                    max_decision_age=max_decision_age,
                    same_currency=frozenset({"USD", "USDT", "USDC"}),
                ),
                self.clock,
            ),
            "DecisionWatcher": lambda activity: DecisionWatcher(
                self.session,
                self.callers,
                routes,
                self._services("DecisionWatcher", activity),
                self.clock,
                max_decision_age,
            ),
        }
        rules = {name: RestartRule.PATH if name in PATH else RestartRule.ALONE for name in builders}
        intensity = Intensity(most_restarts, timedelta(seconds=30))
        specs = tuple(ChildSpec(name, rule, intensity) for name, rule in rules.items())
        builders["Supervisor"] = lambda _: Supervisor(
            {name: SteppedChild(name, self) for name in rules},
            RestartPolicy(rules, Budget(specs, intensity, Backoff(), self._random), timedelta(days=1)),
            StartingPoint(database.generation, self.session.epoch),
            ProcessHooks(
                ready=lambda: setattr(self, "ready", True),
                drained=lambda: setattr(self, "drained", True),
                end_process=self._end_process,
                record=database.failures.append,
                later=lambda delay, message: self._after(delay, "Supervisor", message),
                disconnect=self._disconnect,
                notify=notifier.notify,
            ),
            self.clock,
            self.log,
        )
        self._builders = builders
        self.cells: dict[str, SteppedCell] = {}
        self.born: list[SteppedCell] = []
        for name in builders:
            self.cell(name)
        self.cells["Supervisor"].begin()
        self.tell("Supervisor", Begin())

    def cell(self, name: str) -> SteppedCell:
        """Create the cell that serves this actor's mailbox from now on."""
        supervisor = LastResort(self._end_process) if name == "Supervisor" else self.to("Supervisor")
        cell = SteppedCell(name, self._mailboxes[name], self._builders[name], supervisor)
        self.cells[name] = cell
        self.born.append(cell)
        return cell

    def notify(self, alarm: Alarm) -> None:
        """Record an alarm."""
        self.alarms.append(alarm)

    def tell(self, actor: str, message: Message) -> None:
        """Put a message into an actor's mailbox."""
        self.to(actor).tell(message)

    def quote(self, prices: Mapping[str, str]) -> None:
        """Send quotes from the source, all of the present time."""
        now = self.clock.now()
        quotes = [
            Quote(Symbol(symbol), Decimal(price), now, now, "test", real=False) for symbol, price in prices.items()
        ]
        self.tell("PriceTracker", QuotesSeen({quote.symbol: quote for quote in quotes}))

    def crash(self, actor: str) -> None:
        """Crash the behaviour of an actor; the messages in its mailbox stay."""
        self.trace.append(f"{actor} crashed")
        self.cells[actor].crash(RuntimeError("injected"))

    def hang(self, actor: str, steps: int) -> None:
        """Make an actor hang; called inside one of its handlers. The other actors go on, then the handler does."""
        activity = self.cells[actor].activity
        self.trace.append(f"{actor} hangs")
        activity.hangs = True
        before, CURRENT.sender = CURRENT.sender, None
        for _ in range(steps):
            if activity is self.cells[actor].activity:
                self.tell("Supervisor", Tick())
            self.pass_by(0.02 if self.step() else 1)
        CURRENT.sender = before
        activity.hangs = False
        self.trace.append(f"{actor} goes on")

    def pass_by(self, seconds: float) -> None:
        """Let time pass, and deliver the delayed messages that are due."""
        self.clock.pass_by(seconds)
        due = sorted((entry for entry in self.later if entry[0] <= self.clock.time), key=lambda entry: entry[0])
        self.later = [entry for entry in self.later if entry[0] > self.clock.time]
        for _, actor, message in due:
            self.tell(actor, message)

    def end(self) -> None:
        """End the process in order: callers that wait get an error."""
        for mailbox in self._mailboxes.values():
            for message in mailbox.close(lambda _: None):
                message.abandon(PaperTradingError("the system stopped before it handled this message"))
        self.callers.fail_all(PaperTradingError("the system has stopped; the decision waits in the database"))

    def step(self) -> bool:
        """Let one actor handle one group; return False if no actor can."""
        able = [
            name
            for name, cell in self.cells.items()
            if cell.mailbox.deliverable and not cell.busy and not (cell.waits and self.database.away)
        ]
        if not able:
            return False
        name = self._random.choice(able)
        envelope = self._mailboxes[name].get()
        assert envelope is not None
        self.trace.append(f"{name} {_named(envelope.message)}")
        self.cells[name].receive(envelope.message)
        return True

    def run(self, most: int = 100_000) -> None:
        """Step until no actor has a message."""
        for _ in range(most):
            if not self.step():
                return
        raise AssertionError(f"the actors did not come to rest within {most} steps")

    def wake(self) -> None:
        """Wake the intake, as a notification of the database does."""
        self.tell("DecisionWatcher", Wake())

    def settle(self) -> None:
        """Wake the intake and run until everything is at rest."""
        self.wake()
        self.run()
        self.tell("Sizer", Tick())
        self.run()

    def to(self, name: str) -> MailAddress:
        """Return the address of an actor."""
        return MailAddress(self._mailboxes[name])

    def _end_process(self, error: Exception) -> None:
        self.ended = self.ended or error

    def _after(self, delay: timedelta, actor: str, message: Message) -> None:
        if not self._delays:
            self.tell(actor, message)
        elif all(
            (actor, message) != (to, waits) for _, to, waits in self.later
        ):  # as `actors.runtime.timer.Timer.after`
            self.later.append((self.clock.time + delay, actor, message))

    def _wake_later(self, actor: str) -> None:
        if self._delays:
            self._after(WAKE_DELAY, actor, Wake())

    def _disconnect(self, actor: str, since: float) -> None:
        self.tell("Supervisor", Disconnected(actor, since, not self.database.away))

    def _retry(self, name: str, activity: Activity) -> DatabaseRetry:
        return Impatient(name, activity, self.clock, threading.Event())

    def _services(self, name: str, activity: Activity) -> PathServices:
        return PathServices(self._retry(name, activity), lambda: self._wake_later(name), self.counters)


def _named(message: Message) -> str:
    """Return the kind of a message, and the decisions that it is about."""
    about = "".join(f" #{id_}" for id_ in message.decisions)
    return type(message).__name__ + about
