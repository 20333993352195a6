"""The real Supervisor over six small children in real cells, in one thread, with a clock that the test moves."""

from __future__ import annotations

from datetime import timedelta

import pytest

from actors.messages import Drain
from actors.supervision.messages import Crashed, Drained, Failed, RaiseGeneration, Rebuilt, Recover
from actors.supervision.recovery import PATH
from actors.supervision.restarts import MAX_CULPRITS
from domain.errors import LeaseHeld, PaperTradingError, RestartLimitReached
from domain.types import Generation
from tests.support.actors.supervised import CRASH, GAVE_UP, QUARANTINE, Say, Stage, Work


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
    ids = range(MAX_CULPRITS + 50)
    stage.bad = set(ids)
    stage.send(*ids)
    while stage.later:
        stage.wait()
    assert "gave up after 5 restarts within 30 s; the last to fail was PositionKeeper" in str(stage.reasons[0])
    assert MAX_CULPRITS + 5 == len(stage.poisoned)
    assert [*range(MAX_CULPRITS + 5, MAX_CULPRITS + 50)] == stage.pending[:45]


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


def test_poisoned_decisions_are_sent_to_each_generation_until_one_has_begun(stage: Stage) -> None:
    stage.pending.append(4)
    stage.tell(RaiseGeneration(stage.generation, "refused", poisoned={4: "out of range"}))
    assert "out of range" == stage.poisoned[4].error
    stage.send(1)  # would fail to remove 4 again if it were still sent
    assert [4] == list(stage.poisoned)


def test_a_row_that_cannot_be_ended_is_quarantined_the_second_time(stage: Stage) -> None:
    stage.pending.append(4)
    stage.bad = set()
    for expected in ([], [4]):
        stage.tell(RaiseGeneration(stage.generation, "gone", missing=frozenset({4})))
        stage.pending = [4]
        assert expected == list(stage.poisoned)


def test_messages_of_an_older_generation_change_nothing(stage: Stage) -> None:
    before = stage.begun[:]
    stage.tell(RaiseGeneration(Generation(0), "old", poisoned={4: "x"}))
    stage.tell(Rebuilt("PositionKeeper", Generation(0)))
    stage.tell(Rebuilt("Sizer", stage.generation))  # it is not awaited
    assert before == stage.begun
    assert [] == stage.failures


def test_no_secret_is_stored_with_a_failure(stage: Stage) -> None:
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
    quarantined = stage.failures[2]
    assert ("Snapshotter", "Say", None) == (quarantined.actor, quarantined.message, quarantined.decision_id)
    assert "crashed twice on it (ValueError: cannot bear bad 0)" == quarantined.error
    assert [text for n in range(20) for text in (f"bad {n}", f"bad {n}", f"good {n}")] == stage.heard
    assert (20, []) == (stage.log.quarantined, stage.reasons)
    assert 1 == stage.ready  # the path went on all the while


def test_an_actor_that_fails_to_start_restarts_with_growing_delays() -> None:
    stage = Stage()
    stage.fails_to_start = 3
    stage.begin()
    delays = []
    while stage.later:
        delays += [delay for delay, message in stage.later if message.actor == "Snapshotter"]
        stage.wait()
    assert stage.cells["Snapshotter"].behaviour is not None
    assert [CRASH] * 3 == stage.kinds
    assert {"PriceTracker", "Snapshotter"} == {failure.actor for failure in stage.failures}


# Over the limit


def test_over_the_limit_it_ends_the_process_once_and_restarts_nothing_more(stage: Stage) -> None:
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


# What comes late


def test_a_recover_that_comes_late_begins_nothing_twice(stage: Stage) -> None:
    stage.cells["Sizer"].crash(OSError("x"))
    stage.run()
    assert [Recover(None)] == [message for _, message in stage.later]
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
    assert [Recover(None)] == [message for _, message in stage.later]
    stage.wait()
    assert 2 == stage.generation == stage.ready


def test_while_a_recover_waits_no_other_message_raises_the_generation(stage: Stage) -> None:
    stage.cells["Sizer"].crash(OSError("x"))
    stage.run()
    stage.tell(RaiseGeneration(stage.generation, "the database was away"))
    assert 1 == stage.generation
    stage.wait()
    assert 2 == stage.generation


def test_a_recover_that_was_not_scheduled_does_nothing(stage: Stage) -> None:
    stage.tell(Recover(None)).tell(Recover("Snapshotter"))
    assert (1, 1) == (stage.generation, stage.ready)


# The end


def test_a_failed_actor_ends_the_process_once(stage: Stage) -> None:
    error = LeaseHeld("another process serves this database")
    stage.tell(Failed(error)).tell(Failed(RuntimeError("again")))
    assert [error] == stage.reasons
    other = Stage().begin().tell(Failed(RuntimeError("odd")))
    assert isinstance(other.reasons[0], PaperTradingError)
    assert "odd" == str(other.reasons[0])


def test_the_stop_is_passed_on_and_done_when_both_ends_of_the_path_are_empty(stage: Stage) -> None:
    heard: list[object] = []
    stage.hosts["DecisionWatcher"].address.tell = heard.append  # type: ignore[method-assign]
    stage.tell(Drain())
    assert [Drain()] == heard
    stage.cells["DecisionWatcher"].crash(OSError("before it heard of the stop"))
    stage.run().wait()
    assert stage.rebuilds[-1].draining
    stage.tell(Drained("DecisionWatcher")).tell(Drained("DecisionWatcher"))
    assert 0 == stage.drained
    stage.tell(Drained("Snapshotter"))
    assert 1 == stage.drained
