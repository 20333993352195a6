"""Trailing stops through the real behaviours, in drawn orders of steps, with crashes and lost commits."""

from __future__ import annotations

import random
from decimal import Decimal

import pytest

from actors.messages import DataSeen, Tick
from domain.trading.decision import Decision
from domain.types import PortfolioName
from tests.support.actors.decision_path import INSTRUMENTS
from tests.support.actors.memory_stores import MemoryDatabase
from tests.support.actors.stepped_runtime import NOON
from tests.support.actors.stepper import Stepper
from tests.support.values.builders import BY_QUOTE, costs, quote, rules, uid

DEFAULT = PortfolioName("default")
PRICES = ("101", "104", "103", "109.5", "107", "106", "105.5", "107.5", "104.4", "104", "102")
WORKERS = ("PriceTracker", "PositionKeeper", "ExecutionSimulator", "Sizer", "DecisionWatcher")


def entered(seed: int, database: MemoryDatabase) -> Stepper:
    """Return the actors after a BUY of 4 at 100 with a trailing stop of 5."""
    database.open_portfolio(rules(costs=costs(0, 0, 0), execution=BY_QUOTE, max_position_size=1))
    stepper = Stepper(database, INSTRUMENTS, seed)
    stepper.run()
    stepper.quote({"BTC/USDT": "100"})
    stepper.run()
    database.add(
        Decision(symbol="BTC/USDT", decision="BUY", confidence=1, quantity=4, trailing_stop=5, uid=uid(seed)), NOON
    )
    stepper.settle()
    return stepper


def show(stepper: Stepper, price: str) -> None:
    """Send a price of a watched symbol, as a price source does: no other takes its place."""
    stepper.tell("PriceTracker", DataSeen((quote(price, at=stepper.clock.now()),)))


def tick(stepper: Stepper) -> None:
    """Let the timer tick, so that marks are stored and data released."""
    stepper.tell("ExecutionSimulator", Tick())
    stepper.run()


def stored_stops(database: MemoryDatabase) -> list[tuple[Decimal | None, Decimal | None]]:
    return [(one.mark, one.stop_price) for one in database.portfolios[DEFAULT].open_orders]


def test_the_mark_is_stored_with_a_tick_and_the_data_are_released_after_it() -> None:
    database = MemoryDatabase()
    stepper = entered(1, database)
    show(stepper, "107")
    show(stepper, "103")
    stepper.run()
    assert [(Decimal(100), Decimal(95))] == stored_stops(database)
    assert 2 == len(stepper.wiring.market_data)
    database.fail_commits = 1  # nothing is released where the mark is not stored
    tick(stepper)
    stepper.run()
    assert 2 == len(stepper.wiring.market_data)
    assert [(Decimal(100), Decimal(95))] == stored_stops(database)
    tick(stepper)
    assert [(Decimal(107), Decimal(102))] == stored_stops(database)
    assert 0 == len(stepper.wiring.market_data)
    assert 1 == len(database.fills)


@pytest.mark.parametrize("seed", range(100))
def test_the_same_fill_whatever_fails(seed: int) -> None:
    rng, database = random.Random(seed), MemoryDatabase()
    stepper = entered(seed, database)
    for price in PRICES:
        show(stepper, price)
        for _ in range(rng.randrange(6)):
            stepper.step()
        fault = rng.randrange(8)
        if fault == 0:
            stepper.crash(rng.choice(WORKERS))
        elif fault == 1:
            database.fail_commits = 1
        elif fault == 2:
            database.lose_answers = 1
        if rng.random() < 0.5:
            stepper.tell("ExecutionSimulator", Tick())
        if rng.random() < 0.3:
            stepper.settle()
    for _ in "12":  # the first one may fail
        tick(stepper)
        stepper.settle()
    # The highest mark is 109.5, its stop 104.5, and the first price at or below it 104.4.
    bought, sold = database.fills
    assert (Decimal(100), Decimal("104.4"), Decimal(4)) == (bought.fill.price, sold.fill.price, sold.fill.quantity)
    assert [] == list(database.portfolios[DEFAULT].open_orders)
