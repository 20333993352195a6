"""`make faults`: everything that can go wrong does, thousands of times; at the end stands what was lost.

First come the tests that `make test` leaves out because they take long (`-m slow`).

make faults                                                     all of it, in less than half an hour
make faults ARGS=--quick                                        a little of each part, in two minutes
make faults ARGS="--only deaths --seed 17 --point 'Sizer sends Execute'"
"""

from __future__ import annotations

import argparse
import multiprocessing
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed

from tests.faults.counters import Counters
from tests.faults.jobs import PARTS, Job, do, end_in_order, jobs, present
from tests.faults.matrix import find
from tests.faults.report import report

SLOW_TESTS = (
    *(sys.executable, "-m", "pytest", "-m", "slow"),
    *("-n", "4", "--dist", "loadfile", "--no-loadscope-reorder", "--max-worker-restart", "0"),
)
SIDE_BY_SIDE = 3
"""Most of the time is spent waiting: for a successor, a restart, a commit."""


def main() -> int:
    """Run what was asked for; return 1 unless everything is sound."""
    options = _options()
    end_in_order()
    is_whole = options.only is None and not options.quick
    tests_passed = not is_whole or subprocess.run(SLOW_TESTS, check=False).returncode == 0
    begun = time.monotonic()
    names = [name for name in PARTS if options.only in {None, name}]
    missing = {name: "it is not there" for name in names if not present(name)}
    wanted = [name for name in names if name not in missing]
    for name in wanted:
        print(f"{name}: {PARTS[name].what}", flush=True)  # noqa: T201
    total = Counters.total(_done(jobs(wanted, options.seed, options.quick, options.point, options.rounds)))
    print(report(total, time.monotonic() - begun, missing))  # noqa: T201
    return 0 if total.passed and tests_passed else 1


def _done(todo: Sequence[Job]) -> list[Counters]:
    if len(todo) == 1:
        return [do(todo[0])]
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(SIDE_BY_SIDE, context, initializer=end_in_order) as workers:
        running = {workers.submit(do, job): job for job in todo}
        try:
            results = [_result(ready, running[ready]) for ready in as_completed(running)]
        except BaseException:
            workers.shutdown(wait=False, cancel_futures=True)
            for process in multiprocessing.active_children():
                process.terminate()  # each ends its servers, see `end_in_order`
            raise
    return results


def _result(ready: Future[Counters], job: Job) -> Counters:
    try:
        return ready.result()
    except Exception as error:  # noqa: BLE001 - the other parts are reported, too
        repeat = f'make faults ARGS="--only {job.part} --seed {job.seed}"'
        return Counters(repeat=[f"{job.part} broke off, {error!r}: {repeat}"])


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make faults", description="Let everything go wrong, and count what is lost.")
    parser.add_argument("--seed", type=int, default=1, help="what is drawn is drawn from it (1)")
    parser.add_argument("--quick", action="store_true", help="a little of each part")
    parser.add_argument("--only", choices=PARTS, help="one part")
    parser.add_argument("--point", help="of the matrix, such as 'Sizer sends Execute'; with --only")
    parser.add_argument("--rounds", type=int, help="of a part that counts in rounds")
    options = parser.parse_args()
    if options.point is not None:
        if options.only is None:
            parser.error("--point needs --only PART")
        try:
            find(options.point)
        except ValueError as error:
            parser.error(str(error))
    return options


if __name__ == "__main__":
    sys.exit(main())
