"""One run of a sweep in worker processes, as a process of its own: ``python -m tests.support.sweeps.local_run FILE``.

It may be killed like a user's command, and so may its workers; the file then has what was done.
"""

from __future__ import annotations

import sys
from contextlib import closing
from pathlib import Path

from domain.sweeps.trial import Sweep, Trial
from persistence.stores.sweeps.file_trials import FileTrials
from research.sweeps.runner import Progress, SweepRun
from research.sweeps.samplers import sampler
from research.sweeps.space import Space
from research.sweeps.workers import LocalWorkers
from tests.support.sweeps.evaluations import coin
from tests.support.sweeps.plans import BEGUN, sweep_of

POINTS, SECONDS, WORKERS = 24, 0.05, 2


def sweep_here(seed: int) -> Sweep:
    return sweep_of("slow", (f"n=1:{POINTS}",), sampler="random", trials=POINTS, seed=seed, seconds=SECONDS)


def differences(rows: list[Trial], sweep: Sweep, points: int) -> list[str]:
    """Return what is lost, doubled or wrong: each trial has one result, that of its own parameters and seed."""
    folds = {fold.number: fold for fold in sweep.plan.folds}
    expected = {(trial, fold) for trial in range(1, points + 1) for fold in folds}
    wrong = [] if expected == {(row.trial, row.fold) for row in rows} else ["rows are missing, or there are others"]
    for row in rows:
        own = tuple(coin(row.parameters, folds[row.fold], row.seed).out_of_sample)
        if row.scores is None or row.scores.returns != own:
            wrong.append(f"trial {row.trial} on fold {row.fold} is {row.state}, or has another result")
    if len({row.point for row in rows}) != points:
        wrong.append("a point was tried twice, or not at all")
    return wrong


def main() -> int:
    sweep = sweep_here(int(sys.argv[2]))

    def show(progress: Progress) -> None:
        print(progress.ended, *workers.pids, flush=True)  # noqa: T201

    with closing(FileTrials(Path(sys.argv[1]))) as store, closing(LocalWorkers(WORKERS)) as workers:
        stored, plan = store.begin(sweep), sweep.plan
        chosen = sampler(plan.sampler, Space.parse(plan.space), plan.trials, plan.seed)
        SweepRun(stored, store, workers, lambda: BEGUN, show).run(chosen)
    return 0


if __name__ == "__main__":
    sys.exit(main())
