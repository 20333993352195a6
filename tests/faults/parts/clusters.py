"""Part ``clusters``: nodes and the head of a real Ray cluster are killed while a sweep runs on it."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from contextlib import closing
from pathlib import Path

from persistence.stores.sweeps.file_trials import FileTrials
from tests.faults.counters import Counters
from tests.support.sweeps.cluster_scenario import OPTIONS, POINTS, RUN_TIMEOUT_S
from tests.support.sweeps.local_run import differences
from tests.support.sweeps.plans import sweep_of

ROOT = Path(__file__).parents[3]
SCENARIOS = ("same", "nodes", "head")


def run(rounds: int, seed: int) -> Counters:
    """Let each scenario happen so many times; return what was lost or doubled."""
    counters = Counters()
    for number in range(rounds):
        for name in SCENARIOS:
            with tempfile.TemporaryDirectory() as folder:
                wrong = _scenario(name, Path(folder), seed + number, counters)
            repeat = f'make faults ARGS="--only clusters --seed {seed} --rounds {rounds}"'
            counters.repeat += [f"{name}: {difference}: {repeat}" for difference in wrong]
    return counters


def _scenario(name: str, folder: Path, seed: int, counters: Counters) -> list[str]:
    command = [sys.executable, "-m", "tests.support.sweeps.cluster_scenario", name, str(folder), str(seed)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=2 * RUN_TIMEOUT_S)
    if ended.returncode:
        return [f"the cluster broke off: {(ended.stdout + ended.stderr)[-1_000:]}"]
    document = json.loads(ended.stdout.splitlines()[-1])
    counters.faults.update(
        {f"death of a {kind} of a cluster": document["killed"].count(kind) for kind in ("node", "head")}
    )
    codes = [run["code"] for run in document["runs"]]
    wrong = [] if codes[-1] == 0 else [f"the last run ended with {codes[-1]}: {document['runs'][-1]['output']}"]
    if name == "head" and codes[0] == 0:
        wrong.append("the run did not see that its cluster was lost")
    sweep = sweep_of("slow", (f"n=1:{POINTS}",), **OPTIONS)
    with closing(FileTrials(folder / "trials.db")) as store:
        return wrong + differences(store.trials(sweep.sweep), sweep, POINTS)
