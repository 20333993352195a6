"""``python -m benchmarks.reports``: how long the report on a year takes, and how much memory.

A snapshot a minute and 50 000 round trips in one portfolio; promised are 10 s on the 2-core machine of development,
from the command to the prompt. Each way is a process of its own, as people start it, with the database started for it.
"""

from __future__ import annotations

import argparse
import gc
import os
import subprocess
import sys
import time
from pathlib import Path

from loguru import logger

from benchmarks.database import temporary_database, temporary_folder
from benchmarks.year import MINUTES, REFUSED, TRIPS, fill
from console.display.format import size
from persistence import schema
from persistence.connections import engine_for
from persistence.queries import reports
from persistence.queries.history import consistent_read, read_history
from persistence.queries.row_lists import LedgerReader

LIMIT = 10.0
"""Seconds that are promised."""
WAYS = {
    "on the screen": (),
    "--html": ("--html", "report.html"),
    "--json": ("--json",),
    "--csv": ("--csv", "tables"),
}


def steps(url: str) -> list[tuple[str, float, float]]:
    """Return each step of a report, its seconds, and those of this process's CPU."""
    engine = engine_for(url, "benchmark")
    gc.disable()  # as the command does
    steps = []
    try:
        begun, cpu = time.perf_counter(), time.process_time()
        with consistent_read(engine) as cursor:
            history = read_history(cursor, "default")
        steps.append(("reading", time.perf_counter() - begun, time.process_time() - cpu))
        begun, cpu = time.perf_counter(), time.process_time()
        with consistent_read(engine) as cursor:
            reports.read_report(cursor, history, "default")
        steps.append(("computing", time.perf_counter() - begun, time.process_time() - cpu))
    finally:
        engine.dispose()
    return steps


def run(words: tuple[str, ...], home: Path, folder: Path) -> tuple[float, float, int]:
    """Run a report as a person would; return its seconds, those of its CPU, and its most memory in bytes."""
    program = str(Path(__file__).parent.parent / "run.py")
    begun = time.perf_counter()
    with subprocess.Popen(
        [sys.executable, program, "report", "--home", str(home), *words], cwd=folder, stdout=subprocess.DEVNULL
    ) as process:
        _, status, used = os.wait4(process.pid, 0)
        took = time.perf_counter() - begun
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise RuntimeError(f"report {' '.join(words)} ended with {process.returncode}")
    scale = 1 if sys.platform == "darwin" else 1024
    return took, used.ru_utime + used.ru_stime, used.ru_maxrss * scale


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reports", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the year")
    quick = parser.parse_args().quick
    logger.remove()
    share = 10 if quick else 1
    with temporary_folder() as folder:
        with temporary_database(None, folder) as url:
            schema.upgrade(url)
            begun = time.perf_counter()
            fill(url, trips=TRIPS // share, minutes=MINUTES // share, refused=REFUSED // share)
            print(f"filled in {time.perf_counter() - begun:.1f} s", file=sys.stderr)
            ledger_reader = LedgerReader(url)
            differences = ledger_reader.ledger_differences()
            ledger_reader.close()
        slowest = 0.0
        print(f"{MINUTES // share:,} snapshots, {TRIPS // share:,} round trips; with start and end of the database:")
        # Before this process is large: a child's most memory is at first that of its parent.
        for name, words in WAYS.items():
            took, cpu, memory = run(words, folder, folder)
            slowest = max(slowest, took)
            print(f"{name:<14} {took:6.2f} s, {cpu:.2f} s of CPU, at most {size(memory)}")
        with temporary_database(None, folder) as url:
            for name, took, cpu in steps(url):
                print(f"{name:<14} {took:6.2f} s, {cpu:.2f} s of CPU")
    print(f"promised: {LIMIT:g} s; load of the machine {os.getloadavg()[0]:.1f}")
    for difference in differences:
        print(difference["difference"])
    return 0 if slowest < LIMIT and not differences else 1


if __name__ == "__main__":
    sys.exit(main())
