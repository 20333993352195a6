"""The laws of orders over random quotes, prints, bars, orders, cancels, halts and restarts."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from domain.trading.events import OrderAccepted, OrderEnded
from tests.support.values.order_choices import LARGEST
from tests.support.values.order_run import drawn, played

NUMBERS = st.lists(st.integers(0, LARGEST - 1), min_size=1, max_size=60)
SEEDS = 12
STEPS = 500


@settings(max_examples=60)
@given(NUMBERS)
def test_the_laws_hold_after_every_step_and_a_cancel_of_all_restores_the_cash(numbers: list[int]) -> None:
    played(numbers).finish()


@settings(max_examples=40)
@given(NUMBERS, st.sets(st.integers(0, 59), max_size=5))
def test_a_restart_changes_nothing(numbers: list[int], restarts: set[int]) -> None:
    expected = played(numbers, check=False)
    actual = played(numbers, restarts, check=False)
    assert expected.happened == actual.happened
    assert expected.states == actual.states


def test_longer_lives_keep_the_laws_and_the_same_again_gives_the_identical_events() -> None:
    fills = days = protections = 0
    for seed in range(SEEDS):
        numbers = list(drawn(random.Random(seed), STEPS))
        run = played(numbers, restarts=range(0, STEPS, 40))
        again = played(numbers, check=False)
        assert run.happened == again.happened
        fills += run.fills["maker"]
        days += sum(isinstance(one, OrderEnded) and one.order.calendar is not None for one in run.happened)
        placed = [one for one in run.happened if isinstance(one, OrderAccepted) and one.ends]
        protections += len(placed)  # only the last exit of a PROTECT ends its decision by resting
        run.finish()
    assert fills > SEEDS * 10
    assert days > SEEDS / 3
    assert protections > SEEDS
