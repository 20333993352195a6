"""A real Supervisor over six small children in real cells, in one thread, with a clock that the test moves."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar

from actors.messages import Message, PathMessage, Rebuild
from actors.runtime.activity import Activity
from actors.runtime.address import MailAddress
from actors.runtime.behaviour import Behaviour, PathBehaviour
from actors.runtime.mailbox import Mailbox
from actors.supervision.alarms import AlarmNotifier
from actors.supervision.messages import Begin, RaiseGeneration, Rebuilt, Recover
from actors.supervision.recovery import PATH
from actors.supervision.restarts import Backoff, Budget, ChildSpec, Intensity, RestartRule
from actors.supervisor import Log, ProcessHooks, RestartPolicy, StartingPoint, Supervisor
from domain.failures import Failure, FailureKind
from domain.types import DecisionId, Epoch, Generation
from tests.support.actors.stepped_cell import SteppedCell
from tests.support.actors.stepper import StepClock, SteppedChild

NAMES = ("PriceTracker", "Snapshotter", *PATH)
HANG = 30.0


@dataclass(frozen=True, slots=True)
class Work(PathMessage):
    """A message about one decision."""

    decision_id: DecisionId

    @property
    def decisions(self) -> tuple[DecisionId, ...]:
        return (self.decision_id,)


@dataclass(frozen=True, slots=True)
class Say(Message):
    """A message about no decision."""

    text: str


class HandsBusy(Activity):
    """An activity that is busy for as long as the test sets."""

    seconds = 0.0

    @property
    def busy_for(self) -> float:
        return self.seconds


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
        self.cells: dict[str, SteppedCell] = {}
        self.mailboxes = {name: Mailbox() for name in (*NAMES, "Supervisor")}
        self.children = {name: SteppedChild(name, self) for name in NAMES}  # type: ignore[arg-type]
        for name in NAMES:
            self.cell(name)
        rules = {name: RestartRule.PATH if name in PATH else RestartRule.ALONE for name in NAMES}
        window = timedelta(seconds=30)
        specs = tuple(ChildSpec(name, rules[name], Intensity(own, window)) for name in NAMES)
        budget = Budget(specs, Intensity(tree, window), Backoff(jitter=0), random.Random(1))
        hooks = ProcessHooks(
            ready=lambda: setattr(self, "ready", self.ready + 1),
            drained=lambda: setattr(self, "drained", self.drained + 1),
            end_process=self.reasons.append,
            record=self.failures.append,
            later=lambda delay, message: self.later.append((delay, message)),
            disconnect=lambda actor, since: self.disconnected.append((actor, since)),
            notify=AlarmNotifier(None, self.clock).notify,
            hide=lambda text: text.replace("sesame", "********"),
        )
        self.supervisor = Supervisor(
            self.children,
            RestartPolicy(rules, budget, timedelta(seconds=HANG)),
            StartingPoint(Generation(0), Epoch(7)),
            hooks,
            self.clock,
            self.log,
        )
        cell = SteppedCell("Supervisor", self.mailboxes["Supervisor"], lambda _: self.supervisor, self.to("Supervisor"))
        cell.begin()
        self.cells["Supervisor"] = cell

    def to(self, name: str) -> MailAddress:
        return MailAddress(self.mailboxes[name])

    def cell(self, name: str) -> SteppedCell:
        build: Callable[[Activity], Behaviour] = lambda _: OnPath(name, self) if name in PATH else OffPath(self)  # noqa: E731
        cell = SteppedCell(name, self.mailboxes[name], build, self.to("Supervisor"))
        cell.activity = HandsBusy()  # type: ignore[assignment]
        self.cells[name] = cell
        return cell

    def hear(self, what: object) -> None:
        self.heard.append(what)
        if what in self.bad:
            raise ValueError(f"cannot bear {what}")

    def begin(self) -> Stage:
        self.to("Supervisor").tell(Begin())
        return self.run()

    def run(self) -> Stage:
        """Run until no actor has a message."""
        while able := [name for name, mailbox in self.mailboxes.items() if mailbox.deliverable]:
            envelope = self.mailboxes[able[0]].get()
            assert envelope is not None
            self.cells[able[0]].receive(envelope.message)
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
        cell.activity.seconds = seconds  # type: ignore[attr-defined]

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
