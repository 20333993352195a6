"""The intake under a backlog: what waits in memory, what is left in the table, and that nobody waits for others."""

from __future__ import annotations

from dataclasses import replace

import pytest

from actors.messages import Tick
from domain.types import DecisionId, OutcomeStatus
from tests.support.actors.decision_path import INSTRUMENTS, opened, put, status, submit
from tests.support.actors.memory_stores import MemoryDatabase
from tests.support.actors.stepper import Stepper
from tests.support.values.builders import free, rules

MAX_WAITING = 5


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of everything there may be few."""
    monkeypatch.setattr("actors.decision_watcher.MAX_UNDER_WAY", 10)
    monkeypatch.setattr("actors.decision_watcher.READ_BELOW", 5)
    monkeypatch.setattr("actors.wiring.MAX_WAITING", MAX_WAITING)
    monkeypatch.setattr("actors.intake.reader.MAX_ENDED", 4)


@pytest.fixture
def database() -> MemoryDatabase:
    memory = MemoryDatabase()
    for name in ("default", "second"):
        memory.open_portfolio(rules(name, max_position_size=1, costs=free()))
    return memory


@pytest.fixture
def stepper(database: MemoryDatabase) -> Stepper:
    return begun(database)


def begun(database: MemoryDatabase, seed: int = 1) -> Stepper:
    started = Stepper(database, INSTRUMENTS, seed, delays=True)
    started.run()
    started.quote({"BTC/USDT": "100"})
    started.run()
    return started


def outcome(stepper: Stepper, id_: DecisionId) -> str:
    return (status(stepper, id_) or ("pending",))[0]


def dead(stepper: Stepper, number: int, **changes: object) -> DecisionId:
    """Insert a decision for a symbol that has no price."""
    return put(stepper, number, symbol="DEAD/USDT", quantity="10", **changes)


def waiting(stepper: Stepper) -> list[int]:
    behaviour = stepper.cells["DecisionWatcher"].behaviour
    assert behaviour is not None
    return list(behaviour.describe()["waiting_for_price"])


def run(stepper: Stepper) -> None:
    """Run, also what wakes the intake again at once."""
    for _ in range(20):
        stepper.run()
        stepper.pass_by(0)
    stepper.run()


def wait(stepper: Stepper, seconds: int) -> None:
    """Let time pass, with a price of BTC each second."""
    for _ in range(seconds):
        stepper.pass_by(1)
        stepper.quote({"BTC/USDT": "100"})
        stepper.tell("Sizer", Tick())
        stepper.wake()
        run(stepper)


def test_a_backlog_of_one_portfolio_does_not_delay_another(stepper: Stepper) -> None:
    backlog = [put(stepper, number, quantity="0.2") for number in range(200)]
    stepper.wake()
    while sum(outcome(stepper, id_) != "pending" for id_ in backlog) < 20:
        assert stepper.step()
    urgent = [put(stepper, 1_000 + number, portfolio="second", quantity="1") for number in range(3)]
    stepper.wake()
    before = sum(outcome(stepper, id_) != "pending" for id_ in backlog)
    while any(outcome(stepper, id_) == "pending" for id_ in urgent):
        assert stepper.step()
    assert sum(outcome(stepper, id_) != "pending" for id_ in backlog) - before <= 30
    stepper.settle()
    assert {"executed"} == {outcome(stepper, id_) for id_ in (*backlog, *urgent)}
    decisions = [a.order.decision_id for a in stepper.database.fills if a.order.portfolio == "default"]
    assert backlog == decisions  # in their order


def test_those_that_wait_for_a_price_are_left_in_the_table_and_block_nothing(stepper: Stepper) -> None:
    ids = [dead(stepper, number) for number in range(40)]
    stepper.settle()
    wait(stepper, 2)
    assert MAX_WAITING <= len(waiting(stepper)) <= MAX_WAITING + 10
    same = put(stepper, 100, quantity="0.2")
    other = put(stepper, 101, quantity="1", portfolio="second")
    hold = put(stepper, 102, symbol="DEAD/USDT", decision="HOLD")
    wait(stepper, 1)
    assert ("executed", "executed", "ignored") == tuple(outcome(stepper, id_) for id_ in (same, other, hold))
    assert {"pending"} == {outcome(stepper, id_) for id_ in ids}


def test_they_are_rejected_in_time_with_the_same_words(stepper: Stepper) -> None:
    submitted = submit(stepper, 999, symbol="DEAD/USDT", quantity="1")
    ids = [dead(stepper, number) for number in range(60)]
    expiring = dead(stepper, 70, expires_at=stepper.clock.now().replace(second=20))
    stepper.settle()
    wait(stepper, 29)
    assert {"pending"} == {outcome(stepper, id_) for id_ in ids}
    wait(stepper, 3)
    reasons = {status(stepper, id_) for id_ in ids}
    assert {("rejected", "no price in time: none of DEAD/USDT was seen within 30 s")} == reasons
    assert ("expired", "expired: at 2026-01-05 12:00:20 UTC, while it waited for a price") == status(stepper, expiring)
    assert OutcomeStatus.REJECTED is submitted.outcome.get(timeout=0).status
    assert stepper.database.faults["ended in the table"] > 30
    counts = stepper.counters.counts()
    assert len(ids) + 1 == counts.outcomes[OutcomeStatus.REJECTED, "no_price"]
    assert (0, 0) == counts.under_way
    assert [] == waiting(stepper)


def test_a_flood_that_goes_on_is_rejected_in_time_to_its_end(stepper: Stepper) -> None:
    sent: list[tuple[DecisionId, float]] = []
    for second in range(60):
        sent += [(dead(stepper, 10 * second + number), stepper.clock.seconds) for number in range(5)]
        wait(stepper, 1)
        late = [id_ for id_, at in sent if stepper.clock.seconds - at > 33 and outcome(stepper, id_) == "pending"]
        assert [] == late
    wait(stepper, 33)
    assert {"rejected"} == {outcome(stepper, id_) for id_, _ in sent}


def test_a_price_executes_all_that_were_left_in_their_order(stepper: Stepper) -> None:
    ids = [dead(stepper, number) for number in range(40)]
    stepper.settle()
    wait(stepper, 25)
    for _ in range(40):  # more than 30 s after they were sent
        stepper.quote({"DEAD/USDT": "5"})
        wait(stepper, 1)
    assert {"executed"} == {outcome(stepper, id_) for id_ in ids}
    assert ids == [a.order.decision_id for a in stepper.database.fills]


def test_a_cancel_of_all_ends_those_that_were_left_before_it_and_no_later_ones(stepper: Stepper) -> None:
    ids = [dead(stepper, number) for number in range(30)]
    stepper.settle()
    cancel = put(stepper, 50, decision="CANCEL", symbol="*", confidence=1, target="all")
    later = [dead(stepper, 60 + number) for number in range(3)]
    bought = put(stepper, 70, quantity="0.2")
    wait(stepper, 3)
    assert "executed" == outcome(stepper, cancel)
    assert {("cancelled", f"cancelled: by decision {cancel}, before it was sized")} == {
        status(stepper, id_) for id_ in ids
    }
    assert ({"pending"}, "executed") == ({outcome(stepper, id_) for id_ in later}, outcome(stepper, bought))


def test_a_cancel_of_another_symbol_leaves_them_alone(stepper: Stepper) -> None:
    ids = [dead(stepper, number) for number in range(30)]
    stepper.settle()
    put(stepper, 50, decision="CANCEL", symbol="BTC/USDT", confidence=1, target="symbol")
    wait(stepper, 2)
    assert {"pending"} == {outcome(stepper, id_) for id_ in ids}
    cancel = put(stepper, 51, decision="CANCEL", symbol="dead-usdt", confidence=1, target="symbol")
    wait(stepper, 3)
    assert {"cancelled"} == {outcome(stepper, id_) for id_ in ids}
    assert "executed" == outcome(stepper, cancel)


def test_where_one_cannot_be_ended_the_others_end_one_by_one(stepper: Stepper) -> None:
    ids = [dead(stepper, number) for number in range(30)]
    stepper.database.stubborn = {ids[20]}
    stepper.settle()
    wait(stepper, 70)
    others = {outcome(stepper, id_) for id_ in ids if id_ != ids[20]}
    assert ({"rejected"}, "pending") == (others, outcome(stepper, ids[20]))


def test_a_closed_portfolio_and_an_unknown_one_have_their_turn(stepper: Stepper) -> None:
    closed = stepper.database.portfolios["second"]  # type: ignore[index]
    stepper.database.portfolios[closed.name] = replace(closed, closed=stepper.clock.now())
    stepper.crash("PositionKeeper")  # it reads all portfolios again
    stepper.run()
    ids = [dead(stepper, number) for number in range(30)]
    backlog = [put(stepper, 100 + number, quantity="0.2") for number in range(60)]
    unknown = put(stepper, 200, portfolio="nobody's", quantity="1")
    into_closed = put(stepper, 201, portfolio="second", quantity="1")
    stepper.settle()
    wait(stepper, 4)
    assert ("rejected", "rejected") == (outcome(stepper, unknown), outcome(stepper, into_closed))
    assert {"executed"} == {outcome(stepper, id_) for id_ in backlog}
    assert {"pending"} == {outcome(stepper, id_) for id_ in ids}


def test_a_crash_at_any_moment_loses_none() -> None:
    for seed, worker in enumerate(("DecisionWatcher", "Sizer", "PositionKeeper") * 3):
        memory = opened(MemoryDatabase())
        stepper = begun(memory, seed)
        ids = [dead(stepper, number) for number in range(30)]
        ids += [put(stepper, 100 + number, quantity="0.2") for number in range(30)]
        for second in range(70):
            memory.lose_answers = int(second % 9 == seed)
            stepper.pass_by(1)
            stepper.tell("Sizer", Tick())
            stepper.wake()
            for _ in range(seed + 3):
                stepper.step()
            if second % 10 == seed % 10:
                stepper.crash(worker)
            stepper.quote({"BTC/USDT": "100"})
            run(stepper)
        memory.lose_answers = 0
        wait(stepper, 70)
        assert {"rejected", "executed"} == {outcome(stepper, id_) for id_ in ids}
        executed = [a.order.decision_id for a in memory.fills]
        assert (sorted(executed), 30) == (executed, len({*executed}))


def test_those_in_memory_are_refused_a_few_at_a_time(stepper: Stepper, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("domain.trading.decision_queue.MAX_REFUSED", 3)
    ids = [dead(stepper, number) for number in range(4)]
    stepper.settle()
    stepper.pass_by(31)
    for pending in (1, 0):
        stepper.tell("Sizer", Tick())
        stepper.run()
        assert pending == [outcome(stepper, id_) for id_ in ids].count("pending")
