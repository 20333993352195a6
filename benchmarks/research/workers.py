"""Measure how well a sweep uses the processors: ``python -m benchmarks.research.workers``.

Trials that compute for a known time of a processor, first in this process, then in worker processes, and with ``--ray
ADDRESS`` on a Ray cluster. The efficiency is the time of the processors that the trials needed, over the time that
passed times the number of workers; 1 is the best. With more workers than processors, those count.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from persistence.stores.sweeps.file_trials import FileTrials
from research.sweeps.cluster import RayWorkers
from research.sweeps.runner import SweepRun
from research.sweeps.samplers import sampler
from research.sweeps.space import Space
from research.sweeps.workers import LocalWorkers, Workers
from tests.support.sweeps.plans import sweep_of

POINTS = 60
GOAL, RAY_GOAL = 0.85, 0.75


def measure(seconds: float, count: int, connect: Callable[[], Workers]) -> float:
    """Return the efficiency of trials that take so many seconds each, on this number of processors."""
    warm = sweep_of("slow", (f"n=1:{count * 2}",), seconds=0.001, seed=2)
    sweep = sweep_of("slow", (f"n=1:{POINTS}",), seconds=seconds)
    with tempfile.TemporaryDirectory() as folder, closing(FileTrials(Path(folder) / "trials.db")) as store:
        workers = connect()
        try:
            for one in (warm, sweep):
                plan, stored = one.plan, store.begin(one)
                chosen = sampler(plan.sampler, Space.parse(plan.space), plan.trials, plan.seed)
                begun = time.perf_counter()
                assert SweepRun(stored, store, workers, lambda: datetime.now(UTC)).run(chosen)
                passed = time.perf_counter() - begun
        finally:
            workers.close()
    return POINTS * len(sweep.plan.folds) * seconds / (passed * count)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    processors = os.cpu_count() or 1
    parser.add_argument("--workers", type=int, default=processors, help=f"processes of this machine [{processors}]")
    parser.add_argument("--ray", metavar="ADDRESS", help="measure a Ray cluster, too: auto, or host:port")
    arguments = parser.parse_args()
    wrong = 0
    for seconds in (0.01, 0.05, 0.2):
        local = measure(seconds, min(arguments.workers, processors), lambda: LocalWorkers(arguments.workers))
        line = f"trials of {seconds:5} s: {arguments.workers} processes {local:.2f}"
        wrong += seconds >= 0.05 and local < GOAL
        if arguments.ray is not None:
            cluster = measure(seconds, processors, lambda: RayWorkers(arguments.ray))
            line += f", Ray {cluster:.2f}"
            wrong += seconds >= 0.05 and cluster < RAY_GOAL
        print(line, flush=True)
    print(f"goal for trials of 0.05 s and more: {GOAL}" + (f", Ray {RAY_GOAL}" if arguments.ray is not None else ""))
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
