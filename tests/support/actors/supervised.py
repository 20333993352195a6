"""A real Supervisor over six small children in real cells, in one thread, with a clock that the test moves."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import ClassVar

from actors.messages import Message, PathMessage, Rebuild
from actors.runtime.address import MailAddress
from actors.runtime.behaviour import Behaviour, PathBehaviour
from actors.runtime.cell import Builder
from actors.runtime.dead_letters import DeadLetters
from actors.supervision.alarms import AlarmNotifier
from actors.supervision.messages import Begin, RaiseGeneration, Rebuilt, Recover
from actors.supervision.recovery import PATH
from actors.supervision.restarts import Backoff, Budget, Intensity
from actors.supervisor import Log, ProcessHooks, StartingPoint, Supervisor
from domain.failures import Failure, FailureKind
from domain.types import DecisionId, Epoch, Generation
from tests.support.actors.stepped_runtime import StepClock, SteppedCell, SteppedHost

NAMES = ("PriceTracker", "Snapshotter", *PATH)
HANG = 30.0
WINDOW = timedelta(seconds=30)


class Work(PathMessage):
    """A message about one decision."""

    decision_id: DecisionId

    @property
    def decisions(self) -> tuple[DecisionId, ...]:
        return (self.decision_id,)


class Say(Message):
    """A message about no decision."""

    text: str


class OffPath(Behaviour):
    """A behaviour off the path: it records each text, or crashes on it."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage

    def started(self) -> None:
        if self.stage.fails_to_start:
            self.stage.fails_to_start -= 1
            raise OSError("no start")

    def handle(self, message: Message) -> None:
        assert isinstance(message, Say)
        self.stage.hear(message.text)


class OnPath(PathBehaviour):
    """A behaviour on the path: it takes groups; the DecisionWatcher's sends decisions to the PositionKeeper's."""

    group_limit: ClassVar[int] = 10

    def __init__(self, name: str, stage: Stage) -> None:
        self.name = name
        self.stage = stage

    def rebuild(self, message: Rebuild) -> None:
        self.generation = message.generation
        self.stage.rebuilds.append(message)
        self.stage.begun.append((self.name, message.generation))
        if self.name == "DecisionWatcher":
            for id_, failure in message.poisoned.items():
                self.stage.poisoned[id_] = failure
                self.stage.pending.remove(id_)
            for id_ in self.stage.pending:
                self.stage.to("PositionKeeper").tell(Work(message.generation, id_))
        self.stage.to("Supervisor").tell(Rebuilt(self.name, message.generation))

    def handle_current(self, messages: list[Message]) -> None:
        for message in messages:
            for id_ in message.decisions:
                self.stage.hear(id_)
        done = [id_ for message in messages for id_ in message.decisions]
        self.stage.groups.append(done)
        for id_ in done:
            self.stage.pending.remove(id_)


class Stage:
    """A Supervisor with its children.

    Attributes:
        bad: texts and decisions on which each child crashes.
        heard: texts and decisions that were handled, or crashed on.
        later: the messages that the Supervisor has delayed.
        reasons: the reasons for which it ended the process.
    """

    def __init__(self, own: int = 5, tree: int = 5) -> None:
        self.clock = StepClock()
        self.bad: set[object] = set()
        self.fails_to_start = 0
        self.heard: list[object] = []
        self.groups: list[list[DecisionId]] = []
        self.begun: list[tuple[str, Generation]] = []
        self.rebuilds: list[Rebuild] = []
        self.pending: list[DecisionId] = []
        self.poisoned: dict[DecisionId, Failure] = {}
        self.failures: list[Failure] = []
        self.later: list[tuple[timedelta, Recover]] = []
        self.disconnected: list[tuple[str, float]] = []
        self.reasons: list[Exception] = []
        self.ready = 0
        self.drained = 0
        self.log = Log()
        dead_letters = DeadLetters(self.clock)
        supervisor = SteppedHost("Supervisor", lambda _: self.supervisor, self, dead_letters)
        children = {name: SteppedHost(name, self._builder(name), supervisor.address, dead_letters) for name in NAMES}
        self.hosts = {**children, "Supervisor": supervisor}
        window = timedelta(seconds=30)
        budget = Budget(
            dict.fromkeys(NAMES, Intensity(own, window)), Intensity(tree, window), Backoff(jitter=0), random.Random(1)
        )
        hooks = ProcessHooks(
            ready=lambda: setattr(self, "ready", self.ready + 1),
            drained=lambda: setattr(self, "drained", self.drained + 1),
            end_process=self.reasons.append,
            record=self.failures.append,
            later=lambda delay, message: self.later.append((delay, message)),
            disconnect=lambda actor, since: self.disconnected.append((actor, since)),
            notify=AlarmNotifier(None, self.clock).notify,
            log=self.log,
            hide=lambda text: text.replace("sesame", "********"),
        )
        self.supervisor = Supervisor(
            children,
            budget,
            timedelta(seconds=HANG),
            StartingPoint(Generation(0), Epoch(7)),
            hooks,
            self.clock,
        )
        supervisor.start()

    @property
    def cells(self) -> dict[str, SteppedCell]:
        return {name: host.cells[-1] for name, host in self.hosts.items()}

    def to(self, name: str) -> MailAddress:
        return self.hosts[name].address

    def _builder(self, name: str) -> Builder:
        return lambda _: OnPath(name, self) if name in PATH else OffPath(self)

    def hear(self, what: object) -> None:
        self.heard.append(what)
        if what in self.bad:
            raise ValueError(f"cannot bear {what}")

    def begin(self) -> Stage:
        self.to("Supervisor").tell(Begin())
        return self.run()

    def run(self) -> Stage:
        """Run until no actor has a message."""
        while able := [host for host in self.hosts.values() if host.mailbox.deliverable]:
            envelope = able[0].mailbox.get()
            assert envelope is not None
            able[0].cells[-1].receive(envelope.message)
        return self

    def tell(self, message: Message, name: str = "Supervisor") -> Stage:
        self.to(name).tell(message)
        return self.run()

    def wait(self) -> Stage:
        """Deliver the delayed messages, and run."""
        due, self.later = self.later, []
        for _, message in due:
            self.to("Supervisor").tell(message)
        return self.run()

    def hang(self, name: str, seconds: float, *in_hand: Message) -> None:
        cell = self.cells[name]
        cell.in_hand = list(in_hand)
        cell.activity.begin("Work")
        cell.activity.seconds = seconds

    def send(self, *ids: DecisionId) -> Stage:
        """Add decisions that the next generation takes."""
        self.pending.extend(ids)
        return self.tell(RaiseGeneration(self.generation, "there is more to do"))

    @property
    def generation(self) -> Generation:
        return self.begun[-1][1]

    @property
    def kinds(self) -> list[FailureKind]:
        return [failure.kind for failure in self.failures]


CRASH, HUNG, QUARANTINE, GAVE_UP = (
    FailureKind.CRASH,
    FailureKind.HANG,
    FailureKind.QUARANTINE,
    FailureKind.GAVE_UP,
)
