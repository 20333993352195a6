"""The judge of settlements by bars: a settlement passes, and each kind of better or unmarked result is found."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from domain.trading.bookkeeping import Result
from domain.trading.events import Filled, OrderEnded, OrderTriggered
from domain.trading.quotes import Quote
from domain.types import Liquidity, OrderStatus, OrderType
from tests.support.actors.memory_stores import MemoryDatabase
from tests.support.actors.stepped_runtime import NOON
from tests.support.settlement.twins import EVERY_S, play, trades
from tests.support.settlement.worse_side import WorseSide

SEED, KILLS = 5, 10
BEGIN = NOON + timedelta(seconds=EVERY_S)


@pytest.fixture(scope="module")
def market() -> list[Quote]:
    return trades(SEED, KILLS)


@pytest.fixture(scope="module")
def undisturbed() -> MemoryDatabase:
    return play(SEED, KILLS, killed=False)


@pytest.fixture(scope="module")
def settled() -> MemoryDatabase:
    return play(SEED, KILLS, killed=True, by_bars=True)


def changed(one: Result, **values: Any) -> Result:
    """Return a fill with other values."""
    return replace(one, event=replace(one.event, fill=one.fill._replace(**values)))  # type: ignore[arg-type]


def is_stop(one: Result) -> bool:
    return isinstance(one.event, Filled) and one.order.order_type is OrderType.STOP


def is_maker(one: Result) -> bool:
    return isinstance(one.event, Filled) and one.fill.liquidity is Liquidity.MAKER


def is_target(one: Result) -> bool:
    return is_maker(one) and one.order.leg == 3


def test_a_settlement_by_bars_differs_and_takes_the_worse_side(
    market: list[Quote], undisturbed: MemoryDatabase, settled: MemoryDatabase
) -> None:
    judge = WorseSide(market, undisturbed, settled)
    assert 13 == len(judge.differing())
    assert [] == judge.violations()
    kinds = (is_stop, is_maker, is_target)
    assert [True] * 3 == [any(one.recovered and is_kind(one) for one in settled.fills) for is_kind in kinds]


def test_a_program_that_ran_on_differs_in_nothing(market: list[Quote], undisturbed: MemoryDatabase) -> None:
    judge = WorseSide(market, undisturbed, undisturbed)
    assert ({}, []) == (judge.differing(), judge.violations())


@pytest.mark.parametrize(
    ("expected", "concerns", "change"),
    [
        ("nothing marks it", is_maker, lambda one: replace(one, recovered=False)),
        ("is a maker, and got", is_maker, lambda one: changed(one, price=one.fill.price + Decimal("0.01"))),
        ("beyond which nobody traded", is_maker, lambda one: changed(one, filled_at=BEGIN)),
        ("its stop is", is_stop, lambda one: changed(one, price=one.fill.price + Decimal("0.01"))),
        ("its stop is", is_stop, lambda one: changed(one, price=one.fill.price - Decimal("0.01"))),
    ],
)
def test_a_fill_that_is_unmarked_or_too_good_is_found(
    expected: str,
    concerns: Callable[[Result], bool],
    change: Callable[[Result], Result],
    market: list[Quote],
    undisturbed: MemoryDatabase,
    settled: MemoryDatabase,
) -> None:
    database = copy.copy(settled)
    database.fills = [change(one) if one.recovered and concerns(one) else one for one in settled.fills]
    violations = WorseSide(market, undisturbed, database).violations()
    assert any(expected in violation for violation in violations), violations


def test_a_stop_that_is_missed_is_found(
    market: list[Quote], undisturbed: MemoryDatabase, settled: MemoryDatabase
) -> None:
    database = copy.copy(settled)
    database.fills = [one for one in settled.fills if not is_stop(one)]
    database.events = [one for one in settled.events if not isinstance(one.event, OrderTriggered)]
    violations = WorseSide(market, undisturbed, database).violations()
    assert any("its position is held after the bar" in violation for violation in violations), violations


def test_a_target_that_is_filled_by_a_bar_with_its_stop_is_found(
    market: list[Quote], undisturbed: MemoryDatabase, settled: MemoryDatabase
) -> None:
    database = copy.copy(settled)
    stops = {one.order.decision_id: one.event.at for one in settled.fills if is_stop(one) and one.recovered}
    id_, at = next(iter(stops.items()))
    target = next(one for one in settled.fills if is_target(one))
    order = replace(target.order, decision_id=id_, created_at=at - timedelta(days=1))
    moved = replace(target, event=replace(target.event, order=order, fill=target.fill._replace(filled_at=at)))
    database.fills = [*settled.fills, replace(moved, recovered=True)]  # type: ignore[arg-type]
    violations = WorseSide(market, undisturbed, database).violations()
    assert any("was filled by a bar that reached its stop" in violation for violation in violations), violations


def test_an_expiry_at_another_time_is_found(
    market: list[Quote], undisturbed: MemoryDatabase, settled: MemoryDatabase
) -> None:
    def later(one: Result) -> Result:
        event = one.event
        if not isinstance(event, OrderEnded) or event.status is not OrderStatus.EXPIRED:
            return one
        return replace(one, event=replace(event, at=event.at + timedelta(seconds=1)))

    database = copy.copy(settled)
    database.events = [later(one) for one in settled.events]
    violations = WorseSide(market, undisturbed, database).violations()
    assert any(" expired at " in violation for violation in violations), violations
