"""Decisions are taken in the order in which the database got them, and age from the time at which they were made."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from actors.messages import Submit
from domain.errors import IdempotencyConflict
from domain.trading.decision import Decision
from domain.types import DecisionId
from tests.support.actors.decision_path import INSTRUMENTS, begun, opened, put, status, submit
from tests.support.actors.memory_stores import MemoryDatabase
from tests.support.actors.stepper import Stepper
from tests.support.values.builders import uid

YEARS = timedelta(days=9_000)


@pytest.fixture
def database() -> MemoryDatabase:
    return opened(MemoryDatabase())


def send(stepper: Stepper, number: int, made: timedelta, **changes: Any) -> DecisionId:
    """Insert a row that the database gets now, and that states another time."""
    fields = {"symbol": "BTC/USDT", "decision": "BUY", "confidence": 1, "quantity": 1, "uid": uid(number), **changes}
    now = stepper.clock.now()
    return stepper.database.add(Decision(**fields), now + made, now)


def sized(database: MemoryDatabase) -> list[DecisionId]:
    return [fill.order.decision_id for fill in database.fills]


def test_no_decision_overtakes_on_its_way_into_the_queue(database: MemoryDatabase) -> None:
    stepper = begun(database)
    ids = [send(stepper, number, -number * YEARS) for number in range(1, 4)]
    stepper.settle()
    assert ids == sized(database)


def test_nor_where_it_waits_for_a_price(database: MemoryDatabase) -> None:
    stepper = begun(database)
    ids = [send(stepper, number, -number * YEARS, symbol="DEAD/USDT") for number in range(1, 4)]
    older = send(stepper, 4, -YEARS, symbol="DEAD/USDT")
    database.rows[older].received_at = database.rows[older].sent_by = None
    stepper.settle()
    stepper.quote({"DEAD/USDT": "100"})
    stepper.settle()
    assert [older, *ids] == sized(database)


def test_an_old_time_makes_it_expire_and_a_future_one_counts_from_its_receipt(database: MemoryDatabase) -> None:
    stepper = Stepper(database, INSTRUMENTS, seed=1, max_decision_age=300)
    stepper.run()
    stepper.quote({"BTC/USDT": "100"})
    old, ahead = send(stepper, 1, -YEARS), send(stepper, 2, YEARS)
    stepper.clock.pass_by(200)
    late = send(stepper, 3, YEARS, symbol="DEAD/USDT")
    stepper.quote({"BTC/USDT": "100"})
    stepper.settle()
    assert ("expired", "executed", None) == tuple((status(stepper, id_) or (None,))[0] for id_ in (old, ahead, late))
    made = stepper.clock.now() - timedelta(seconds=200) - YEARS
    reason = f"expired: it waited since {made:%Y-%m-%d %H:%M:%S} UTC, max_decision_age = 300 s"
    assert ("expired", reason) == status(stepper, old)


def conflict(message: Submit) -> str:
    with pytest.raises(IdempotencyConflict) as raised:
        message.accepted.get(timeout=0)
    return str(raised.value)


def test_the_same_key_for_another_decision_is_an_error_of_its_caller_alone(database: MemoryDatabase) -> None:
    stepper = begun(database)
    first = submit(stepper, 1, idempotency_key="once")
    stepper.run()
    again, other = submit(stepper, 2, idempotency_key="once", confidence="0.9"), submit(stepper, 3)
    stepper.run()
    beginning = "idempotency_key 'once' is that of decision 1, which differs in confidence;"
    assert conflict(again).startswith(beginning)
    assert [1, 2] == [message.accepted.get(timeout=0).decision_id for message in (first, other)]


def test_after_a_lost_answer_a_conflict_is_found_as_well(database: MemoryDatabase) -> None:
    stepper = begun(database)
    submit(stepper, 1, idempotency_key="once")
    stepper.run()
    database.lose_answers = 1
    again = submit(stepper, 2, idempotency_key="once", decision="HOLD")
    stepper.run()
    assert "differs in decision" in conflict(again)


def test_another_sender_has_a_key_of_its_own(database: MemoryDatabase) -> None:
    stepper = begun(database)
    keyed = Decision(symbol="ETH/USDT", decision="HOLD", confidence=1, idempotency_key="once")
    database.add(keyed, stepper.clock.now(), sent_by="agent")
    own = submit(stepper, 1, idempotency_key="once")
    stepper.settle()
    assert 2 == own.accepted.get(timeout=0).decision_id
    cancel = put(stepper, 2, decision="CANCEL", symbol="*", confidence=1, target="once")
    stepper.settle()
    assert (status(stepper, cancel) or ("", ""))[1].startswith("nothing to cancel: already executed")
