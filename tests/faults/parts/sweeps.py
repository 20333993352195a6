"""Part ``sweeps``: sweeps whose process, and whose workers, are killed at random moments, and which then go on."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import tempfile
from contextlib import closing, suppress
from pathlib import Path

from persistence.stores.sweeps.file_trials import FileTrials
from tests.faults.counters import Counters
from tests.support.sweeps.local_run import POINTS, differences, sweep_here

ROOT = Path(__file__).parents[3]
MAX_KILLS = 3
"""Of the sweep itself, in one round; then it may end."""
KILLED_WORKERS = 0.03
"""Share of the results at which a worker is killed; a trial that meets it three times would rightly have failed."""


def run(rounds: int, seed: int) -> Counters:
    """Run so many sweeps; return what was lost or doubled."""
    counters = Counters()
    for number in range(rounds):
        own_seed = seed * 1_000 + number
        with tempfile.TemporaryDirectory() as folder:
            wrong = _round(Path(folder, "trials.db"), own_seed, counters)
        counters.repeat += [
            f'{difference}: make faults ARGS="--only sweeps --seed {seed} --rounds {rounds}"' for difference in wrong
        ]
    return counters


def _round(file: Path, seed: int, counters: Counters) -> list[str]:
    draw = random.Random(seed)
    for kills_left in range(MAX_KILLS, -1, -1):
        # Progress counts what earlier runs have done, too.
        last = draw.randrange(POINTS * 2) if kills_left else POINTS * 2
        if _killed(file, seed, draw, last, counters) == 0:
            break
    else:
        return [f"the sweep of seed {seed} did not end"]
    sweep = sweep_here(seed)
    with closing(FileTrials(file)) as store:
        return [f"seed {seed}: {difference}" for difference in differences(store.trials(sweep.sweep), sweep, POINTS)]


def _killed(file: Path, seed: int, draw: random.Random, last: int, counters: Counters) -> int:
    """Run the sweep, kill workers now and then, and the sweep after so many results; return its exit code."""
    command = [sys.executable, "-m", "tests.support.sweeps.local_run", str(file), str(seed)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout is not None
    with process:
        for line in process.stdout:
            ended, *pids = map(int, line.split())
            if ended >= last and ended < POINTS * 2:
                process.send_signal(signal.SIGKILL)
                counters.faults["death of a sweep"] += 1
            elif draw.random() < KILLED_WORKERS:
                with suppress(ProcessLookupError):
                    os.kill(draw.choice(pids), signal.SIGKILL)
                    counters.faults["death of a worker"] += 1
    return process.returncode
