"""The real Supervisor and threads that hang or end; see `tests.support.actors.supervised`."""

from __future__ import annotations

from contextlib import ExitStack
from datetime import timedelta

import pytest

from actors.messages import Tick
from actors.supervision.messages import Disconnected, Recover, Replace
from actors.supervision.recovery import PATH
from domain.failures import FailureKind
from tests.support.actors.supervised import HANG, HUNG, QUARANTINE, OnPath, Say, Stage, Work


@pytest.fixture
def stage() -> Stage:
    return Stage().begin()


def test_a_hung_thread_is_abandoned_disconnected_and_replaced(stage: Stage) -> None:
    stage.hang("PriceTracker", HANG + 0.1, Say("tried again"))
    old = stage.cells["PriceTracker"]
    stage.to("PriceTracker").tell(Say("waits"))
    stage.cells["PriceTracker"].mailbox.hold()  # its thread takes nothing
    stage.tell(Tick())
    assert [("PriceTracker", 0.0)] == stage.disconnected
    assert old.abandoned
    assert stage.cells["PriceTracker"] is not old
    assert [HUNG] == stage.kinds
    assert ("PriceTracker", "Work", "has been busy with Work for 30.1 s") == (
        stage.failures[0].actor,
        stage.failures[0].message,
        stage.failures[0].error,
    )
    assert [] == stage.heard  # the replacement waits, as after a crash
    assert [(timedelta(milliseconds=50), Recover("PriceTracker"))] == stage.later
    stage.wait()
    assert ["tried again", "waits"] == stage.heard
    assert 1 == stage.cells["PriceTracker"].activity.failed


def test_an_actor_that_is_busy_for_no_longer_than_allowed_is_left_alone(stage: Stage) -> None:
    stage.hang("Sizer", HANG)
    stage.tell(Tick())
    assert ([], []) == (stage.failures, stage.disconnected)


def test_a_hang_on_the_path_begins_a_generation_after_a_delay_and_the_path_is_paused_until_then(stage: Stage) -> None:
    before = stage.generation
    stage.hang("Sizer", HANG + 1, Work(before, 5))
    stage.tell(Tick())
    assert [None] * 3 == [
        behaviour.generation
        for name in PATH
        if isinstance(behaviour := stage.cells[name].behaviour, OnPath)  # the replacement has none yet
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
    assert "Sizer has been busy with Work for 31.0 s, for the second time" == stage.poisoned[5].error


def test_a_replacement_on_request_costs_no_restart_and_is_no_strike(stage: Stage) -> None:
    stage.hang("Sizer", 1.0, Work(stage.generation, 5))
    for _ in range(7):
        stage.tell(Replace("Sizer"))
        stage.tell(Replace("PriceTracker"))
    assert ([], []) == (stage.reasons, stage.later)
    assert [FailureKind.REPLACED] * 14 == stage.kinds
    assert {} == stage.poisoned
    for name in ("Sizer", "PriceTracker"):
        activity = stage.cells[name].activity
        assert (0, 7) == (activity.failed, activity.restarted_by_hand)
    assert [] == list(stage.log.failures)


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
    assert "is still busy with Work after its database connection was ended" == stage.failures[0].error


def test_the_first_answer_of_the_database_after_a_long_outage_replaces_no_thread(stage: Stage) -> None:
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
    stage.hosts["Snapshotter"].alive = False
    stage.tell(Tick())
    stage.hosts["Snapshotter"].alive = True
    assert [FailureKind.THREAD_ENDED] == stage.kinds
    assert stage.cells["Snapshotter"] is not old
    stage.tell(Say("waits"), "Snapshotter")
    assert [] == stage.heard
    stage.wait()
    assert ["waits"] == stage.heard
