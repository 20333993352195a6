"""The tables of sweeps keep the contract of the stores of trials, and what they hold never changes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import psycopg
import pytest

from domain.sweeps.trial import TrialState
from persistence.stores.sweeps.database_trials import DatabaseTrials
from research.sweeps.runner import SweepRun
from research.sweeps.samplers import sampler
from research.sweeps.space import Space
from research.sweeps.trials import TrialStore, table_of
from research.sweeps.workers import LocalWorkers
from tests.support.database.upgraded import database_url, embedded_url
from tests.support.sweeps.plans import BEGUN, rows_of, scores, sweep_of
from tests.support.sweeps.store_contract import StoreContract

__all__ = ["database_url", "embedded_url"]  # fixtures


@pytest.fixture
def table(embedded_url: str) -> Iterator[DatabaseTrials]:
    with closing(DatabaseTrials(embedded_url)) as store:
        yield store


class TestTable(StoreContract):
    @pytest.fixture
    def store(self, table: DatabaseTrials) -> TrialStore:
        return table


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE research_trials SET in_sample = 9 WHERE state = 'done'",
        "UPDATE research_trials SET state = 'pending' WHERE state = 'done'",
        "DELETE FROM research_trials",
        "TRUNCATE research_trials",
    ],
)
def test_a_result_never_changes_and_no_trial_is_deleted(
    table: DatabaseTrials, embedded_url: str, statement: str
) -> None:
    sweep = table.begin(sweep_of())
    table.add(rows_of(sweep))
    row = table.trials(sweep.sweep)[0]
    table.claim(row, "a:1", BEGUN)
    table.finish(row.key, scores(), BEGUN)
    with (
        psycopg.connect(embedded_url) as connection,
        pytest.raises(psycopg.errors.CheckViolation, match="the result of a trial never changes, and a trial is never"),
    ):
        connection.execute(statement)


@pytest.mark.slow
def test_a_sweep_runs_on_the_database(table: DatabaseTrials, embedded_url: str) -> None:
    sweep = table.begin(sweep_of(space=("n=1:4", "ratio=0.5,1.25")))
    plan = sweep.plan
    with closing(LocalWorkers(2)) as workers:
        chosen = sampler(plan.sampler, Space.parse(plan.space), plan.trials, plan.seed)
        assert SweepRun(sweep, table, workers, lambda: BEGUN).run(chosen)
    rows = table.trials(sweep.sweep)
    assert {(TrialState.DONE, 1)} == {(row.state, row.attempts) for row in rows}
    assert tuple(range(1, 9)) == table_of(rows, plan).numbers
    query = "SELECT trial FROM research_trials WHERE parameters->>'n' = '3' AND returns[1] IS NOT NULL ORDER BY 1"
    with psycopg.connect(embedded_url) as connection:
        assert [(5,), (5,), (6,), (6,)] == connection.execute(query).fetchall()
