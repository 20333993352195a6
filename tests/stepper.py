"""Runs the real behaviours in one thread, in an order drawn from a seed, with a clock of its own.

The same seed gives the same trace.

Each actor has a mailbox with the two lanes of `actors.mailbox`; a step lets one actor that has something to do handle
one group. Crashes are injected between steps, and mended by the real Supervisor.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from pykka._envelope import Envelope

from actors.cell import Behaviour, MailAddress
from actors.decision_watcher import Callers, DecisionWatcher
from actors.execution_simulator import ExecutionSimulator
from actors.mailbox import Mailbox
from actors.messages import Begin, Control, Crashed, Message, QuotesSeen, Rebuild, Restart, Tick, Wake
from actors.patience import Patience
from actors.position_keeper import PositionKeeper
from actors.price_tracker import PriceTracker
from actors.sizer import Sizer
from actors.snapshotter import Snapshotter
from actors.supervisor import Child, Supervisor
from domain.errors import DatabaseUnavailable
from domain.market import Instrument, Quote, SymbolBook
from domain.portfolio import Portfolio
from domain.words import PortfolioName, Symbol
from tests.memory import MemoryDatabase

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


class Impatient(Patience):
    """Waits for nothing: what would be waited for is answered by the error at once."""

    def until_done(self, action: Callable[[], object]) -> object:  # type: ignore[override]
        return action()

    until_done_unless_away = until_done  # type: ignore[assignment]
    for_a_while = until_done  # type: ignore[assignment]

    def breathe(self) -> None:
        """No time passes by itself."""


class Stepper:
    """The seven actors over a `MemoryDatabase`, one step at a time.

    Attributes:
        trace: what happened, in order; equal for equal seeds.
        ended: why the Supervisor gave up, if it did.
    """

    def __init__(
        self,
        database: MemoryDatabase,
        instruments: list[Instrument],
        seed: int,
        *,
        most_restarts: int = 1_000,
    ) -> None:
        self.database = database
        self.clock = StepClock()
        self.callers = Callers()
        self.trace: list[str] = []
        self.ended: Exception | None = None
        self.ready = False
        self.drained = False
        self._random = random.Random(seed)
        self.source = PassiveSource(instruments)
        self._states: dict[PortfolioName, Portfolio] = {}
        self._builders: dict[str, Callable[[], Behaviour]] = {
            "PriceTracker": lambda: PriceTracker(
                self.source,
                database,
                sizer=self._to("Sizer"),
                clock=self.clock,
                retention=timedelta(days=30),
                silent_after=timedelta(seconds=30),
            ),
            "Snapshotter": lambda: Snapshotter(
                database,
                tracker=self._to("PriceTracker"),
                states=self._states,
                supervisor=self._to("Supervisor"),
                me=self._to("Snapshotter"),
                clock=self.clock,
                interval=timedelta(seconds=60),
            ),
            "PositionKeeper": lambda: PositionKeeper(
                database,
                watcher=self._to("DecisionWatcher"),
                sizer=self._to("Sizer"),
                snapshotter=self._to("Snapshotter"),
                supervisor=self._to("Supervisor"),
                wake_later=lambda: None,
                patience=self._patience("PositionKeeper"),
            ),
            "ExecutionSimulator": lambda: ExecutionSimulator(
                sizer=self._to("Sizer"),
                keeper=self._to("PositionKeeper"),
                supervisor=self._to("Supervisor"),
                clock=self.clock,
            ),
            "Sizer": lambda: Sizer(
                execution=self._to("ExecutionSimulator"),
                keeper=self._to("PositionKeeper"),
                watcher=self._to("DecisionWatcher"),
                tracker=self._to("PriceTracker"),
                supervisor=self._to("Supervisor"),
                me=self._to("Sizer"),
                clock=self.clock,
                price_grace=timedelta(seconds=1),
                max_price_age=timedelta(seconds=30),
                same_currency=frozenset({"USD", "USDT", "USDC"}),
            ),
            "DecisionWatcher": lambda: DecisionWatcher(
                database,
                self.callers,
                sizer=self._to("Sizer"),
                supervisor=self._to("Supervisor"),
                wake_later=lambda: None,
                patience=self._patience("DecisionWatcher"),
                clock=self.clock,
            ),
        }
        self._mailboxes: dict[str, Mailbox] = {name: Mailbox() for name in [*self._builders, "Supervisor"]}
        self._behaviours: dict[str, Behaviour | None] = {}
        children = {name: Child(name, lambda name=name: self._build(name), self._to(name)) for name in self._builders}
        self._behaviours["Supervisor"] = Supervisor(
            children,
            database.generation,
            ready=lambda: setattr(self, "ready", True),
            drained=lambda: setattr(self, "drained", True),
            give_up=lambda error: setattr(self, "ended", error),
            clock=self.clock,
            most_restarts=most_restarts,
        )
        self.tell("Supervisor", Begin())

    def tell(self, actor: str, message: Message) -> None:
        """Put a message into an actor's mailbox."""
        self._to(actor).tell(message)

    def quote(self, prices: Mapping[str, str]) -> None:
        """Let the source see prices now, all at one moment."""
        now = self.clock.now()
        quotes = [Quote(Symbol(symbol), Decimal(price), now, now, "test") for symbol, price in prices.items()]
        self.tell("PriceTracker", QuotesSeen({quote.symbol: quote for quote in quotes}))

    def crash(self, actor: str) -> None:
        """The actor's behaviour is gone; what waits in its mailbox stays."""
        if self._behaviours[actor] is not None:
            self._crashed(actor, RuntimeError("injected"))

    def step(self) -> bool:
        """Let one actor handle one group; False where nobody has anything to do."""
        able = [name for name, mailbox in self._mailboxes.items() if mailbox.deliverable]
        if not able:
            return False
        name = self._random.choice(able)
        mailbox = self._mailboxes[name]
        message = mailbox.get().message
        self.trace.append(f"{name} {_named(message)}")
        try:
            self._deliver(name, mailbox, message)
        except DatabaseUnavailable:
            # A thread would wait in place: the same message is handled when the database is back.
            mailbox.put(Envelope(message)) if isinstance(message, Control) else mailbox.give_back([message])
        except Exception as error:  # noqa: BLE001 - as a cell does
            self._crashed(name, error)
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

    def _deliver(self, name: str, mailbox: Mailbox, message: Message) -> None:
        behaviour = self._behaviours[name]
        if isinstance(message, Restart) or (isinstance(message, Rebuild) and behaviour is None):
            behaviour = self._build(name)
        if isinstance(message, Restart) or (isinstance(message, Control) and behaviour is None):
            return
        assert behaviour is not None
        if isinstance(message, Control):
            behaviour.control(message)
            return
        size = self._random.randint(1, behaviour.group_limit)
        behaviour.handle_group([message, *mailbox.take(size - 1)])

    def _build(self, name: str) -> Behaviour:
        behaviour = self._builders[name]()
        behaviour.started()
        self._behaviours[name] = behaviour
        self._mailboxes[name].release()
        return behaviour

    def _crashed(self, name: str, error: Exception) -> None:
        self.trace.append(f"{name} crashed")
        self._behaviours[name] = None
        self._mailboxes[name].hold()
        self.tell("Supervisor", Crashed(name, error))

    def _to(self, name: str) -> MailAddress:
        return MailAddress(self._mailboxes[name])

    def _patience(self, name: str) -> Patience:
        return Impatient(name, self.clock, threading.Event())


def _named(message: Message) -> str:
    """The message's kind, and the decision that it is about."""
    about = getattr(message, "decision", None) or getattr(message, "refusal", None) or getattr(message, "order", None)
    number = getattr(about, "decision_id", None) or getattr(about, "id", None)
    return type(message).__name__ + (f" #{number}" if number is not None else "")
