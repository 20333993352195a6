"""The real Supervisor over six small children in real cells, one thread, time by hand."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar

import pytest

from actors.activity import Activity
from actors.address import MailAddress
from actors.alarms import Bell
from actors.behaviour import Behaviour, PathBehaviour
from actors.mailbox import Mailbox
from actors.messages import Drain, Message, PathMessage, Rebuild, Tick
from actors.recovery import PATH
from actors.restarts import MOST_CULPRITS, Backoff, Budget, ChildSpec, Intensity, RestartRule
from actors.supervision import Begin, Crashed, Disconnected, Drained, Failed, RaiseGeneration, Rebuilt, Recover, Replace
from actors.supervisor import Log, Office, Supervisor
from domain.errors import LeaseHeld, PaperTradingError, RestartLimitReached
from domain.failures import Failure, FailureKind
from domain.words import DecisionId, Generation
from tests.stepped_cell import SteppedCell
from tests.stepper import StepClock, SteppedChild

NAMES = ("PriceTracker", "Snapshotter", *PATH)
HANG = 30.0


@dataclass(frozen=True, slots=True)
class Work(PathMessage):
    """About one decision."""

    decision_id: DecisionId

    @property
    def decisions(self) -> tuple[DecisionId, ...]:
        return (self.decision_id,)


@dataclass(frozen=True, slots=True)
class Say(Message):
    """About no decision."""

    word: str


class HandsBusy(Activity):
    """Busy for as long as a test says."""

    seconds = 0.0

    @property
    def busy_for(self) -> float:
        return self.seconds


class OffPath(Behaviour):
    """Says what it hears, or crashes on it."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage

    def started(self) -> None:
        if self.stage.fails_to_start:
            self.stage.fails_to_start -= 1
            raise OSError("no start")

    def handle(self, message: Message) -> None:
        assert isinstance(message, Say)
        self.stage.hear(message.word)


class OnPath(PathBehaviour):
    """Takes decisions in groups; the DecisionWatcher's sends all that have no end to the PositionKeeper's."""

    group_limit: ClassVar[int] = 10

    def __init__(self, name: str, stage: Stage) -> None:
        self.name = name
        self.stage = stage

    def rebuild(self, word: Rebuild) -> None:
        self.generation = word.generation
        self.stage.rebuilds.append(word)
        self.stage.begun.append((self.name, word.generation))
        if self.name == "DecisionWatcher":
            for id_, failure in word.poisoned.items():
                self.stage.poisoned[id_] = failure
                self.stage.pending.remove(id_)
            for id_ in self.stage.pending:
                self.stage.to("PositionKeeper").tell(Work(word.generation, id_))
        self.stage.to("Supervisor").tell(Rebuilt(self.name, word.generation))

    def handle_current(self, messages: list[Message]) -> None:
        for message in messages:
            for id_ in message.decisions:
                self.stage.hear(id_)
        done = [id_ for message in messages for id_ in message.decisions]
        self.stage.groups.append(done)
        for id_ in done:
            self.stage.pending.remove(id_)


class Stage:
    """A Supervisor, its children and everything that it asks for.

    Attributes:
        bad: what whoever hears of it crashes on.
        heard: words and decisions that were handled, or crashed on.
        later: what the Supervisor has put off.
        reasons: why it gave up.
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
        office = Office(
            ready=lambda: setattr(self, "ready", self.ready + 1),
            drained=lambda: setattr(self, "drained", self.drained + 1),
            give_up=self.reasons.append,
            record=self.failures.append,
            later=lambda delay, word: self.later.append((delay, word)),
            disconnect=lambda actor, since: self.disconnected.append((actor, since)),
            sound=Bell(None, self.clock).sound,
            hide=lambda text: text.replace("sesame", "********"),
        )
        self.supervisor = Supervisor(
            self.children,
            rules,
            Budget(specs, Intensity(tree, window), Backoff(jitter=0), random.Random(1)),
            Generation(0),
            epoch=7,
            office=office,
            clock=self.clock,
            hang_timeout=timedelta(seconds=HANG),
            log=self.log,
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
        """Until nobody has anything to do now."""
        while able := [name for name, mailbox in self.mailboxes.items() if mailbox.deliverable]:
            envelope = self.mailboxes[able[0]].get()
            assert envelope is not None
            self.cells[able[0]].receive(envelope.message)
        return self

    def tell(self, message: Message, name: str = "Supervisor") -> Stage:
        self.to(name).tell(message)
        return self.run()

    def wait(self) -> Stage:
        """Until what was put off is due."""
        due, self.later = self.later, []
        for _, word in due:
            self.to("Supervisor").tell(word)
        return self.run()

    def hang(self, name: str, seconds: float, *in_hand: Message) -> None:
        cell = self.cells[name]
        cell.in_hand = list(in_hand)
        cell.activity.begin("Work")
        cell.activity.seconds = seconds  # type: ignore[attr-defined]

    def send(self, *ids: DecisionId) -> Stage:
        """Decisions that the next generation takes up."""
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


@pytest.fixture
def stage() -> Stage:
    return Stage().begin()


def test_the_path_is_built_downstream_first_and_then_takes_decisions(stage: Stage) -> None:
    begun = [name for name, _ in stage.begun]
    assert ("PositionKeeper", "DecisionWatcher") == (begun[0], begun[-1])
    assert sorted(PATH) == sorted(begun)
    assert (1, []) == (stage.ready, stage.failures)


# Poison


def test_a_crash_on_a_decision_begins_a_generation_at_once_and_costs_no_restart(stage: Stage) -> None:
    stage.bad = set(range(100))
    stage.send(*range(100))
    assert [] == stage.later
    assert [] == stage.reasons
    assert set(range(100)) == set(stage.poisoned)


def test_many_decisions_that_crash_within_the_window_are_not_at_fault_themselves(stage: Stage) -> None:
    ids = range(MOST_CULPRITS + 50)
    stage.bad = set(ids)
    stage.send(*ids)
    while stage.later:
        stage.wait()
    assert "gave up after 5 restarts within 30 s; the last to fail was PositionKeeper" in str(stage.reasons[0])
    assert MOST_CULPRITS + 5 == len(stage.poisoned)
    assert [*range(MOST_CULPRITS + 5, MOST_CULPRITS + 50)] == stage.pending[:45]


def test_where_memory_runs_out_a_decision_is_quarantined_the_second_time_and_each_crash_costs_a_restart(
    stage: Stage,
) -> None:
    for id_ in (1, 2, 3):
        for _ in range(2):
            stage.tell(Crashed("Sizer", MemoryError(), "Work", frozenset({id_})))
            stage.pending = [id_]
            stage.wait()
    assert 1 == len(stage.reasons)
    assert [1, 2] == list(stage.poisoned)


def test_the_second_crash_on_a_decision_quarantines_it(stage: Stage) -> None:
    stage.bad = {3}
    stage.send(3)
    assert [3, 3] == stage.heard
    assert [CRASH, CRASH, QUARANTINE] == stage.kinds
    failure = stage.poisoned[3]
    assert stage.failures[-1] is failure
    assert ("7-3", 3, "PositionKeeper", "Work") == (
        failure.reference,
        failure.decision_id,
        failure.actor,
        failure.message,
    )
    assert "PositionKeeper crashed twice on it (ValueError: cannot bear 3)" == failure.error
    assert "cannot bear 3" in failure.traceback
    assert 1 == stage.log.quarantined
    assert list(stage.failures) == list(stage.log.failures)


def test_a_group_that_crashed_is_handled_one_by_one_until_the_culprit_is_found_and_the_others_go_on(
    stage: Stage,
) -> None:
    stage.bad = {3}
    stage.send(1, 2, 3, 4, 5)
    assert [3] == list(stage.poisoned)
    assert [] == stage.pending
    # First all at once as far as the third; then each alone until it is met again; then what is left.
    assert [1, 2, 3, 1, 2, 3, 4, 5] == stage.heard
    assert [[1], [2], [4], [5]] == stage.groups
    assert [CRASH, CRASH, QUARANTINE] == stage.kinds


def test_two_culprits_in_one_group_are_both_found(stage: Stage) -> None:
    stage.bad = {2, 4}
    stage.send(1, 2, 3, 4, 5)
    assert [2, 4] == list(stage.poisoned)
    assert [[1], [3], [5]] == stage.groups


def test_strikes_count_over_all_actors(stage: Stage) -> None:
    stage.bad = {9}
    stage.tell(Work(stage.generation, 9), "Sizer")
    assert {} == stage.poisoned
    stage.pending.append(9)
    stage.tell(Work(stage.generation, 9), "ExecutionSimulator")
    assert [9] == list(stage.poisoned)
    assert "ExecutionSimulator crashed twice on it" in stage.poisoned[9].error


def test_poisoned_decisions_are_told_to_each_generation_until_one_has_begun(stage: Stage) -> None:
    stage.pending.append(4)
    stage.tell(RaiseGeneration(stage.generation, "refused", poisoned={4: "out of range"}))
    assert "out of range" == stage.poisoned[4].error
    stage.send(1)  # would fail to remove 4 again, were it still told
    assert [4] == list(stage.poisoned)


def test_a_row_that_cannot_be_ended_is_quarantined_the_second_time(stage: Stage) -> None:
    stage.pending.append(4)
    stage.bad = set()
    for expected in ([], [4]):
        stage.tell(RaiseGeneration(stage.generation, "gone", missing=frozenset({4})))
        stage.pending = [4]
        assert expected == list(stage.poisoned)


def test_what_is_said_in_an_older_generation_changes_nothing(stage: Stage) -> None:
    before = stage.begun[:]
    stage.tell(RaiseGeneration(Generation(0), "old", poisoned={4: "x"}))
    stage.tell(Rebuilt("PositionKeeper", Generation(0)))
    stage.tell(Rebuilt("Sizer", stage.generation))  # nobody waits for that
    assert before == stage.begun
    assert [] == stage.failures


def test_no_secret_gets_into_what_is_stored_of_a_failure(stage: Stage) -> None:
    for _ in range(2):
        stage.tell(Crashed("Sizer", OSError("open sesame"), "Work", frozenset({1})))
        stage.pending = [1]
    assert [CRASH, CRASH, QUARANTINE] == stage.kinds
    assert "********" in stage.poisoned[1].error
    for failure in stage.failures:
        assert "sesame" not in failure.error + failure.traceback


# Messages off the path


def test_a_message_that_crashes_its_actor_twice_is_dropped_and_costs_no_restart(stage: Stage) -> None:
    stage.bad = {f"bad {n}" for n in range(20)}
    for n in range(20):
        stage.tell(Say(f"bad {n}"), "Snapshotter")
        assert [(timedelta(milliseconds=50), Recover("Snapshotter"))] == stage.later
        stage.wait()
        assert [] == stage.later  # the second time it goes on at once
        stage.tell(Say(f"good {n}"), "Snapshotter")
    assert [CRASH, CRASH, QUARANTINE] * 20 == stage.kinds
    put_aside = stage.failures[2]
    assert ("Snapshotter", "Say", None) == (put_aside.actor, put_aside.message, put_aside.decision_id)
    assert "crashed twice on it (ValueError: cannot bear bad 0)" == put_aside.error
    assert [word for n in range(20) for word in (f"bad {n}", f"bad {n}", f"good {n}")] == stage.heard
    assert (20, []) == (stage.log.quarantined, stage.reasons)
    assert 1 == stage.ready  # the path went on all the while


def test_an_actor_that_fails_to_start_is_begun_again_after_longer_and_longer() -> None:
    stage = Stage()
    stage.fails_to_start = 3
    stage.begin()
    delays = []
    while stage.later:
        delays += [delay for delay, word in stage.later if word.actor == "Snapshotter"]
        stage.wait()
    assert stage.cells["Snapshotter"].behaviour is not None
    assert [CRASH] * 3 == stage.kinds
    assert {"PriceTracker", "Snapshotter"} == {failure.actor for failure in stage.failures}


# Over the limit


def test_over_the_limit_it_ends_once_with_the_reason_and_begins_nothing_more(stage: Stage) -> None:
    for n in range(5):
        stage.cells["PriceTracker"].crash(OSError(f"number {n}"))
        stage.run().wait()
        assert [] == stage.reasons
    stage.cells["PriceTracker"].crash(OSError("one too many"))
    stage.run()
    (reason,) = stage.reasons
    assert isinstance(reason, RestartLimitReached)
    assert "gave up after 5 restarts within 30 s; the last to fail was PriceTracker (OSError: one too many)" == str(
        reason
    )
    assert GAVE_UP == stage.failures[-1].kind
    assert str(reason) == stage.failures[-1].error
    before = stage.begun[:]
    stage.cells["Sizer"].crash(OSError("and another"))
    stage.run().wait()
    stage.tell(Crashed("Sizer", OSError("on a decision"), "Work", frozenset({1})))
    assert [reason] == stage.reasons
    assert before == stage.begun
    assert [] == stage.later


def test_crashes_of_several_actors_count_for_the_tree(stage: Stage) -> None:
    for name in ("PriceTracker", "Snapshotter", "PriceTracker", "Snapshotter", "Sizer"):
        stage.cells[name].crash(OSError("x"))
        stage.run().wait()
    assert [] == stage.reasons
    stage.clock.pass_by(29.999)
    stage.cells["Snapshotter"].crash(OSError("x"))
    assert 1 == len(stage.run().reasons)


def test_crashes_far_apart_are_forgiven(stage: Stage) -> None:
    for _ in range(50):
        stage.cells["PriceTracker"].crash(OSError("x"))
        assert timedelta(milliseconds=50) <= stage.run().later[0][0] <= timedelta(milliseconds=800)
        stage.wait()
        stage.clock.pass_by(6)
    assert [] == stage.reasons


# Hangs


def test_a_hang_is_given_up_disconnected_and_replaced(stage: Stage) -> None:
    stage.hang("PriceTracker", HANG + 0.1, Say("tried again"))
    old = stage.cells["PriceTracker"]
    stage.to("PriceTracker").tell(Say("waits"))
    stage.cells["PriceTracker"].mailbox.hold()  # its thread takes nothing
    stage.tell(Tick())
    assert [("PriceTracker", 0.0)] == stage.disconnected
    assert old.given_up
    assert stage.cells["PriceTracker"] is not old
    assert [HUNG] == stage.kinds
    assert ("PriceTracker", "Work", "has been busy with Work for 30.1 s") == (
        stage.failures[0].actor,
        stage.failures[0].message,
        stage.failures[0].error,
    )
    assert [] == stage.heard  # the successor waits, as after a crash
    assert [(timedelta(milliseconds=50), Recover("PriceTracker"))] == stage.later
    stage.wait()
    assert ["tried again", "waits"] == stage.heard
    assert 1 == stage.cells["PriceTracker"].activity.failed


def test_whoever_is_not_busy_for_longer_than_allowed_is_left_alone(stage: Stage) -> None:
    stage.hang("Sizer", HANG)
    stage.tell(Tick())
    assert ([], []) == (stage.failures, stage.disconnected)


def test_a_hang_on_the_path_begins_a_generation_after_a_while_and_the_path_rests_until_then(stage: Stage) -> None:
    before = stage.generation
    stage.hang("Sizer", HANG + 1, Work(before, 5))
    stage.tell(Tick())
    assert [None] * 3 == [
        behaviour.generation
        for name in PATH
        if isinstance(behaviour := stage.cells[name].behaviour, OnPath)  # the successor has none yet
    ]
    assert [(timedelta(milliseconds=50), Recover(None))] == stage.later
    assert before == stage.generation
    stage.wait()
    assert before + 1 == stage.generation
    assert 2 == stage.ready


def test_the_second_hang_on_a_decision_quarantines_it(stage: Stage) -> None:
    stage.pending.append(5)
    for _ in range(2):
        stage.hang("Sizer", HANG + 1, Work(stage.generation, 5))
        stage.tell(Tick())
    stage.wait()
    assert [HUNG, HUNG, QUARANTINE] == stage.kinds
    assert "Sizer has been busy with Work for 31.0 s, the second time" == stage.poisoned[5].error


def test_a_replacement_by_hand_costs_no_restart_and_is_no_strike(stage: Stage) -> None:
    stage.hang("Sizer", 1.0, Work(stage.generation, 5))
    for _ in range(7):
        stage.tell(Replace("Sizer"))
        stage.tell(Replace("PriceTracker"))
    assert ([], []) == (stage.reasons, stage.later)
    assert [FailureKind.REPLACED] * 14 == stage.kinds
    assert {} == stage.poisoned


def test_hangs_cost_restarts(stage: Stage) -> None:
    for _ in range(6):
        stage.hang("Sizer", HANG + 1)
        stage.tell(Tick()).wait()
    assert 1 == len(stage.reasons)


def test_in_a_call_to_the_database_it_waits_until_the_database_answers_others(stage: Stage) -> None:
    with ExitStack() as inside:
        stage.hang("PositionKeeper", HANG + 1)
        activity = stage.cells["PositionKeeper"].activity
        inside.enter_context(activity.call())
        assert activity.doing is not None
        since = activity.doing.since
        stage.tell(Tick())
        assert [("PositionKeeper", since)] == stage.disconnected
        activity.seconds = 1_000.0  # type: ignore[attr-defined]
        stage.tell(Disconnected("PositionKeeper", since, ended=False))  # it answers nobody
        stage.tell(Tick())
        assert [] == stage.failures
        activity.seconds = HANG * 2  # type: ignore[attr-defined]
        stage.tell(Disconnected("PositionKeeper", since, ended=True))  # the call ends by itself now
        stage.tell(Disconnected("PositionKeeper", since - 1, ended=True))  # that was about another one
        assert [] == stage.failures
        activity.seconds = HANG * 2 + 0.1  # type: ignore[attr-defined]
        stage.tell(Disconnected("PositionKeeper", since - 1, ended=True))
        assert [] == stage.failures
        stage.tell(Disconnected("PositionKeeper", since, ended=True))
    assert [HUNG] == stage.kinds
    assert "is deaf to the end of its connection while it does Work" == stage.failures[0].error


def test_where_the_database_answered_nobody_for_long_its_first_answer_gives_nobody_up(stage: Stage) -> None:
    with ExitStack() as inside:
        stage.hang("PositionKeeper", 1_000.0)
        activity = stage.cells["PositionKeeper"].activity
        inside.enter_context(activity.call())
        assert activity.doing is not None
        stage.tell(Disconnected("PositionKeeper", activity.doing.since, ended=True))  # its call may end any moment now
        assert [] == stage.failures
        stage.tell(Disconnected("PositionKeeper", activity.doing.since, ended=True))
    assert [HUNG] == stage.kinds


def test_an_answer_that_comes_after_the_call_has_ended_changes_nothing(stage: Stage) -> None:
    stage.hang("PositionKeeper", HANG * 3)
    activity = stage.cells["PositionKeeper"].activity
    assert activity.doing is not None
    stage.tell(Disconnected("PositionKeeper", activity.doing.since, ended=True))
    activity.end(0)
    stage.tell(Disconnected("PositionKeeper", 0.0, ended=True))
    assert [] == stage.failures


def test_a_thread_that_has_ended_is_replaced(stage: Stage) -> None:
    old = stage.cells["Snapshotter"]
    stage.children["Snapshotter"].alive = False
    stage.tell(Tick())
    stage.children["Snapshotter"].alive = True
    assert [FailureKind.THREAD_ENDED] == stage.kinds
    assert stage.cells["Snapshotter"] is not old
    stage.tell(Say("waits"), "Snapshotter")
    assert [] == stage.heard
    stage.wait()
    assert ["waits"] == stage.heard


# What comes late


def test_a_recover_that_comes_late_begins_nothing_twice(stage: Stage) -> None:
    stage.cells["Sizer"].crash(OSError("x"))
    stage.run()
    assert [Recover(None)] == [word for _, word in stage.later]
    stage.bad = {1}
    stage.tell(Crashed("PositionKeeper", ValueError("y"), "Work", frozenset({1})))  # begins one meanwhile
    begun = stage.generation
    stage.wait()
    assert begun == stage.generation == 2
    assert 2 == stage.ready


def test_several_crashes_of_one_unit_wait_for_one_recover(stage: Stage) -> None:
    for name in ("Sizer", "PositionKeeper", "ExecutionSimulator"):
        stage.cells[name].crash(OSError("x"))
        stage.run()
    assert [Recover(None)] == [word for _, word in stage.later]
    stage.wait()
    assert 2 == stage.generation == stage.ready


def test_while_a_recover_waits_nobody_else_raises_the_generation(stage: Stage) -> None:
    stage.cells["Sizer"].crash(OSError("x"))
    stage.run()
    stage.tell(RaiseGeneration(stage.generation, "the database was away"))
    assert 1 == stage.generation
    stage.wait()
    assert 2 == stage.generation


def test_a_recover_of_nobody_who_waits_is_nothing(stage: Stage) -> None:
    stage.tell(Recover(None)).tell(Recover("Snapshotter"))
    assert (1, 1) == (stage.generation, stage.ready)


# The end


def test_whoever_cannot_go_on_ends_the_process_once(stage: Stage) -> None:
    error = LeaseHeld("another process serves this database")
    stage.tell(Failed(error)).tell(Failed(RuntimeError("again")))
    assert [error] == stage.reasons
    other = Stage().begin().tell(Failed(RuntimeError("odd")))
    assert isinstance(other.reasons[0], PaperTradingError)
    assert "odd" == str(other.reasons[0])


def test_the_stop_is_passed_on_and_done_when_both_ends_of_the_path_are_empty(stage: Stage) -> None:
    heard: list[object] = []
    stage.children["DecisionWatcher"].address.tell = heard.append  # type: ignore[method-assign]
    stage.tell(Drain())
    assert [Drain()] == heard
    stage.cells["DecisionWatcher"].crash(OSError("before it heard of the stop"))
    stage.run().wait()
    assert stage.rebuilds[-1].draining
    stage.tell(Drained("DecisionWatcher")).tell(Drained("DecisionWatcher"))
    assert 0 == stage.drained
    stage.tell(Drained("Snapshotter"))
    assert 1 == stage.drained
