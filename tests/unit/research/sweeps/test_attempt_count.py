"""The number of trials from which a strategy came, over all of its sweeps."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import numpy as np

from domain.sweeps.trial import Sweep, TrialScores
from domain.validation.criteria import Swept
from research.sweeps.attempt_count import swept_of
from research.sweeps.trials import MemoryTrials
from tests.support.sweeps.plans import BEGUN, rows_of, sweep_of


def store_of(sweep: Sweep, ended: int | None = None) -> MemoryTrials:
    """Return a store with a sweep; of its trials so many have ended, and the others have not begun."""
    store = MemoryTrials()
    store.begin(sweep)
    store.add(rows_of(sweep))
    for row in store.trials(sweep.sweep, last=ended):
        store.claim(row, "a:1", BEGUN)
        returns = tuple(0.01 * (day % (row.trial + 1)) - 0.005 for day in range(20))
        store.finish(row.key, TrialScores(1.0, 1.0, returns), BEGUN)
    return store


def test_the_trials_of_all_sweeps_of_a_strategy_are_counted() -> None:
    first, second = sweep_of(name="Dip"), sweep_of(name="Dip", seed=2)
    other = sweep_of(name="Other", space=("n=1:9",))
    stores = [store_of(first), store_of(second, 3), store_of(other)]
    ratios = []
    for number in (1, 2, 3, 4, 1, 2, 3):
        returns = np.tile([0.01 * (day % (number + 1)) - 0.005 for day in range(20)], 2)
        ratios.append(returns.mean() / returns.std(ddof=1))
    swept = swept_of(stores, ["Dip", "Another"])
    assert swept is not None
    assert 7 == swept.trials
    assert abs(Decimal(float(np.std(ratios, ddof=1))) - swept.deviation) < Decimal("1e-11")


def test_a_trial_that_failed_counts_and_one_that_has_not_begun_does_not() -> None:
    sweep = sweep_of(name="Dip")
    store = store_of(sweep, 0)
    for row in store.trials(sweep.sweep, 1, 3):
        store.claim(row, "a:1", BEGUN)
        store.fail(row.key, "it raised", BEGUN)
    assert Swept(3, Decimal(0)) == swept_of([store], {"Dip"})


def test_without_a_second_trial_there_was_no_choice() -> None:
    sweep = sweep_of(name="Dip")
    assert None is swept_of([store_of(sweep, 1)], {"Dip"})
    assert None is swept_of([store_of(sweep)], {"Dipp"})
    assert None is swept_of([store_of(replace(sweep, plan=replace(sweep.plan, options={})))], {"Dip"})
