"""Stores of trials in memory and in a file, the ids of sweeps, and the table that the verdict is computed from."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest

from domain.errors import DatabaseUnavailable, DatabaseUnsuitable, InvalidRequest
from domain.sweeps.trial import Sweep, SweepPlan, Trial, TrialState
from persistence.stores.sweeps.file_trials import FileTrials
from research.sweeps.trials import MemoryTrials, TrialStore, mean_in_sample, table_of
from tests.support.sweeps.plans import BEGUN, rows_of, scores, sweep_of
from tests.support.sweeps.store_contract import StoreContract

ROOT = Path(__file__).parents[4]


class TestMemory(StoreContract):
    @pytest.fixture
    def store(self) -> TrialStore:
        return MemoryTrials()


class TestFile(StoreContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[TrialStore]:
        with closing(FileTrials(tmp_path / "sweeps" / "trials.db")) as store:
            yield store


def done(row: Trial, value: float, count: int = 3) -> Trial:
    return replace(row, state=TrialState.DONE, scores=scores(value, count))


def test_the_id_of_a_sweep_is_its_content() -> None:
    sweep = sweep_of()
    assert sweep.sweep == sweep_of().sweep
    other = replace(sweep.plan, seed=2), replace(sweep.plan, objective="calmar"), replace(sweep.plan, options={"a": 1})
    assert 4 == len({sweep.sweep, *(sweep.of("e", "c", "d", plan, BEGUN).sweep for plan in other)})
    assert sweep.plan == SweepPlan.from_dict(sweep.plan.to_dict())


def test_a_sweep_that_was_begun_before_points_were_replaced_keeps_its_id() -> None:
    before = sweep_of()
    assert UUID("95436564-4517-5347-a71c-9db534d4793a") == before.sweep
    now = Sweep.of(
        before.evaluation, before.code_hash, before.data_manifest, replace(before.plan, replaces_refused=True), BEGUN
    )
    assert now.plan == SweepPlan.from_dict(now.plan.to_dict())
    assert now.sweep != before.sweep == now.without_replacement().sweep


def test_variants_of_one_fold_meet_the_same_chance() -> None:
    rows = rows_of(sweep_of())
    assert {1, 2} == {row.fold for row in rows}
    assert 2 == len({row.seed for row in rows}) == len({(row.seed, row.fold) for row in rows})
    assert {row.seed for row in rows}.isdisjoint({row.seed for row in rows_of(sweep_of(seed=2))})
    assert all(0 <= row.seed < 2**63 for row in rows)


def test_a_file_outlives_its_process(tmp_path: Path) -> None:
    sweep = sweep_of()
    with closing(FileTrials(tmp_path / "a.db")) as store:
        store.begin(sweep)
        store.add(rows_of(sweep))
        store.claim(store.trials(sweep.sweep)[0], "a:1", BEGUN)
        store.finish(store.trials(sweep.sweep)[0].key, scores(), BEGUN)
    with closing(FileTrials(tmp_path / "a.db")) as again:
        assert [TrialState.DONE, TrialState.PENDING] == [row.state for row in again.trials(sweep.sweep)][:2]
    assert "-rw-------" == _mode(tmp_path / "a.db")


def _mode(path: Path) -> str:
    return subprocess.run(["ls", "-l", path], capture_output=True, text=True, check=True).stdout.split()[0]


def test_a_result_in_a_file_never_changes_and_no_trial_is_deleted(tmp_path: Path) -> None:
    sweep = sweep_of()
    with closing(FileTrials(tmp_path / "a.db")) as store:
        store.begin(sweep)
        store.add(rows_of(sweep))
        row = store.trials(sweep.sweep)[0]
        store.claim(row, "a:1", BEGUN)
        store.finish(row.key, scores(), BEGUN)
    with closing(sqlite3.connect(tmp_path / "a.db")) as connection:
        with pytest.raises(sqlite3.IntegrityError, match="the result of a trial never changes"):
            connection.execute("UPDATE research_trials SET in_sample = 9")
        with pytest.raises(sqlite3.IntegrityError, match="a trial is never deleted: it counts as an attempt"):
            connection.execute("DELETE FROM research_trials")


def test_other_files_are_refused_and_left_alone(tmp_path: Path) -> None:
    text, other, newer = tmp_path / "text", tmp_path / "other", tmp_path / "newer"
    text.write_text("a text that is long enough to be no header of a database" * 20)
    with closing(sqlite3.connect(other)) as connection:
        connection.execute("CREATE TABLE holidays (day text)")
    with closing(sqlite3.connect(newer)) as connection:
        connection.execute("PRAGMA user_version = 7")
    sentences = {
        text: f"{text} is no file of sweeps: file is not a database; name another file",
        other: f"{other} is a database of another program; name another file",
        newer: f"{newer} is of a newer version of this program (7, this one writes 2); name another file, or run the "
        "newer version",
    }
    for path, sentence in sentences.items():
        with pytest.raises(DatabaseUnsuitable) as error:
            FileTrials(path)
        assert sentence == str(error.value)
    assert text.read_text().startswith("a text")
    for path in (other, newer):
        with closing(sqlite3.connect(path)) as connection:
            assert [("delete",)] == connection.execute("PRAGMA journal_mode").fetchall()
    with pytest.raises(DatabaseUnavailable, match=r"cannot be used: .*text is no folder"):
        FileTrials(text / "a.db")


@pytest.mark.slow
def test_several_processes_use_one_file_and_each_trial_is_begun_once(tmp_path: Path) -> None:
    code = """
import sys
from contextlib import closing
from pathlib import Path
from persistence.stores.sweeps.file_trials import FileTrials
from tests.support.sweeps.plans import BEGUN, rows_of, scores, sweep_of
sweep = sweep_of(space=("n=1:50",))
with closing(FileTrials(Path(sys.argv[1]))) as store:
    store.begin(sweep)
    store.add(rows_of(sweep))
    mine = [row for row in rows_of(sweep) if store.claim(row, sys.argv[2], BEGUN)]
    print(sum(store.finish(row.key, scores(), BEGUN) for row in mine))
"""

    def run(name: str) -> int:
        command = [sys.executable, "-c", code, str(tmp_path / "a.db"), name]
        ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
        return int(ended.stdout)

    with ThreadPoolExecutor(3) as threads:
        counts = list(threads.map(run, "abc"))
    assert 100 == sum(counts)
    with closing(FileTrials(tmp_path / "a.db")) as store:
        rows = store.trials(sweep_of(space=("n=1:50",)).sweep)
    assert {(TrialState.DONE, 1)} == {(row.state, row.attempts) for row in rows}
    assert sorted(counts) == sorted([row.worker for row in rows].count(name) for name in "abc")


def test_a_sampler_learns_from_the_training_days_of_complete_trials() -> None:
    first, second = rows_of(sweep_of())[:2]
    assert 2.0 == mean_in_sample([done(first, 1.0), done(second, 3.0)])
    assert mean_in_sample([done(first, 1.0), second]) is None
    assert mean_in_sample([]) is None


def test_the_table_has_the_complete_trials_and_counts_all() -> None:
    sweep = sweep_of()
    rows = rows_of(sweep)
    stored = [done(row, float(row.trial + row.fold)) if (row.trial, row.fold) != (2, 2) else row for row in rows]
    table = table_of(stored, sweep.plan)
    assert (1, 3, 4) == table.numbers
    assert ({"n": 1}, {"n": 3}, {"n": 4}) == table.parameters
    assert (4, (3, 3), "sharpe", 365) == (table.attempts, table.fold_days, table.objective, table.days_per_year)
    assert [[2.0, 4.0, 5.0], [3.0, 5.0, 6.0]] == table.in_sample.tolist()
    assert list(scores(2.0).returns + scores(3.0).returns) == table.returns[:, 0].tolist()


def test_without_a_complete_trial_there_is_no_table_but_the_first_error() -> None:
    sweep = sweep_of()
    rows = rows_of(sweep)
    with pytest.raises(InvalidRequest, match=r"^none of 4 trials has a result in every fold$"):
        table_of(rows, sweep.plan)
    failed = [replace(row, state=TrialState.FAILED, error=f"n={row.trial}: no volume") for row in rows]
    with pytest.raises(InvalidRequest, match="in every fold; the first error, of trial 1 on fold 1: n=1: no volume"):
        table_of(failed, sweep.plan)


def test_trials_of_different_length_are_no_table() -> None:
    sweep = sweep_of()
    rows = [done(row, 1.0, 4 if row.key[1:] == (3, 2) else 3) for row in rows_of(sweep)]
    sentence = (
        r"trial 3 has \(3, 4\) daily returns in its folds, and trial 1 \(3, 3\): an evaluation returns one for each"
    )
    with pytest.raises(InvalidRequest, match=sentence):
        table_of(rows, sweep.plan)
