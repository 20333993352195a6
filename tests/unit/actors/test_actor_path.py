"""The way of a decision through the real behaviours: cash, callers, quarantine, the ordered stop."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from actors import decision_watcher
from actors.messages import Describe, Drain, Tick, Wake
from domain.errors import DatabaseUnavailable, DecisionGone, RestartLimitReached
from domain.trading.decision import Decision, Outcome
from domain.types import OutcomeStatus
from tests.support.actors.decision_path import INSTRUMENTS, begun, opened, put, status, submit
from tests.support.actors.memory_stores import MemoryDatabase
from tests.support.actors.stepped_runtime import NOON
from tests.support.actors.stepper import Stepper
from tests.support.values.builders import costs, rules, uid


@pytest.fixture
def database() -> MemoryDatabase:
    return opened(MemoryDatabase())


@pytest.fixture
def stepper(database: MemoryDatabase) -> Stepper:
    return begun(database)


# Law 5: the projection


def test_two_decisions_of_one_moment_cannot_spend_the_same_cash(database: MemoryDatabase) -> None:
    database.portfolios.clear()
    database.open_portfolio(rules(max_position_size=1, costs=costs(0, 0, 0)))
    stepper = Stepper(database, INSTRUMENTS, seed=3)
    stepper.run()
    stepper.quote({"BTC/USDT": "100", "ETH/USDT": "10"})
    stepper.run()
    first = put(stepper, 1, quantity="60")
    second = put(stepper, 2, symbol="ETH/USDT", quantity="600")
    stepper.settle()
    assert "executed" == (status(stepper, first) or ("",))[0]
    assert (
        "rejected",
        "not enough cash: 600 at 10 is worth 6000 and may cost 6000, free cash is 4000",
    ) == status(stepper, second)


def test_a_changed_rule_counts_from_the_next_decision(stepper: Stepper) -> None:
    default = stepper.database.portfolios["default"]  # type: ignore[index]
    changed = replace(default.rules, revision=2, decision_confidence_threshold=Decimal("0.9"))
    first = put(stepper, 1)
    stepper.settle()
    after = stepper.database.portfolios[default.name]
    stepper.database.portfolios[default.name] = replace(after, rules=changed)
    stepper.tell("PositionKeeper", Wake())
    stepper.run()
    second = put(stepper, 2)
    stepper.settle()
    assert "executed" == (status(stepper, first) or ("",))[0]
    assert ("ignored", "confidence below threshold: 0.8 is below 0.9") == status(stepper, second)


# Law 2: outcomes and callers


def test_a_caller_is_answered_after_the_commit(stepper: Stepper) -> None:
    message = submit(stepper)
    stepper.run()
    assert 1 == message.accepted.get(timeout=0).decision_id
    assert stepper.database.rows[1].outcome == message.outcome.get(timeout=0)


def test_the_same_key_gives_the_first_outcome(stepper: Stepper) -> None:
    first = submit(stepper, 1, idempotency_key="once")
    stepper.run()
    again = submit(stepper, 2, idempotency_key="once")
    stepper.run()
    assert first.outcome.get(timeout=0) == again.outcome.get(timeout=0)
    assert 1 == len(stepper.database.rows)


def test_a_submission_whose_commit_is_lost_is_looked_up_and_never_inserted_twice(stepper: Stepper) -> None:
    stepper.database.lose_answers = 1
    message = submit(stepper)
    stepper.run()
    assert 1 == message.accepted.get(timeout=0).decision_id
    assert OutcomeStatus.EXECUTED == message.outcome.get(timeout=0).status
    assert 1 == len(stepper.database.rows)


def test_a_submission_to_a_database_that_is_away_raises_and_accepts_nothing(stepper: Stepper) -> None:
    stepper.database.away = True
    message = submit(stepper)
    for _ in range(50):
        stepper.step()
    with pytest.raises(DatabaseUnavailable):
        message.accepted.get(timeout=0)
    stepper.database.away = False
    stepper.settle()
    assert stepper.database.rows == {}


def test_a_caller_of_a_deleted_decision_gets_an_error(stepper: Stepper) -> None:
    message = submit(stepper, symbol="DEAD/USDT")
    stepper.run()
    id_ = message.accepted.get(timeout=0).decision_id
    del stepper.database.rows[id_]
    stepper.quote({"DEAD/USDT": "5"})
    stepper.run()
    with pytest.raises(DecisionGone, match="decision 1 was deleted"):
        message.outcome.get(timeout=0)
    assert stepper.database.fills == []


def test_a_decision_cancelled_under_way_stays_cancelled_and_the_caller_gets_that_outcome(stepper: Stepper) -> None:
    message = submit(stepper, symbol="DEAD/USDT")
    other = submit(stepper, 2)
    stepper.run()
    id_ = message.accepted.get(timeout=0).decision_id
    cancelled = Outcome(id_, OutcomeStatus.CANCELLED, "by hand")
    stepper.database.rows[id_].outcome = cancelled
    stepper.quote({"DEAD/USDT": "5"})
    stepper.run()
    assert cancelled == message.outcome.get(timeout=0)
    assert OutcomeStatus.EXECUTED == other.outcome.get(timeout=0).status
    assert 1 == len(stepper.database.fills)


# Quarantine


def test_a_fill_that_the_database_refuses_is_quarantined_and_the_rest_goes_on(stepper: Stepper) -> None:
    ids = [put(stepper, number, quantity="1") for number in range(1, 8)]
    stepper.database.refuse = {ids[3]}
    stepper.settle()
    ended = [(status(stepper, id_) or ("",))[0] for id_ in ids]
    assert ["executed"] * 3 + ["rejected"] + ["executed"] * 3 == ended
    assert ("rejected", "internal error: numeric field overflow; reference 1-1") == status(stepper, ids[3])
    assert stepper.ended is None


def test_a_row_that_cannot_be_ended_is_quarantined_at_the_second_time(stepper: Stepper) -> None:
    stubborn, other = put(stepper, 1, quantity="1"), put(stepper, 2, quantity="1")
    stepper.database.stubborn = {stubborn}
    stepper.settle()
    assert status(stepper, stubborn) is None  # it cannot be ended, and is not sent again
    assert "executed" == (status(stepper, other) or ("",))[0]
    before = stepper.database.generation
    stepper.settle()
    assert before == stepper.database.generation


def test_more_quarantined_decisions_than_may_be_under_way_do_not_stop_the_intake(
    stepper: Stepper, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("actors.decision_watcher.MAX_UNDER_WAY", 10)
    monkeypatch.setattr("actors.decision_watcher.READ_BELOW", 5)
    refused = {put(stepper, number, quantity="0.2") for number in range(11)}
    stepper.database.refuse = set(refused)
    good = put(stepper, 2_000, quantity="0.2")
    stepper.settle()
    assert "executed" == (status(stepper, good) or ("",))[0]
    assert {"rejected"} == {(status(stepper, id_) or ("",))[0] for id_ in refused}


def test_callers_of_decisions_that_ended_before_they_were_read_are_answered(stepper: Stepper) -> None:
    for number in range(1_000):  # more than may be under way at once
        put(stepper, number, symbol="BTC/USDT", quantity="0.2")
    stepper.tell("DecisionWatcher", Wake())
    while not any(line.startswith("Sizer Decide") for line in stepper.trace):
        stepper.step()
    cancelled, deleted = submit(stepper, 5_000), submit(stepper, 5_001)
    while not any(line == "DecisionWatcher Submit" for line in stepper.trace):
        stepper.step()
    ids = [id_ for id_, row in stepper.database.rows.items() if row.decision.uid in {uid(5_000), uid(5_001)}]
    outcome = Outcome(ids[0], OutcomeStatus.CANCELLED, "by hand")
    stepper.database.rows[ids[0]].outcome = outcome
    del stepper.database.rows[ids[1]]
    stepper.settle()
    stepper.settle()
    assert outcome == cancelled.outcome.get(timeout=0)
    with pytest.raises(DecisionGone):
        deleted.outcome.get(timeout=0)


def test_a_clock_that_is_set_back_does_not_bring_old_prices_back(stepper: Stepper) -> None:
    stepper.clock.set_by(-3600)
    stepper.quote({"BTC/USDT": "200"})
    stepper.run()
    put(stepper)
    stepper.settle()
    assert [Decimal(200)] == [a.fill.quote.price for a in stepper.database.fills]


# Supervision and stop


def test_the_sixth_crash_within_thirty_seconds_ends_the_process(database: MemoryDatabase) -> None:
    stepper = Stepper(database, INSTRUMENTS, seed=1, max_restarts=5)
    stepper.run()
    for _ in range(5):
        stepper.crash("Sizer")
        stepper.run()
    assert stepper.ended is None
    stepper.clock.pass_by(29.9)
    stepper.crash("PriceTracker")
    stepper.run()
    assert isinstance(stepper.ended, RestartLimitReached)


def test_crashes_far_apart_are_forgiven(database: MemoryDatabase) -> None:
    stepper = Stepper(database, INSTRUMENTS, seed=1, max_restarts=5)
    stepper.run()
    for _ in range(20):
        stepper.crash("Sizer")
        stepper.run()
        stepper.clock.pass_by(6)
    assert stepper.ended is None


@pytest.mark.parametrize("seed", range(20))
def test_an_ordered_stop_commits_priced_orders_and_leaves_the_rest_waiting(database: MemoryDatabase, seed: int) -> None:
    stepper = Stepper(database, INSTRUMENTS, seed)
    stepper.run()
    stepper.quote({"BTC/USDT": "100", "ETH/USDT": "10"})
    stepper.run()
    for number in range(30):
        put(stepper, number, quantity="0.2")
    stepper.wake()
    for _ in range(seed * 3):
        stepper.step()
    stepper.tell("Supervisor", Drain())
    stepper.run()
    assert stepper.drained
    executed = [row.id for row in database.rows.values() if row.outcome is not None]
    assert len(executed) == len(database.fills)
    (snapshot,) = database.snapshots
    assert database.portfolios[snapshot.portfolio].cash == snapshot.cash


def test_a_stop_is_not_forgotten_where_the_watcher_crashes(stepper: Stepper) -> None:
    stepper.settle()
    stepper.crash("DecisionWatcher")
    stepper.tell("Supervisor", Drain())  # there is no behaviour that could handle it
    stepper.run()
    assert stepper.drained
    for _ in range(2):
        put(stepper, quantity="1")
        stepper.settle()
        assert [] == stepper.database.fills
        stepper.crash("DecisionWatcher")


def test_a_snapshot_values_the_committed_state_at_the_newest_marks(stepper: Stepper) -> None:
    put(stepper, quantity="1")
    stepper.settle()
    stepper.quote({"BTC/USDT": "110"})
    stepper.run()
    stepper.clock.pass_by(61)
    stepper.tell("Snapshotter", Tick())
    stepper.run()
    (snapshot,) = stepper.database.snapshots
    assert NOON + timedelta(seconds=60) == snapshot.time
    assert Decimal(110) == snapshot.positions_value
    assert snapshot.total_value == snapshot.cash + 110
    assert snapshot.total_value - 10_000 == snapshot.daily_pnl == snapshot.total_pnl
    assert {"cash", "crypto"} == set(snapshot.allocation)


def test_the_day_opens_with_the_snapshot_at_midnight(stepper: Stepper) -> None:
    put(stepper, quantity="1")
    stepper.settle()
    daily_results = []
    for seconds, price in [(11.99 * 3600, "110"), (0.01 * 3600, "120"), (60, "125")]:
        stepper.clock.pass_by(seconds)
        stepper.quote({"BTC/USDT": price})
        stepper.run()
        stepper.tell("Snapshotter", Tick())
        stepper.run()
        daily_results.append(stepper.database.snapshots[-1].daily_pnl)
    assert stepper.database.snapshots[1].time.hour == 0
    assert [Decimal(0), Decimal(5)] == daily_results[1:]


def test_a_deleted_portfolio_gets_no_snapshots(stepper: Stepper) -> None:
    stepper.database.open_portfolio(rules("second"))
    stepper.tell("PositionKeeper", Wake())
    stepper.run()
    del stepper.database.portfolios["second"]  # type: ignore[arg-type]
    stepper.tell("PositionKeeper", Wake())
    stepper.run()
    stepper.tell("Snapshotter", Tick())
    stepper.run()
    assert ["default"] == [snapshot.portfolio for snapshot in stepper.database.snapshots]


# Descriptions


def test_each_actor_describes_its_memory(stepper: Stepper) -> None:
    put(stepper, 1, quantity="1")
    put(stepper, 2, symbol="DEAD/USDT")
    stepper.settle()
    states: dict[str, Any] = {}
    for name, cell in stepper.cells.items():
        cell.receive(Describe(lambda state, name=name: states.update({name: state})))
    held = states["PositionKeeper"]["portfolios"]["default"]
    assert (Decimal(1), 1) == (held["positions"]["BTC/USDT"]["quantity"], held["version"])
    assert held == {k: v for k, v in states["Sizer"]["projections"]["default"].items() if k in held}
    assert {"DEAD/USDT": [2]} == states["Sizer"]["waiting_for_price"]
    assert ([], [2]) == (states["DecisionWatcher"]["under_way"], states["DecisionWatcher"]["waiting_for_price"])
    assert held == states["Snapshotter"]["portfolios"]["default"]
    assert "test" == states["PriceTracker"]["source"]
    assert (1, 1_000) == (states["Supervisor"]["generation"], states["Supervisor"]["restarts_left"]["tree"])


@pytest.mark.parametrize("read_at_once", [1, 1_000])
def test_a_cancel_ends_a_target_that_is_read_after_it(
    stepper: Stepper, monkeypatch: pytest.MonkeyPatch, read_at_once: int
) -> None:
    monkeypatch.setattr(decision_watcher, "MAX_UNDER_WAY", read_at_once)
    later = stepper.clock.now() + timedelta(hours=1)
    buy = stepper.database.add(Decision(symbol="BTC/USDT", decision="BUY", confidence=1, quantity=1), later)
    cancel = put(stepper, 2, decision="CANCEL", symbol="*", confidence=1, target=str(buy))
    second = put(stepper, 3, decision="CANCEL", symbol="*", confidence=1, target=str(buy))
    itself = put(stepper, 4, decision="CANCEL", symbol="*", confidence=1, target="me", idempotency_key="me")
    stepper.settle()
    assert ("cancelled", f"cancelled: by decision {cancel}, before it was sized") == status(stepper, buy)
    assert ("executed", f"cancelled: decision {buy}, before it was sized") == status(stepper, cancel)
    ended = f"no order of decision {buy} is open", f"already cancelled: by decision {cancel}, before it was sized"
    assert ("rejected", f"nothing to cancel: {ended[read_at_once == 1]}") == status(stepper, second)
    assert ("rejected", f"nothing to cancel: no order of decision {itself} is open") == status(stepper, itself)
    assert [] == stepper.database.fills
