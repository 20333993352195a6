"""The age limit of a decision: over a downtime, over an outage, and dated ahead."""

from __future__ import annotations

from datetime import timedelta

import pytest

from domain.types import OutcomeStatus
from tests.support.actors.decision_path import INSTRUMENTS, begun, opened, put, status
from tests.support.actors.memory_stores import MemoryDatabase
from tests.support.actors.stepper import Stepper


@pytest.fixture
def database() -> MemoryDatabase:
    return opened(MemoryDatabase())


@pytest.fixture
def stepper(database: MemoryDatabase) -> Stepper:
    return begun(database)


def test_a_decision_that_waited_longer_than_allowed_expires_with_the_reason(database: MemoryDatabase) -> None:
    stepper = Stepper(database, INSTRUMENTS, seed=1, max_decision_age=3600)
    old, young = put(stepper, 1), put(stepper, 2)
    database.rows[old].created_at -= timedelta(hours=2)
    stepper.run()
    stepper.quote({"BTC/USDT": "100"})
    stepper.settle()
    reason = "expired: it waited since 2026-01-05 10:00:00 UTC, max_decision_age = 3600 s"
    assert ("expired", reason) == status(stepper, old)
    assert "executed" == (status(stepper, young) or ("",))[0]


def test_without_a_limit_a_decision_may_wait_for_years(stepper: Stepper) -> None:
    old = put(stepper)
    stepper.database.rows[old].created_at -= timedelta(days=1_000)
    stepper.settle()
    assert "executed" == (status(stepper, old) or ("",))[0]


def test_every_kind_of_decision_that_waited_too_long_expires_at_the_first_read(
    database: MemoryDatabase,
) -> None:
    stepper = Stepper(database, INSTRUMENTS, seed=1, max_decision_age=300)
    wanted = [{"decision": "HOLD"}, {"symbol": "NOPE"}, {"confidence": "0.1"}, {"portfolio": "nobody's"}]
    old = [put(stepper, number, **changes) for number, changes in enumerate(wanted, 1)]
    more = [put(stepper, number) for number in range(5, 2_505)]  # more than are read at once
    for id_ in old + more:
        database.rows[id_].created_at -= timedelta(seconds=301)
    database.stubborn.add(more[0])  # its row cannot be ended, and blocks no other
    stepper.run()
    assert stepper.ready
    assert {"expired"} == {(status(stepper, id_) or ("",))[0] for id_ in old + more[1:]}
    assert (None, 2_503) == (status(stepper, more[0]), stepper.counters.expired_at_intake)
    assert 2_503 == stepper.counters.counts().outcomes[OutcomeStatus.EXPIRED, "expired"]


def test_one_that_is_just_young_enough_is_traded_and_one_dated_ahead_counts_from_its_intake(
    database: MemoryDatabase,
) -> None:
    stepper = Stepper(database, INSTRUMENTS, seed=1, max_decision_age=300)
    just, ahead = put(stepper, 1), put(stepper, 2, symbol="DEAD/USDT")
    database.rows[just].created_at -= timedelta(seconds=300)
    database.rows[ahead].created_at += timedelta(days=1_000)
    stepper.run()
    stepper.quote({"BTC/USDT": "100"})
    stepper.settle()
    assert ("executed", 0) == ((status(stepper, just) or ("",))[0], stepper.counters.expired_at_intake)
    assert status(stepper, ahead) is None
    stepper.clock.pass_by(301)
    stepper.settle()
    assert (status(stepper, ahead) or ("", ""))[1].startswith("expired: it waited since ")


def test_one_that_was_priced_and_not_committed_over_an_outage_expires_and_is_not_filled_later(
    database: MemoryDatabase,
) -> None:
    stepper = Stepper(database, INSTRUMENTS, seed=1, max_decision_age=300)
    stepper.run()
    stepper.quote({"BTC/USDT": "100"})
    stepper.run()
    old = put(stepper)
    stepper.wake()
    while not any("PositionKeeper" in line and f"#{old}" in line for line in stepper.trace):
        database.fail_commits = 1  # the connection is lost in its COMMIT
        assert stepper.step()
    database.away = True
    for _ in range(50):
        stepper.step()
    stepper.clock.pass_by(600)
    database.away, database.fail_commits = False, 0
    stepper.quote({"BTC/USDT": "200"})
    stepper.settle()
    outcome = status(stepper, old)
    assert outcome is not None
    assert ("expired", True) == (outcome[0], outcome[1].startswith("expired: it waited since "))
    assert [] == database.fills
