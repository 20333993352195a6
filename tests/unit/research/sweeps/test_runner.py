"""The run of a sweep: each result once, whatever dies, stops or goes on."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from domain.errors import InvalidRequest
from domain.sweeps.trial import Sweep, TrialState
from persistence.stores.sweeps.file_trials import FileTrials
from research.statistics.verdict import sweep_verdict
from research.sweeps.cluster import RayWorkers
from research.sweeps.evaluation import Failed, Finished, Lost, Task, load_evaluation, run_task
from research.sweeps.runner import Progress, SweepRun
from research.sweeps.samplers import Sampler, sampler
from research.sweeps.space import Space
from research.sweeps.trials import MemoryTrials, TrialStore, table_of
from research.sweeps.workers import START_METHODS, LocalWorkers, StartMethod, Workers
from tests.support.sweeps.plans import BEGUN, rows_of, sweep_of


class InPlace:
    """Workers that run each task in this process; they take so many at once, and may lose some."""

    def __init__(self, count: int = 2, losing: Callable[[Task], bool] = lambda _task: False) -> None:
        self._count, self._losing = count, losing
        self._tasks: list[Task] = []
        self.ran: list[tuple[int, int]] = []

    @property
    def free(self) -> int:
        return self._count - len(self._tasks)

    def submit(self, task: Task) -> None:
        assert self.free
        self._tasks.append(task)

    def results(self) -> Sequence[Finished | Failed | Lost]:
        task = self._tasks.pop()  # the last one first: order must not matter
        self.ran.append(task.key[1:])
        return [Lost(task.key, "its process was killed by signal 9") if self._losing(task) else run_task(task)]

    def close(self) -> None:
        self._tasks.clear()


def sampler_of(sweep: Sweep) -> Sampler:
    plan = sweep.plan
    return sampler(plan.sampler, Space.parse(plan.space), plan.trials, plan.seed)


def run(sweep: Sweep, store: TrialStore, workers: Workers, **options: object) -> bool:
    stored = store.begin(sweep)
    return SweepRun(stored, store, workers, lambda: BEGUN, **options).run(sampler_of(stored))  # type: ignore[arg-type]


@contextmanager
def local(count: int = 2, method: StartMethod = START_METHODS[0]) -> Iterator[LocalWorkers]:
    with closing(LocalWorkers(count, method)) as workers:
        yield workers


def test_every_trial_has_one_result_and_the_progress_counts_them() -> None:
    store, workers, seen = MemoryTrials(), InPlace(), list[Progress]()
    sweep = sweep_of(space=("n=1:5",), folds=3)
    assert run(sweep, store, workers, progress=seen.append)
    rows = store.trials(sweep.sweep)
    assert 15 == len(rows) == len(workers.ran) == len(set(workers.ran))
    assert {(TrialState.DONE, 1)} == {(row.state, row.attempts) for row in rows}
    assert [Progress(0, 15, 0), Progress(15, 15, 0)] == [seen[0], seen[-1]]
    assert sorted(seen, key=lambda one: one.ended) == seen


def test_a_sweep_that_is_complete_runs_nothing_again() -> None:
    store, again = MemoryTrials(), InPlace()
    sweep = sweep_of()
    run(sweep, store, InPlace())
    before = store.trials(sweep.sweep)
    assert run(sweep, store, again)
    assert [] == again.ran
    assert before == store.trials(sweep.sweep)


def test_a_sweep_that_was_stopped_goes_on_and_gives_the_same() -> None:
    sweep, store, complete = sweep_of(space=("n=1:6",)), MemoryTrials(), MemoryTrials()
    run(sweep, complete, InPlace())
    first, second = InPlace(), InPlace()
    assert not run(sweep, store, first, stopping=lambda: len(first.ran) >= 5)
    assert 5 == sum(row.state is TrialState.DONE for row in store.trials(sweep.sweep))
    assert run(sweep, store, second)
    assert 7 == len(second.ran)
    assert [row.scores for row in complete.trials(sweep.sweep)] == [row.scores for row in store.trials(sweep.sweep)]


def test_what_raises_fails_with_its_line_and_the_others_go_on() -> None:
    store = MemoryTrials()
    sweep = sweep_of("raising")
    assert run(sweep, store, InPlace())
    rows = {row.key[1:]: row for row in store.trials(sweep.sweep)}
    error = rows[2, 2].error
    assert error is not None
    assert error.startswith("n=2: ZeroDivisionError: no volume at 2024-03-01 00:00 (evaluations.py, line ")
    assert 7 == sum(row.state is TrialState.DONE for row in rows.values())
    table = table_of(list(rows.values()), sweep.plan)
    assert ((1, 3, 4), 4) == (table.numbers, table.attempts)


@pytest.mark.parametrize(
    ("kind", "sentence"),
    [
        ("text", "kind=text: tests.support.sweeps.evaluations:nonsense returned str in place of a TrialResult"),
        ("empty", "kind=empty: tests.support.sweeps.evaluations:nonsense returned no daily returns in-sample"),
        ("infinite", "kind=infinite: tests.support.sweeps.evaluations:nonsense returned inf as return 2 of 2 out-of-"),
    ],
)
def test_what_is_no_result_is_one_sentence(kind: str, sentence: str) -> None:
    store = MemoryTrials()
    sweep = sweep_of("nonsense", (f"kind={kind}",))
    run(sweep, store, InPlace())
    assert all((row.error or "").startswith(sentence) for row in store.trials(sweep.sweep))


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("evaluate", "the evaluation 'evaluate' must be module:function"),
        (
            "no.such.module:evaluate",
            "the evaluation 'no.such.module:evaluate' cannot be imported: No module named 'no'",
        ),
        (
            "tests.support.sweeps.evaluations:coins",
            "the module tests.support.sweeps.evaluations has no function 'coins'",
        ),
    ],
)
def test_an_evaluation_that_is_not_there_ends_the_sweep_before_a_trial_runs(name: str, sentence: str) -> None:
    with pytest.raises(InvalidRequest) as error:
        load_evaluation(name)
    assert sentence == str(error.value)


def test_a_task_that_is_lost_is_repeated_and_fails_the_third_time() -> None:
    store, lost = MemoryTrials(), dict[tuple[int, int], int]()

    def losing(task: Task) -> bool:
        key = task.key[1:]
        lost[key] = lost.get(key, 0) + 1
        return key == (2, 1) or (key == (3, 2) and lost[key] <= 2)

    sweep = sweep_of()
    assert run(sweep, store, InPlace(losing=losing))
    rows = {row.key[1:]: row for row in store.trials(sweep.sweep)}
    failed = rows[2, 1]
    assert "its process was killed by signal 9, in 3 attempts" == failed.error
    assert (TrialState.DONE, 3) == (rows[3, 2].state, lost[3, 2])
    assert 7 == sum(row.state is TrialState.DONE for row in rows.values())


def test_a_row_that_another_process_has_begun_is_taken_over_at_the_end() -> None:
    store, workers = MemoryTrials(), InPlace()
    sweep = sweep_of()
    store.begin(sweep)
    started = InPlace()
    run(sweep, store, started, stopping=lambda: bool(started.ran))  # leaves a row that is running
    running = [row for row in store.trials(sweep.sweep) if row.state is TrialState.RUNNING]
    assert running
    assert run(sweep, store, workers)
    ended = {row.key: row for row in store.trials(sweep.sweep)}
    assert all((ended[row.key].state, ended[row.key].attempts) == (TrialState.DONE, 2) for row in running)


def test_stored_trials_of_other_points_end_the_sweep() -> None:
    store = MemoryTrials()
    sweep = sweep_of(space=("n=1:9",), sampler="random", trials=4)
    run(sweep, store, InPlace())
    other = sampler("random", Space.parse(sweep.plan.space), 4, 99)
    with pytest.raises(InvalidRequest, match=r"trial 1 is stored with n=\d, and the sampler now gives n=\d: another"):
        SweepRun(sweep, store, InPlace(), lambda: BEGUN).run(other)


def test_a_planted_edge_is_seen_through_the_whole_sweep() -> None:
    store = MemoryTrials()
    sweep = sweep_of(space=("n=1:8",), history=400, folds=4, edge=0.004)
    run(sweep, store, InPlace())
    verdict = sweep_verdict(table_of(store.trials(sweep.sweep), sweep.plan))
    assert verdict.passed
    assert {"n": 3} == verdict.parameters


@pytest.mark.slow
@pytest.mark.parametrize("method", START_METHODS)
def test_processes_give_the_same_results_as_one(method: StartMethod, tmp_path: Path) -> None:
    sweep, one = sweep_of(), MemoryTrials()
    run(sweep, one, InPlace())
    with closing(FileTrials(tmp_path / "a.db")) as store, local(method=method) as workers:
        assert run(sweep, store, workers)
        assert [row.scores for row in one.trials(sweep.sweep)] == [row.scores for row in store.trials(sweep.sweep)]


@pytest.mark.slow
def test_a_process_that_is_killed_is_replaced_and_its_trial_repeated(tmp_path: Path) -> None:
    calls = tmp_path / "calls"
    calls.mkdir()
    sweep = sweep_of("dying", folder=str(calls), times=2)
    store = MemoryTrials()
    with local() as workers:
        before = set(workers.pids)
        assert run(sweep, store, workers)
        assert before != set(workers.pids)
    rows = store.trials(sweep.sweep)
    assert {TrialState.DONE} == {row.state for row in rows}
    counts = {name: len(list(calls.glob(f"{name}-*"))) for name in ("1-1", "2-1", "2-2", "4-2")}
    assert {"1-1": 1, "2-1": 3, "2-2": 3, "4-2": 1} == counts


def test_workers_that_are_killed_from_outside_lose_nothing(tmp_path: Path) -> None:
    sweep, store, one = sweep_of("slow", ("n=1:10",), seconds=0.02), MemoryTrials(), MemoryTrials()
    run(sweep, one, InPlace())
    with local() as workers:
        killed: list[int] = []

        def kill_some(progress: Progress) -> None:
            if progress.ended in {3, 9, 15}:
                killed.append(workers.pids[progress.ended % 2])
                os.kill(killed[-1], signal.SIGKILL)

        assert run(sweep, store, workers, progress=kill_some)
    assert 3 == len(killed)
    assert [row.scores for row in one.trials(sweep.sweep)] == [row.scores for row in store.trials(sweep.sweep)]


def test_without_ray_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(
        InvalidRequest, match="needs the package ray, which is not installed; install the extra cluster"
    ):
        RayWorkers("auto")


def test_closing_ends_processes_that_have_a_task() -> None:
    sweep, store = sweep_of("slow", seconds=60.0), MemoryTrials()
    workers = LocalWorkers(2)
    processes = [worker.process for worker in workers._workers]
    sweep_run = SweepRun(store.begin(sweep), store, workers, lambda: BEGUN)
    for row in rows_of(sweep)[:2]:
        workers.submit(sweep_run._task(row))
    assert 0 == workers.free
    workers.close()
    assert not any(process.is_alive() for process in processes)
