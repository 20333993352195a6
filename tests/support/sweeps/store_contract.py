"""The contract of a store of trials, which each kind of it keeps: in memory, in a file, in the database."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from domain.sweeps.trial import Trial, TrialState
from research.sweeps.trials import TrialStore
from tests.support.sweeps.plans import BEGUN, rows_of, scores, sweep_of

LATER = BEGUN + timedelta(minutes=3, microseconds=17)
SPACE = ("n=1:3", "ratio=0.5,1.25", "side=long,both")


class StoreContract:
    """The tests; a subclass has a fixture ``store``."""

    def begun(self, store: TrialStore, **options: Any) -> list[Trial]:
        sweep = store.begin(sweep_of(space=SPACE, **options))
        store.add(rows_of(sweep))
        return store.trials(sweep.sweep)

    def test_a_sweep_is_stored_once_and_read_back_as_it_was(self, store: TrialStore) -> None:
        sweep = sweep_of(space=SPACE, symbols=["BTC/USDT"], rate=0.1)
        assert sweep == store.begin(sweep)
        again = replace(sweep, created_at=LATER)
        assert sweep == store.begin(again)
        other = store.begin(replace(sweep_of(seed=2), created_at=LATER))
        assert [sweep, other] == store.sweeps()

    def test_each_trial_is_a_row_before_it_runs(self, store: TrialStore) -> None:
        rows = self.begun(store)
        assert [(number, fold) for number in range(1, 13) for fold in (1, 2)] == [row.key[1:] for row in rows]
        assert {(TrialState.PENDING, 0, None, None)} == {
            (row.state, row.attempts, row.started_at, row.scores) for row in rows
        }
        assert {"n": 1, "ratio": Decimal("0.5"), "side": "long"} == rows[0].parameters
        assert rows_of(sweep_of(space=SPACE)) == rows
        assert rows[4:8] == store.trials(rows[0].sweep, 3, 4)
        assert rows[4:] == store.trials(rows[0].sweep, 3)

    def test_a_trial_that_is_there_stays_as_it_is(self, store: TrialStore) -> None:
        row = self.begun(store)[0]
        assert store.claim(row, "a:1", LATER)
        store.add([row])
        assert TrialState.RUNNING == self.row(store, row).state

    def test_a_result_is_read_back_to_the_last_digit(self, store: TrialStore) -> None:
        row = self.begun(store)[3]
        assert store.claim(row, "a:1", BEGUN)
        result = scores(1 / 3, 5)
        assert store.finish(row.key, result, LATER)
        expected = replace(
            row, state=TrialState.DONE, attempts=1, worker="a:1", started_at=BEGUN, ended_at=LATER, scores=result
        )
        assert expected == self.row(store, row)

    def test_one_process_begins_a_trial_at_a_time(self, store: TrialStore) -> None:
        row = self.begun(store)[0]
        assert store.claim(row, "a:1", BEGUN)
        assert not store.claim(row, "b:2", LATER)
        stored = self.row(store, row)
        assert ("a:1", 1, BEGUN) == (stored.worker, stored.attempts, stored.started_at)
        # With what it is now, another process may take it over.
        assert store.claim(stored, "b:2", LATER)
        taken = self.row(store, row)
        assert ("b:2", 2, LATER) == (taken.worker, taken.attempts, taken.started_at)

    def test_the_first_result_stays(self, store: TrialStore) -> None:
        row = self.begun(store)[0]
        assert store.claim(row, "a:1", BEGUN)
        assert store.finish(row.key, scores(1.0), LATER)
        assert not store.finish(row.key, scores(2.0), LATER)
        assert not store.fail(row.key, "too late", LATER)
        assert not store.claim(self.row(store, row), "b:2", LATER)
        assert scores(1.0) == self.row(store, row).scores

    def test_a_failure_has_its_reason_and_is_an_end(self, store: TrialStore) -> None:
        row = self.begun(store)[0]
        assert store.claim(row, "a:1", BEGUN)
        assert store.fail(row.key, "x" * 2_000, LATER)
        stored = self.row(store, row)
        assert (TrialState.FAILED, "x" * 1_000, LATER, None) == (
            stored.state, stored.error, stored.ended_at, stored.scores,
        )  # fmt: skip
        assert not store.finish(row.key, scores(), LATER)

    def test_sweeps_do_not_mix(self, store: TrialStore) -> None:
        first, second = self.begun(store)[0], self.begun(store, seed=2)[0]
        assert first.key[1:] == second.key[1:]
        assert store.claim(second, "a:1", BEGUN)
        assert store.finish(second.key, scores(), LATER)
        assert TrialState.PENDING == self.row(store, first).state
        assert [] == store.trials(sweep_of(seed=3).sweep)

    def test_numbers_that_are_not_finite_are_no_result(self, store: TrialStore) -> None:
        with pytest.raises(ValueError, match="a result holds a number that is not finite"):
            scores(float("nan"))

    def row(self, store: TrialStore, row: Trial) -> Trial:
        return next(one for one in store.trials(row.sweep) if one.key == row.key)
