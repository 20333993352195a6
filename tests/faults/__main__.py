"""`make faults`: everything that can go wrong does, thousands of times; at the end stands what was lost.

make faults                                                     all of it, in less than half an hour
make faults ARGS=--quick                                        a little of each part, in two minutes
make faults ARGS="--only deaths --seed 17 --point 'Sizer sends Execute'"
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import time
from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed

from tests.faults.counters import Counters
from tests.faults.matrix import find
from tests.faults.parts import PARTS, Job, do, end_in_order, jobs, present
from tests.faults.report import report

SIDE_BY_SIDE = 3
"""Most of the time is spent waiting: for a successor, a restart, a commit."""


def main() -> int:
    """Run what was asked for; return 1 unless everything is sound."""
    asked = _asked()
    end_in_order()
    begun = time.monotonic()
    names = [name for name in PARTS if asked.only in {None, name}]
    missing = {name: "it is not there" for name in names if not present(name)}
    wanted = [name for name in names if name not in missing]
    for name in wanted:
        print(f"{name}: {PARTS[name].what}", flush=True)  # noqa: T201
    whole = Counters.total(_done(jobs(wanted, asked.seed, asked.quick, asked.point, asked.rounds)))
    print(report(whole, time.monotonic() - begun, missing))  # noqa: T201
    return 0 if whole.passed else 1


def _done(todo: Sequence[Job]) -> list[Counters]:
    if len(todo) == 1:
        return [do(todo[0])]
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(SIDE_BY_SIDE, context, initializer=end_in_order) as workers:
        running = {workers.submit(do, job): job for job in todo}
        try:
            found = [_result(ready, running[ready]) for ready in as_completed(running)]
        except BaseException:
            workers.shutdown(wait=False, cancel_futures=True)
            for process in multiprocessing.active_children():
                process.terminate()  # each ends its servers, see `end_in_order`
            raise
    return found


def _result(ready: Future[Counters], job: Job) -> Counters:
    try:
        return ready.result()
    except Exception as error:  # noqa: BLE001 - the others are to be told of, too
        repeat = f'make faults ARGS="--only {job.part} --seed {job.seed}"'
        return Counters(repeat=[f"{job.part} broke off, {error!r}: {repeat}"])


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make faults", description="Let everything go wrong, and count what is lost.")
    parser.add_argument("--seed", type=int, default=1, help="what is drawn is drawn from it (1)")
    parser.add_argument("--quick", action="store_true", help="a little of each part")
    parser.add_argument("--only", choices=PARTS, help="one part")
    parser.add_argument("--point", help="of the matrix, such as 'Sizer sends Execute'; with --only")
    parser.add_argument("--rounds", type=int, help="of a part that counts in rounds")
    asked = parser.parse_args()
    if asked.point is not None:
        if asked.only is None:
            parser.error("--point needs --only PART")
        try:
            find(asked.point)
        except ValueError as error:
            parser.error(str(error))
    return asked


if __name__ == "__main__":
    sys.exit(main())
