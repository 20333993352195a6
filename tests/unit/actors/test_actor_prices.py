"""Law 6 through the real behaviours: the price of a decision, and how long it waits for one."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from actors.messages import Tick
from tests.support.actors.decision_path import begun, opened, put, status
from tests.support.actors.memory_stores import MemoryDatabase
from tests.support.actors.stepped_runtime import NOON
from tests.support.actors.stepper import Stepper


@pytest.fixture
def database() -> MemoryDatabase:
    return opened(MemoryDatabase())


@pytest.fixture
def stepper(database: MemoryDatabase) -> Stepper:
    return begun(database)


def test_a_price_seen_within_the_grace_is_used(stepper: Stepper) -> None:
    stepper.clock.pass_by(1.0)
    id_ = put(stepper)
    stepper.settle()
    assert stepper.database.fills[0].fill.quote.price == Decimal(100)
    assert "executed" == (status(stepper, id_) or ("",))[0]


def test_an_older_price_is_not_used_and_the_next_one_is(stepper: Stepper) -> None:
    stepper.clock.pass_by(1.001)
    id_ = put(stepper)
    stepper.settle()
    assert status(stepper, id_) is None
    assert {"BTC/USDT"} == stepper.source.wanted
    stepper.clock.pass_by(29)
    stepper.quote({"BTC/USDT": "101"})
    stepper.run()
    assert [Decimal(101)] == [a.fill.quote.price for a in stepper.database.fills]


def test_no_price_in_time(stepper: Stepper) -> None:
    id_ = put(stepper, symbol="DEAD/USDT")
    stepper.settle()
    stepper.clock.pass_by(30)
    stepper.tell("Sizer", Tick())
    stepper.run()
    assert status(stepper, id_) is None
    stepper.clock.pass_by(0.001)
    stepper.tell("Sizer", Tick())
    stepper.run()
    assert ("rejected", "no price in time: none of DEAD/USDT was seen within 30 s") == status(stepper, id_)


def test_a_price_that_comes_too_late_is_not_taken(stepper: Stepper) -> None:
    id_ = put(stepper, symbol="DEAD/USDT")
    stepper.settle()
    stepper.clock.pass_by(31)
    stepper.quote({"DEAD/USDT": "5"})
    stepper.run()
    assert "rejected" == (status(stepper, id_) or ("",))[0]
    assert stepper.database.fills == []


@pytest.mark.parametrize("hours", [-1, 1])
def test_a_wall_clock_that_is_set_delays_nothing_and_expires_nothing(stepper: Stepper, hours: int) -> None:
    waits, priced = put(stepper, symbol="DEAD/USDT"), put(stepper, 2, symbol="BTC/USDT")
    stepper.clock.pass_by(1.001)
    stepper.settle()
    stepper.clock.set_by(3600 * hours)
    stepper.clock.pass_by(1)
    stepper.quote({"BTC/USDT": "101"})
    stepper.settle()
    assert "executed" == (status(stepper, priced) or ("",))[0]
    stepper.clock.pass_by(29)
    stepper.settle()
    assert status(stepper, waits) is None
    stepper.clock.pass_by(0.001)
    stepper.settle()
    assert ("rejected", "no price in time: none of DEAD/USDT was seen within 30 s") == status(stepper, waits)


def test_a_dead_symbol_blocks_no_other(stepper: Stepper) -> None:
    dead = put(stepper, 1, symbol="DEAD/USDT")
    alive = put(stepper, 2)
    stepper.settle()
    assert status(stepper, dead) is None
    assert "executed" == (status(stepper, alive) or ("",))[0]


def test_expired_while_it_waited(stepper: Stepper) -> None:
    id_ = put(stepper, symbol="DEAD/USDT", expires_at=NOON + timedelta(seconds=5))
    stepper.settle()
    stepper.clock.pass_by(5)
    stepper.tell("Sizer", Tick())
    stepper.run()
    assert ("expired", "expired: at 2026-01-05 12:00:05 UTC, while it waited for a price") == status(stepper, id_)


def test_another_currency_needs_no_price_to_be_refused(stepper: Stepper) -> None:
    id_ = put(stepper, symbol="X/EUR")
    stepper.settle()
    assert ("rejected", "other currency: X/EUR trades in EUR, the portfolio holds USDT") == status(stepper, id_)


def test_a_jump_like_a_split_buys_nothing_and_sells_at_the_book_that_confirms_it(stepper: Stepper) -> None:
    put(stepper)
    stepper.settle()
    for _ in range(3):  # a tenth of the price needs three answers over 10 s
        stepper.quote({"BTC/USDT": "10"}, spread="0.01")
        stepper.settle()
        stepper.pass_by(5)
    stepper.quote({"BTC/USDT": "10"}, spread="0.01")
    stepper.settle()
    bought, sold = put(stepper, 2), put(stepper, 3, decision="SELL")
    stepper.settle()
    reason = "no price in time: BTC/USDT at 10 after 100 looks like a 10:1 split"
    assert ("rejected", reason) == status(stepper, bought)
    assert "executed" == (status(stepper, sold) or ("",))[0]
    assert [Decimal(100), Decimal(10)] == [a.fill.quote.price for a in stepper.database.fills]
    stepper.pass_by(600)
    stepper.quote({"BTC/USDT": "10"})
    stepper.settle()
    again = put(stepper, 4)
    stepper.settle()
    assert "executed" == (status(stepper, again) or ("",))[0]


def test_the_newest_price_at_sizing_counts_not_the_one_at_receipt(stepper: Stepper) -> None:
    put(stepper)
    stepper.wake()
    while stepper.database.fills == [] and not any("Sizer Decide" in line for line in stepper.trace[-1:]):
        stepper.step()
    stepper.run()
    assert Decimal(100) == stepper.database.fills[0].fill.quote.price
