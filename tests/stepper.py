"""Runs the real behaviours in their real cells in one thread, in an order drawn from a seed, with a clock of its own.

The same seed gives the same trace.

Each actor has its real mailbox; a step lets one actor that has something to do handle one group. Crashes are injected
between steps or inside them, and mended by the real Supervisor.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TypeVar

from pykka._envelope import Envelope

from actors.activity import Activity
from actors.address import MailAddress
from actors.cell import Builder, Cell
from actors.decision_watcher import Callers, DecisionWatcher
from actors.execution_simulator import ExecutionSimulator
from actors.mailbox import Mailbox
from actors.messages import Control, Message, QuotesSeen, Tick, Wake
from actors.patience import Patience
from actors.position_keeper import PositionKeeper
from actors.price_tracker import PriceTracker
from actors.recovery import PATH
from actors.restarts import Backoff, Budget, ChildSpec, Intensity, RestartRule
from actors.sizer import Sizer
from actors.snapshotter import Snapshotter
from actors.supervision import Begin
from actors.supervisor import Log, Office, Supervisor
from domain.errors import DatabaseUnavailable
from domain.market import Instrument, Quote, SymbolBook
from domain.portfolio import Portfolio
from domain.words import DecisionId, PortfolioName, Symbol
from tests.memory import MemoryDatabase

T = TypeVar("T")
NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)


class StepClock:
    """Time passes when the test says so."""

    def __init__(self) -> None:
        self.time = NOON

    def now(self) -> datetime:
        return self.time

    def pass_by(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)


class PassiveSource:
    """A price source that sends what the test sends."""

    name = "test"
    real = False

    def __init__(self, instruments: list[Instrument]) -> None:
        self.book = SymbolBook(instruments)
        self.wanted: set[Symbol] = set()

    def start(self, listener: object) -> None:
        """The test sends."""

    def unsubscribe(self, symbols: object) -> None:
        self.wanted.difference_update(symbols)  # type: ignore[call-overload]

    def subscribe(self, symbols: object) -> None:
        self.wanted.update(symbols)  # type: ignore[call-overload]

    def stop(self) -> None:
        """Nothing runs."""


class WouldWait(BaseException):
    """A thread would wait here until the database is back."""


class Impatient(Patience):
    """Waits for nothing: says that it would."""

    def until_done(self, action: Callable[[], T]) -> T:
        try:
            return self.once(action)
        except DatabaseUnavailable as error:
            raise WouldWait from error

    def until_done_unless_away(self, action: Callable[[], T]) -> T:
        return self.once(action)

    for_a_while = until_done_unless_away

    def breathe(self) -> None:
        """No time passes by itself."""


class SteppedCell(Cell):
    """A cell without a thread: what would wait is done again at another step."""

    def _crashed(self, error: BaseException, what: str, group: list[Message]) -> None:
        if not isinstance(error, WouldWait):
            super()._crashed(error, what, group)
        elif group:
            self.mailbox.give_back(group)
        else:
            assert self.controlled is not None
            self.mailbox.put(Envelope(self.controlled))

    def receive(self, message: object) -> object:
        self.controlled = message if isinstance(message, Control) else None
        return super().receive(message)

    controlled: Control | None = None

    def crash(self, error: Exception) -> None:
        """Its behaviour is gone; what waits in its mailbox stays."""
        if self._behaviour is not None:
            self._crashed_for(error)

    def _crashed_for(self, error: Exception) -> None:
        super()._crashed(error, "", [])


class SteppedChild:
    """What the Supervisor sees of a stepped cell; it never hangs, and its thread never ends."""

    alive = True
    stack = ""

    def __init__(self, cell: SteppedCell) -> None:
        self.name = cell.name
        self.address = MailAddress(cell.mailbox)
        self.activity = cell.activity
        self.start = cell.begin

    def replace(self) -> frozenset[DecisionId]:
        raise AssertionError("nothing hangs here")


class Stepper:
    """The seven actors over a `MemoryDatabase`, one step at a time.

    Attributes:
        trace: what happened, in order; equal for equal seeds.
        ended: why the Supervisor gave up, if it did.
        log: the Supervisor's.
    """

    def __init__(
        self,
        database: MemoryDatabase,
        instruments: list[Instrument],
        seed: int,
        *,
        most_restarts: int = 1_000,
        max_decision_age: timedelta | None = None,
    ) -> None:
        self.database = database
        self.clock = StepClock()
        self.callers = Callers()
        self.trace: list[str] = []
        self.ended: Exception | None = None
        self.ready = False
        self.drained = False
        self.log = Log()
        self._random = random.Random(seed)
        self.source = PassiveSource(instruments)
        states: dict[PortfolioName, Portfolio] = {}
        builders: dict[str, Builder] = {
            "PriceTracker": lambda _: PriceTracker(
                self.source,
                database,
                sizer=self.to("Sizer"),
                me=self.to("PriceTracker").tell,
                clock=self.clock,
                retention=timedelta(days=30),
                silent_after=timedelta(seconds=30),
            ),
            "Snapshotter": lambda activity: Snapshotter(
                database,
                tracker=self.to("PriceTracker"),
                states=states,
                supervisor=self.to("Supervisor"),
                me=self.to("Snapshotter"),
                patience=self._patience("Snapshotter", activity),
                clock=self.clock,
                interval=timedelta(seconds=60),
            ),
            "PositionKeeper": lambda activity: PositionKeeper(
                database,
                watcher=self.to("DecisionWatcher"),
                sizer=self.to("Sizer"),
                snapshotter=self.to("Snapshotter"),
                supervisor=self.to("Supervisor"),
                wake_later=lambda: None,
                patience=self._patience("PositionKeeper", activity),
            ),
            "ExecutionSimulator": lambda _: ExecutionSimulator(
                sizer=self.to("Sizer"),
                keeper=self.to("PositionKeeper"),
                supervisor=self.to("Supervisor"),
                clock=self.clock,
            ),
            "Sizer": lambda _: Sizer(
                execution=self.to("ExecutionSimulator"),
                keeper=self.to("PositionKeeper"),
                watcher=self.to("DecisionWatcher"),
                tracker=self.to("PriceTracker"),
                supervisor=self.to("Supervisor"),
                me=self.to("Sizer"),
                clock=self.clock,
                price_grace=timedelta(seconds=1),
                max_price_age=timedelta(seconds=30),
                max_decision_age=max_decision_age,
                same_currency=frozenset({"USD", "USDT", "USDC"}),
            ),
            "DecisionWatcher": lambda activity: DecisionWatcher(
                database,
                self.callers,
                sizer=self.to("Sizer"),
                supervisor=self.to("Supervisor"),
                wake_later=lambda: None,
                patience=self._patience("DecisionWatcher", activity),
                clock=self.clock,
            ),
        }
        self._mailboxes = {name: Mailbox() for name in [*builders, "Supervisor"]}
        supervisor = self.to("Supervisor")
        self.cells = {
            name: SteppedCell(name, self._mailboxes[name], build, supervisor) for name, build in builders.items()
        }
        rules = {name: RestartRule.PATH if name in PATH else RestartRule.ALONE for name in builders}
        intensity = Intensity(most_restarts, timedelta(seconds=30))
        specs = tuple(ChildSpec(name, rule, intensity) for name, rule in rules.items())
        self.cells["Supervisor"] = SteppedCell(
            "Supervisor",
            self._mailboxes["Supervisor"],
            lambda _: Supervisor(
                {name: SteppedChild(cell) for name, cell in self.cells.items() if name != "Supervisor"},
                rules,
                Budget(specs, intensity, Backoff(), self._random),
                database.generation,
                epoch=1,
                office=Office(
                    ready=lambda: setattr(self, "ready", True),
                    drained=lambda: setattr(self, "drained", True),
                    give_up=lambda error: setattr(self, "ended", error),
                    record=database.failures.append,
                    later=lambda _, word: supervisor.tell(word),
                    disconnect=lambda *_: None,
                ),
                clock=self.clock,
                hang_timeout=timedelta(days=1),
                log=self.log,
            ),
            supervisor,
        )
        self.cells["Supervisor"].begin()
        self.tell("Supervisor", Begin())

    def tell(self, actor: str, message: Message) -> None:
        """Put a message into an actor's mailbox."""
        self.to(actor).tell(message)

    def quote(self, prices: Mapping[str, str]) -> None:
        """Let the source see prices now, all at one moment."""
        now = self.clock.now()
        quotes = [Quote(Symbol(symbol), Decimal(price), now, now, "test") for symbol, price in prices.items()]
        self.tell("PriceTracker", QuotesSeen({quote.symbol: quote for quote in quotes}))

    def crash(self, actor: str) -> None:
        """The actor's behaviour is gone; what waits in its mailbox stays."""
        self.trace.append(f"{actor} crashed")
        self.cells[actor].crash(RuntimeError("injected"))

    def step(self) -> bool:
        """Let one actor handle one group; False where nobody has anything to do."""
        able = [name for name, mailbox in self._mailboxes.items() if mailbox.deliverable]
        if not able:
            return False
        name = self._random.choice(able)
        envelope = self._mailboxes[name].get()
        assert envelope is not None
        self.trace.append(f"{name} {_named(envelope.message)}")
        self.cells[name].receive(envelope.message)
        return True

    def run(self, most: int = 100_000) -> None:
        """Step until nobody has anything to do."""
        for _ in range(most):
            if not self.step():
                return
        raise AssertionError(f"the actors did not come to rest within {most} steps")

    def wake(self) -> None:
        """Tell the intake that there may be something new."""
        self.tell("DecisionWatcher", Wake())

    def settle(self) -> None:
        """Wake the intake and run until everything is at rest."""
        self.wake()
        self.run()
        self.tell("Sizer", Tick())
        self.run()

    def to(self, name: str) -> MailAddress:
        """Where to send messages to an actor."""
        return MailAddress(self._mailboxes[name])

    def _patience(self, name: str, activity: Activity) -> Patience:
        return Impatient(name, activity, self.clock, threading.Event())


def _named(message: Message) -> str:
    """The message's kind, and the decision that it is about."""
    about = "".join(f" #{id_}" for id_ in message.decisions)
    return type(message).__name__ + about
