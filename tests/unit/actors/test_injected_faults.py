"""Faults that random seeds revealed, one test each: between generations, after a hang, at a second try."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from actors.messages import Drain, Restart, Submit, Tick, Wake
from actors.runtime.address import CURRENT
from actors.runtime.pykka_adapter import ThreadingFuture
from domain import failpoints
from domain.errors import DatabaseUnavailable, LeaseHeld, PaperTradingError, SubmissionInDoubt
from domain.failures import FailureKind
from domain.trading.decision import Accepted, Decision
from domain.types import OutcomeStatus
from tests.faults.world import World
from tests.support.actors.memory_stores import MemoryDatabase
from tests.support.actors.stepped_runtime import SteppedCell
from tests.support.actors.stepper import Stepper
from tests.support.settlement.recorded_market import events_as_text
from tests.support.values.builders import rules, uid
from tests.unit.actors.test_actor_laws import INSTRUMENTS
from tests.unit.actors.test_downtime import STOPPED, Held, bracket
from tests.unit.actors.test_downtime import at as time_at


@pytest.fixture
def stepper() -> Stepper:
    database = MemoryDatabase()
    database.open_portfolio(rules())
    started = Stepper(database, INSTRUMENTS, seed=1, delays=True)
    started.run()
    started.quote({"BTC/USDT": "100"})
    started.run()
    return started


def submit(stepper: Stepper) -> Submit:
    decision = Decision(symbol="BTC/USDT", decision="BUY", confidence="0.8", uid=uid(1))
    message = Submit(decision, ThreadingFuture(), ThreadingFuture())
    stepper.tell("DecisionWatcher", message)
    return message


def at(monkeypatch: pytest.MonkeyPatch, moment: str, what: str, action: Callable[[], object]) -> None:
    """Run ``action`` the first time that a handler reaches a point."""

    def reached(*point: str) -> None:
        if point == (moment, what):
            monkeypatch.setattr(failpoints, "hook", None)
            action()

    monkeypatch.setattr(failpoints, "hook", reached)


def crash() -> None:
    raise RuntimeError("injected")


# Between two generations


@pytest.mark.parametrize("actor", ["Sizer", "PositionKeeper", "ExecutionSimulator", "DecisionWatcher"])
def test_polls_ticks_and_prices_between_two_generations_are_no_crashes(stepper: Stepper, actor: str) -> None:
    message = submit(stepper)
    stepper.run()
    waiting = Decision(symbol="ETH/USDT", decision="BUY", confidence="0.8", uid=uid(2))
    stepper.database.add(waiting, stepper.clock.now())
    stepper.wake()
    stepper.run()  # it waits for a price of ETH/USDT
    stepper.crash(actor)
    stepper.run()
    assert [FailureKind.CRASH] == [failure.kind for failure in stepper.database.failures]
    stepper.clock.pass_by(60)  # and the path still rests
    for receiver, wake_up in (("PositionKeeper", Wake()), ("DecisionWatcher", Wake()), ("Sizer", Tick())):
        stepper.tell(receiver, wake_up)
    stepper.quote({"BTC/USDT": "100", "ETH/USDT": "10"})
    stepper.run()
    assert 1 == len(stepper.database.failures)
    stepper.pass_by(1)
    stepper.run()
    assert 1 == len(stepper.database.failures)
    assert [True, True] == [row.outcome is not None for row in stepper.database.rows.values()]
    assert isinstance(message.accepted.get(timeout=0), Accepted)


@pytest.mark.parametrize("heard", ["before the fill", "after it"])
def test_a_portfolio_that_is_deleted_while_it_trades_is_no_crash(stepper: Stepper, heard: str) -> None:
    stepper.database.add(Decision(symbol="BTC/USDT", decision="BUY", confidence="0.8", uid=uid(1)), stepper.clock.now())
    stepper.wake()
    while "Sizer Decide #1" not in stepper.trace:
        assert stepper.step()
    stepper.database.portfolios.clear()
    if heard == "before the fill":
        stepper.cells["PositionKeeper"].receive(Wake())
    stepper.settle()
    assert [] == stepper.database.failures
    outcome = stepper.database.rows[1].outcome
    assert outcome is not None
    assert "unknown portfolio: there is no portfolio 'default'" == outcome.reason


def step_until(stepper: Stepper, actor: str, message: str) -> None:
    """Go on until an actor has handled a message of a kind."""
    begin = len(stepper.trace)
    while f"{actor} {message}" not in stepper.trace[begin:]:
        assert stepper.step()


def take_next(stepper: Stepper, actor: str) -> None:
    """Let an actor handle what waits for it, and no other one anything."""
    cell = stepper.cells[actor]
    while cell.mailbox.deliverable:
        envelope = cell.mailbox.get()
        assert envelope is not None
        cell.receive(envelope.message)


@pytest.mark.parametrize("actor", ["Sizer", "ExecutionSimulator"])
def test_a_halt_that_is_read_as_a_generation_begins_holds_in_it(stepper: Stepper, actor: str) -> None:
    stepper.crash("DecisionWatcher")
    stepper.run()
    stepper.pass_by(1)
    step_until(stepper, "PositionKeeper", "Rebuild")  # it has read the books, and the others are not rebuilt yet
    (name,) = stepper.database.portfolios
    state = stepper.database.portfolios[name]
    stepper.database.portfolios[name] = replace(state, rules=replace(state.rules, halted="by hand"))
    stepper.cells["PositionKeeper"].receive(Wake())
    take_next(stepper, actor)
    stepper.run()
    message = submit(stepper)
    stepper.quote({"BTC/USDT": "100"})
    stepper.settle()
    assert "halted: by hand" == message.outcome.get(timeout=0).reason


def test_prices_are_requested_again_if_the_request_died_with_its_receiver(
    stepper: Stepper, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(MemoryDatabase, "read", lambda *_: None)  # the stored prices are not here yet
        stepper.crash("PriceTracker")
        stepper.crash("Sizer")
        stepper.run()
        stepper.pass_by(1)
        stepper.run()
        stepper.crash("PriceTracker")
    stepper.run()
    stepper.pass_by(1)
    stepper.tell("Sizer", Tick())
    stepper.run()
    stepper.pass_by(1)
    stepper.quote({"BTC/USDT": "100"})
    message = submit(stepper)
    stepper.settle()
    assert OutcomeStatus.EXECUTED == message.outcome.get(timeout=0).status


# A caller's second try


def test_a_second_try_without_a_database_is_in_doubt_not_refused(
    stepper: Stepper, monkeypatch: pytest.MonkeyPatch
) -> None:
    at(monkeypatch, "committed", "submitted", crash)
    message = submit(stepper)
    stepper.run()
    at(monkeypatch, "takes", "Submit", lambda: setattr(stepper.database, "away", True))
    stepper.pass_by(1)
    stepper.run()
    assert stepper.database.away
    with pytest.raises(SubmissionInDoubt):
        message.accepted.get(timeout=0)
    assert 1 == len(stepper.database.rows)


def test_a_submission_that_was_refused_is_not_tried_again(stepper: Stepper, monkeypatch: pytest.MonkeyPatch) -> None:
    stepper.database.away = True
    at(monkeypatch, "handled", "Submit", crash)
    message = submit(stepper)
    for _ in range(20):
        stepper.step()
    with pytest.raises(DatabaseUnavailable):
        message.accepted.get(timeout=0)
    stepper.database.away = False
    stepper.pass_by(1)
    stepper.settle()
    assert {} == stepper.database.rows


def test_a_caller_that_waits_for_a_second_try_gets_an_error_at_the_stop(
    stepper: Stepper, monkeypatch: pytest.MonkeyPatch
) -> None:
    at(monkeypatch, "takes", "Submit", crash)
    message = submit(stepper)
    stepper.run()
    stepper.end()
    with pytest.raises(PaperTradingError):
        message.accepted.get(timeout=0)


# After a hang


def hang_in_the_commit(stepper: Stepper, monkeypatch: pytest.MonkeyPatch, moment: str, steps: int) -> Submit:
    def hang() -> None:
        stepper.hang("DecisionWatcher", steps)
        stepper.database.away = True  # only for the hung thread: its connection is ended

    at(monkeypatch, moment, "submitted", hang)
    message = submit(stepper)
    while "DecisionWatcher goes on" not in stepper.trace:
        assert stepper.step()
    stepper.database.away = False
    return message


@pytest.mark.parametrize("moment", ["commits", "committed"])
@pytest.mark.parametrize("steps", [8, 200])
def test_an_abandoned_thread_does_not_answer_for_its_replacement(
    stepper: Stepper, monkeypatch: pytest.MonkeyPatch, moment: str, steps: int
) -> None:
    message = hang_in_the_commit(stepper, monkeypatch, moment, steps)
    assert 2 == sum(cell.name == "DecisionWatcher" for cell in stepper.born)
    stepper.pass_by(1)
    stepper.quote({"BTC/USDT": "100"})
    stepper.settle()
    assert 1 == len(stepper.database.rows)
    assert stepper.database.rows[1].outcome == message.outcome.get(timeout=0)
    assert 1 == message.accepted.get(timeout=0).decision_id


def test_an_abandoned_thread_that_goes_on_writes_nothing() -> None:
    hung = 0
    for seed in range(12):
        world = World(seed)
        world.run()
        for _ in range(4):
            world.add(quantity="0.01")
        world.hang_at("takes", 1 + seed % 2, 20 + seed, "PositionKeeper")
        world.run()
        world.settle()
        assert {"executed": 4} == dict(world.outcomes)
        assert 0 == world.faults["fenced"]  # it ends before it comes to the database, which would refuse it, too
        hung += world.faults["hang at takes"]
    assert hung > 0


# A stop


@pytest.mark.parametrize("seed", range(8))
def test_a_commit_that_fails_while_it_stops_does_not_keep_it_from_ending(seed: int) -> None:
    world = World(seed)
    world.run()
    for _ in range(5):
        world.add(quantity="0.01")
    world.run(12 + seed)
    stopping = world.stepper
    stopping.tell("Supervisor", Drain())
    world.fail_commit()
    world.run()
    assert stopping.drained
    world.kill()
    world.settle()
    assert {"executed": 5} == dict(world.outcomes)


# A decision that makes an actor crash each time


@pytest.mark.parametrize(
    ("culprit", "expected"),
    [
        (0, {1: "internal error", 2: "nothing to cancel"}),
        (1, {1: "cancelled", 2: "internal error"}),
    ],
)
def test_of_a_cancel_and_the_decision_that_it_ends_before_sizing_only_the_culprit_is_quarantined(
    culprit: int, expected: dict[int, str]
) -> None:
    world = World(1)
    world.run()
    world.add(symbol="DEAD/USDT")  # it waits for a price
    world.add(decision="CANCEL", target="1", symbol="*")
    world.poison(culprit, "DecisionWatcher")
    world.settle()
    ends = {id_: row.outcome for id_, row in world.database.rows.items()}
    assert expected == {id_: end.reason.partition(":")[0] for id_, end in ends.items() if end}


# A process that is only thought to be dead


def test_an_old_process_writes_nothing_more_and_ends() -> None:
    world = World(1)
    for _ in range(10):
        world.add(quantity="0.01")
    world.run(5)
    old = world.stepper
    world.kill()
    answers: list[Any] = []
    for _ in range(200):
        old.step()
        world.step()
        answers.append(old.ended)
    assert isinstance(old.ended, LeaseHeld)
    world.settle()
    assert {"executed": 10} == dict(world.outcomes)


def test_a_restart_of_an_actor_off_the_path_disturbs_no_other() -> None:
    world = World(2)
    for actor in ("PriceTracker", "Snapshotter"):
        world.add(quantity="0.01")
        world.crash(actor)
        world.stepper.tell(actor, Restart())
        world.run()
    generation = world.database.generation
    world.settle()
    assert 1 == generation == world.database.generation


# While a downtime is settled


@pytest.mark.parametrize(
    ("moment", "what"), [("takes", "RequestHistory"), ("sends", "HistoryFetched"), ("sent", "HistoryFetched")]
)
def test_a_request_for_the_past_is_answered_although_its_first_try_fails(
    monkeypatch: pytest.MonkeyPatch, moment: str, what: str
) -> None:
    one = bracket((60, "99"), (120, "94"), (180, "120"))
    one.pass_to(time_at(7200))
    before = len(events_as_text(one.database))
    at(monkeypatch, moment, what, crash)
    one.start().settle()
    assert STOPPED == events_as_text(one.database)[before:]
    assert [None] == [span.gap for span in one.database.spans]


def test_a_snapshotter_that_crashes_knows_what_is_being_settled(monkeypatch: pytest.MonkeyPatch) -> None:
    one = bracket((60, "94"))
    held = Held(monkeypatch)
    one.pass_to(time_at(7200))
    stepper = one.start(recovery_timeout=60)
    stepper.crash("Snapshotter")
    stepper.run()
    stepper.tell("Snapshotter", Tick())
    stepper.run()
    assert [] == one.database.snapshots

    def hook(*point: str) -> None:
        at_end = isinstance(CURRENT.sender, SteppedCell) and CURRENT.sender.name == "Snapshotter"
        if at_end and point == ("takes", "Settling"):
            monkeypatch.setattr(failpoints, "hook", None)
            crash()

    monkeypatch.setattr(failpoints, "hook", hook)
    held.answer()
    stepper.run()
    assert 2 == len(stepper.wiring.log.failures)
    assert [time_at(7200)] == [snapshot.time for snapshot in one.database.snapshots]
