"""A real Ray cluster of several nodes on this machine, and what happens to it while a sweep runs on it.

``python -m tests.support.sweeps.cluster_scenario same|nodes|head FOLDER SEED`` prints one document: how each run of the
sweep ended, and what was killed. It is a process of its own, because Ray leaves threads and warnings in the one that
starts it.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from persistence.stores.sweeps.file_trials import FileTrials
from tests.support.sweeps.plans import sweep_of

POINTS = 30
SECONDS = 0.2
OPTIONS = {"seconds": SECONDS}
NODES = 3
MEMORY = 80 * 1024 * 1024
RECONNECT_S = "5"
"""After so long without its head, a process of Ray gives in; a minute by default."""
RUN_TIMEOUT_S = 240.0


class Scenario:
    """A cluster, the file of a sweep, and a record of what happened."""

    def __init__(self, folder: Path) -> None:
        from ray.cluster_utils import Cluster  # noqa: PLC0415 - an extra

        self.file = folder / "trials.db"
        self.sweep = sweep_of("slow", (f"n=1:{POINTS}",), **OPTIONS)
        self.runs: list[dict[str, Any]] = []
        self.killed: list[str] = []
        self._cluster_type = Cluster
        self.begin()

    def begin(self) -> None:
        self.cluster: Any = self._cluster_type(
            initialize_head=True, head_node_args={"num_cpus": 1, "object_store_memory": MEMORY}
        )
        self.nodes = [self.add_node() for _ in range(NODES - 1)]

    def add_node(self) -> Any:
        return self.cluster.add_node(num_cpus=1, object_store_memory=MEMORY)

    def start_run(self) -> subprocess.Popen[str]:
        command = [
            sys.executable, "-m", "tests.support.sweeps.cluster_run", self.cluster.address, str(self.file), "slow",
            str(POINTS), json.dumps(OPTIONS),
        ]  # fmt: skip
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def finish(self, run: subprocess.Popen[str]) -> None:
        output, _ = run.communicate(timeout=RUN_TIMEOUT_S)
        self.runs.append({"code": run.returncode, "output": output[-1_000:]})

    def done(self) -> int:
        if not self.file.exists():
            return 0
        with closing(FileTrials(self.file)) as store:
            return sum(row.scores is not None for row in store.trials(self.sweep.sweep))

    def until(self, condition: Callable[[], bool], run: subprocess.Popen[str]) -> None:
        while run.poll() is None and not condition():
            time.sleep(0.1)

    def kill_node(self, node: Any) -> None:
        self.cluster.remove_node(node, allow_graceful=False)
        self.nodes.remove(node)
        self.killed.append("node")


def same(scenario: Scenario) -> None:
    scenario.finish(scenario.start_run())


def nodes(scenario: Scenario) -> None:
    """Kill a node at random each few results, and add another one later."""
    draw, run = random.Random(int(sys.argv[3])), scenario.start_run()
    for count in (4, 14, 24, 34):
        scenario.until(lambda count=count: scenario.done() >= count, run)  # type: ignore[misc]
        scenario.kill_node(draw.choice(scenario.nodes))
        scenario.until(lambda count=count: scenario.done() >= count + 4, run)  # type: ignore[misc]
        scenario.nodes.append(scenario.add_node())
    scenario.finish(run)


def head(scenario: Scenario) -> None:
    """Kill the head, and with it the cluster, then begin another one and go on."""
    run = scenario.start_run()
    scenario.until(lambda: scenario.done() >= 8, run)
    for node in (scenario.cluster.head_node, *scenario.nodes):
        node.kill_all_processes(check_alive=False, allow_graceful=False)
        scenario.killed.append("head" if not scenario.killed else "node")
    scenario.finish(run)
    scenario.begin()
    scenario.finish(scenario.start_run())


def main() -> int:
    os.environ["RAY_gcs_rpc_server_reconnect_timeout_s"] = RECONNECT_S  # noqa: SIM112 - as Ray spells it
    os.environ["RAY_DISABLE_IMPORT_WARNING"] = "1"
    scenario = Scenario(Path(sys.argv[2]))
    try:
        {"same": same, "nodes": nodes, "head": head}[sys.argv[1]](scenario)
    finally:
        scenario.cluster.shutdown()
    document = {"runs": scenario.runs, "killed": scenario.killed}
    print(json.dumps(document), flush=True)  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
