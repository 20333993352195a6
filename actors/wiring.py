"""The seven actors, their mailboxes and addresses: who is told what."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

import pykka

from actors.cell import Behaviour, Cell, MailAddress
from actors.decision_watcher import Callers, DecisionWatcher
from actors.execution_simulator import ExecutionSimulator
from actors.mailbox import Mailbox
from actors.messages import BookKnown, Crashed, Ping, QuotesSeen, SourceEnded, Tick, Wake
from actors.patience import Patience
from actors.ports import Address, Decisions, Ledger, PriceRecords, Snapshots
from actors.position_keeper import PositionKeeper
from actors.price_tracker import PriceTracker
from actors.settings import Settings
from actors.sizer import Sizer
from actors.snapshotter import Snapshotter
from actors.supervisor import Child, Supervisor
from actors.timer import Timer
from domain.errors import PaperTradingError
from domain.market import PriceSource, Quote, SymbolBook
from domain.portfolio import Portfolio
from domain.words import Clock, Generation, PortfolioName

POLL_FOR_PRICES = timedelta(milliseconds=100)
"""How often the Sizer looks for decisions that have waited too long for a price."""
RECORD_PRICES = timedelta(seconds=1)
WAKE_AGAIN = timedelta(milliseconds=250)
BARRIER = 10.0
"""Seconds in which an actor's thread must answer."""
STOP_LIMIT = 0.5
"""Seconds that the cells get together to end; one that waits for a dead connection is left to its daemon thread."""


@dataclass(frozen=True, slots=True)
class Ports:
    """What the actors reach outside: the database's tables and the price source."""

    ledger: Ledger
    decisions: Decisions
    prices: PriceRecords
    snapshots: Snapshots
    source: PriceSource


class Wiring:
    """Seven cells with their addresses. Nothing runs before `start`.

    Args:
        settings: intervals, limits and currencies.
        ports: database and market.
        generation: the last one committed.
        clock: the time, for all of them.
        give_up: called, from any thread, when the process cannot go on.
    """

    def __init__(
        self,
        settings: Settings,
        ports: Ports,
        *,
        generation: Generation,
        clock: Clock,
        give_up: Callable[[Exception], None],
    ) -> None:
        self.ready = threading.Event()
        self.drained = threading.Event()
        self.stopping = threading.Event()
        self.timer = Timer(clock)
        self._settings = settings
        self._ports = ports
        self._clock = clock
        self._report = give_up
        self._callers = Callers()
        self._states: dict[PortfolioName, Portfolio] = {}
        self._refs: list[pykka.ActorRef[Cell]] = []
        # In the order in which they start: what others rest on comes first.
        self._builders: dict[str, Callable[[], Behaviour]] = {
            "PriceTracker": self._price_tracker,
            "Snapshotter": self._snapshotter,
            "PositionKeeper": self._position_keeper,
            "ExecutionSimulator": self._execution_simulator,
            "Sizer": self._sizer,
            "DecisionWatcher": self._decision_watcher,
        }
        self._mailboxes = {name: Mailbox() for name in [*self._builders, "Supervisor"]}
        children = {name: Child(name, self._starter(name), self.address(name)) for name in self._builders}
        self._supervisor = lambda: Supervisor(
            children, generation, ready=self.ready.set, drained=self.drained.set, give_up=self._give_up, clock=clock
        )

    def address(self, name: str) -> MailAddress:
        """Return where to send messages to an actor."""
        return MailAddress(self._mailboxes[name])

    def start(self) -> None:
        """Start the Supervisor, which starts the rest once it is told to begin."""
        self._start("Supervisor", self._supervisor, _LastResort(self._give_up))

    def schedule(self) -> None:
        """Begin the ticks: polls, deadlines, prices to be stored, snapshots on the grid."""
        poll = timedelta(seconds=self._settings.check_interval)
        self.timer.every(poll, self.address("DecisionWatcher"), Wake())
        self.timer.every(poll, self.address("PositionKeeper"), Wake())
        self.timer.every(POLL_FOR_PRICES, self.address("Sizer"), Tick())
        self.timer.every(RECORD_PRICES, self.address("PriceTracker"), Tick())
        grid = timedelta(seconds=self._settings.snapshot_interval)
        self.timer.on_grid(grid, self.address("Snapshotter"), Tick())
        self.timer.start()

    def woken(self, channel: str) -> None:
        """Pass a wake-up of the database on."""
        self.address({"paper_config": "PositionKeeper"}.get(channel, "DecisionWatcher")).tell(Wake())

    def stop(self) -> None:
        """Stop every cell, intake first; each gets a moment, none can keep the others running."""
        self.stopping.set()
        for ref in reversed(self._refs):
            ref.stop(block=False)
        deadline = time.monotonic() + STOP_LIMIT
        for ref in reversed(self._refs):
            ref.actor_stopped.wait(timeout=max(0.0, deadline - time.monotonic()))
        self._callers.fail_all(PaperTradingError("the system has stopped; the decision waits in the database"))

    def _give_up(self, reason: Exception) -> None:
        """Nobody will be answered any more: say so, first to those who wait."""
        self._callers.fail_all(
            PaperTradingError(f"the system has ended ({reason}); the decision waits in the database")
        )
        self._report(reason)

    def _starter(self, name: str) -> Callable[[], None]:
        return lambda: self._start(name, self._builders[name], self.address("Supervisor"))

    def _start(self, name: str, build: Callable[[], Behaviour], supervisor: Address) -> None:
        ref = Cell.start(name, self._mailboxes[name], build, supervisor)
        self._refs.append(ref)
        ref.ask(Ping(), timeout=BARRIER)

    def _patience(self, name: str) -> Patience:
        return Patience(name, self._clock, self.stopping)

    def _wake_later(self, name: str) -> Callable[[], None]:
        return lambda: self.timer.after(WAKE_AGAIN, self.address(name), Wake(), key=name)

    def _price_tracker(self) -> Behaviour:
        return PriceTracker(
            self._ports.source,
            self._ports.prices,
            sizer=self.address("Sizer"),
            clock=self._clock,
            retention=timedelta(days=self._settings.price_retention_days),
            silent_after=timedelta(seconds=self._settings.max_price_age),
        )

    def _snapshotter(self) -> Behaviour:
        return Snapshotter(
            self._ports.snapshots,
            tracker=self.address("PriceTracker"),
            states=self._states,
            supervisor=self.address("Supervisor"),
            me=self.address("Snapshotter"),
            clock=self._clock,
            interval=timedelta(seconds=self._settings.snapshot_interval),
        )

    def _position_keeper(self) -> Behaviour:
        return PositionKeeper(
            self._ports.ledger,
            watcher=self.address("DecisionWatcher"),
            sizer=self.address("Sizer"),
            snapshotter=self.address("Snapshotter"),
            supervisor=self.address("Supervisor"),
            wake_later=self._wake_later("PositionKeeper"),
            patience=self._patience("PositionKeeper"),
        )

    def _execution_simulator(self) -> Behaviour:
        return ExecutionSimulator(
            sizer=self.address("Sizer"),
            keeper=self.address("PositionKeeper"),
            supervisor=self.address("Supervisor"),
            clock=self._clock,
        )

    def _sizer(self) -> Behaviour:
        return Sizer(
            execution=self.address("ExecutionSimulator"),
            keeper=self.address("PositionKeeper"),
            watcher=self.address("DecisionWatcher"),
            tracker=self.address("PriceTracker"),
            supervisor=self.address("Supervisor"),
            me=self.address("Sizer"),
            clock=self._clock,
            price_grace=timedelta(seconds=self._settings.price_grace),
            max_price_age=timedelta(seconds=self._settings.max_price_age),
            same_currency=frozenset(self._settings.same_currency),
        )

    def _decision_watcher(self) -> Behaviour:
        return DecisionWatcher(
            self._ports.decisions,
            self._callers,
            sizer=self.address("Sizer"),
            supervisor=self.address("Supervisor"),
            wake_later=self._wake_later("DecisionWatcher"),
            patience=self._patience("DecisionWatcher"),
            clock=self._clock,
        )


class TrackerDoor:
    """What the price source calls: puts a message into the PriceTracker's mailbox."""

    def __init__(self, tracker: Address) -> None:
        self._tracker = tracker

    def book_known(self, book: SymbolBook) -> None:
        """The source knows its instruments."""
        self._tracker.tell(BookKnown(book))

    def quotes_seen(self, quotes: Sequence[Quote]) -> None:
        """The source saw prices."""
        self._tracker.tell(QuotesSeen({quote.symbol: quote for quote in quotes}))

    def source_ended(self, reason: str) -> None:
        """The source sends nothing any more."""
        self._tracker.tell(SourceEnded(reason))


class _LastResort:
    """Who is told when the Supervisor itself crashes."""

    def __init__(self, give_up: Callable[[Exception], None]) -> None:
        self._give_up = give_up

    def tell(self, message: object, /) -> None:
        """End the process: nobody is left who could mend it."""
        if isinstance(message, Crashed):
            self._give_up(PaperTradingError(f"the Supervisor crashed: {message.error!r}"))
