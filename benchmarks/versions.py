"""``python -m benchmarks.versions FOLDER [--pairs N]``: what a decision costs here and in another checkout.

In turn, each time a new system on a new database of its own: the same market decisions in one burst, 16 portfolios.
FOLDER is a checkout of the version to compare with; both run with the Python of this one.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

import psutil

from benchmarks.database import prepare, temporary_database, temporary_folder
from benchmarks.decisions import MANY, Agent
from benchmarks.measure import burst
from benchmarks.served import served

WARM_UP = 1_000
DECISIONS = 8_000
CALM_SECONDS = 0.1
"""Between two prices of a symbol."""
WANTED = 1.1
"""The most CPU and time that a decision may take, as a multiple of the other version's."""


def measure() -> None:
    """Print seconds and CPU seconds of a burst as JSON, in the checkout that is the working folder."""
    with temporary_folder() as folder, temporary_database(None, folder) as url:
        prepare(url, list(MANY))
        agent = Agent()
        with served(url, CALM_SECONDS, folder) as system:
            burst(url, agent.decide(MANY, WARM_UP))
            process = psutil.Process(system.process.pid)
            before = sum(process.cpu_times()[:2])
            result = burst(url, agent.decide(MANY, DECISIONS))
            print(json.dumps({"wall": result.seconds, "cpu": sum(process.cpu_times()[:2]) - before}))


def measured_in(folder: Path) -> dict[str, float]:
    """Return the figures of a checkout."""
    done = subprocess.run(
        [sys.executable, __file__, "--measure"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder)},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    figures: dict[str, float] = json.loads(done.stdout)
    return figures


def main() -> int:
    """Measure and print; exit 1 where the limit is broken."""
    # Not above: with --measure the other checkout is imported, which may have no such module.
    from benchmarks.pairs import LEAST_PAIRS, ratio_of  # noqa: PLC0415

    parser = argparse.ArgumentParser(prog="python -m benchmarks.versions", description=__doc__)
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="a checkout of the version to compare with")
    parser.add_argument("--pairs", type=int, default=LEAST_PAIRS, help=f"at least {LEAST_PAIRS}")
    arguments = parser.parse_args()
    here, other, pairs = Path(__file__).resolve().parent.parent, arguments.folder.resolve(), []
    for number in range(arguments.pairs):
        order = (other, here) if number % 2 == 0 else (here, other)
        figures = {folder: measured_in(folder) for folder in order}
        pairs.append((figures[other], figures[here]))
    broken = False
    for figure, name in (("cpu", "CPU of the system"), ("wall", "time of the burst")):
        chosen = [(before[figure], now[figure]) for before, now in pairs]
        ratio = ratio_of(chosen)
        before, now = (statistics.median(side) / DECISIONS * 1e6 for side in zip(*chosen, strict=True))
        verdict = ratio.verdict(WANTED)
        print(f"{name}: {before:.0f} µs a decision before, {now:.0f} µs now: {ratio}; limit {WANTED}: {verdict}")
        broken = broken or verdict == "broken"
    print(f"{len(pairs)} pairs of {DECISIONS} decisions")
    return 1 if broken else 0


if __name__ == "__main__":
    if sys.argv[1:] == ["--measure"]:
        # The folder of this file must not come before the other checkout.
        measure()
    else:
        sys.exit(main())
