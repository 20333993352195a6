"""One run of a sweep on a Ray cluster, as a process of its own: ``python -m tests.support.sweeps.cluster_run``.

It prints how the run ended, and may be killed like a user's command.
"""

from __future__ import annotations

import argparse
import json
import sys
from contextlib import closing
from pathlib import Path

from persistence.stores.sweeps.file_trials import FileTrials
from research.sweeps.cluster import ClusterLost, RayWorkers
from research.sweeps.runner import SweepRun
from research.sweeps.samplers import sampler
from research.sweeps.space import Space
from tests.support.sweeps.plans import BEGUN, sweep_of


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("address")
    parser.add_argument("file", type=Path)
    parser.add_argument("evaluation")
    parser.add_argument("points", type=int)
    parser.add_argument("options", type=json.loads)
    arguments = parser.parse_args()
    sweep = sweep_of(arguments.evaluation, (f"n=1:{arguments.points}",), **arguments.options)
    with closing(FileTrials(arguments.file)) as store:
        stored = store.begin(sweep)
        try:
            workers = RayWorkers(arguments.address)
            with closing(workers):
                chosen = sampler(sweep.plan.sampler, Space.parse(sweep.plan.space), None, 1)
                complete = SweepRun(stored, store, workers, lambda: BEGUN).run(chosen)
        except ClusterLost as error:
            print(json.dumps({"lost": str(error)}), flush=True)  # noqa: T201
            return 1
    print(json.dumps({"complete": complete}), flush=True)  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
