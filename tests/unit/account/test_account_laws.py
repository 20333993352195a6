"""The laws with deposits, withdrawals, splits, dividends and write-offs between orders, market data and restarts."""

from __future__ import annotations

import random
from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from domain.trading.account.requests import AccountKind
from tests.support.account.account_run import account_run
from tests.support.values.order_choices import LARGEST
from tests.support.values.order_run import drawn

NUMBERS = st.lists(st.integers(0, LARGEST - 1), min_size=1, max_size=60)
SEEDS = 10
STEPS = 400


@settings(max_examples=60)
@given(NUMBERS)
def test_the_laws_hold_after_every_step(numbers: list[int]) -> None:
    account_run(numbers).finish()


@settings(max_examples=40)
@given(NUMBERS, st.sets(st.integers(0, 59), max_size=5))
def test_a_restart_changes_nothing(numbers: list[int], restarts: set[int]) -> None:
    expected = account_run(numbers, check=False)
    actual = account_run(numbers, restarts, check=False)
    assert expected.happened == actual.happened
    assert expected.states == actual.states


def test_longer_lives_see_every_kind_of_request_and_the_same_again_gives_the_identical_events() -> None:
    changes: Counter[AccountKind] = Counter()
    refusals = 0
    for seed in range(SEEDS):
        numbers = list(drawn(random.Random(seed), STEPS))
        run = account_run(numbers, restarts=range(0, STEPS, 40))
        assert run.happened == account_run(numbers, check=False).happened
        changes += run.changes
        refusals += run.refusals
        run.finish()
    assert {kind for kind in AccountKind if not kind.closes} == {
        kind for kind, number in changes.items() if number > SEEDS / 2
    }
    assert refusals > SEEDS
