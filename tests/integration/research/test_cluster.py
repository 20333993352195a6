"""A sweep on a real Ray cluster of three nodes: what is killed loses nothing and doubles nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from domain.errors import InvalidRequest
from domain.sweeps.trial import Trial, TrialState
from persistence.stores.sweeps.file_trials import FileTrials
from research.sweeps.cluster import RayWorkers
from tests.support.sweeps.cluster_scenario import OPTIONS, POINTS, RUN_TIMEOUT_S
from tests.support.sweeps.evaluations import coin
from tests.support.sweeps.plans import sweep_of

ROOT = Path(__file__).parents[3]
SWEEP = sweep_of("slow", (f"n=1:{POINTS}",), **OPTIONS)


def scenario(name: str, folder: Path) -> tuple[dict[str, Any], list[Trial]]:
    pytest.importorskip("ray", reason="ray is missing; the extra cluster brings it")
    command = [sys.executable, "-m", "tests.support.sweeps.cluster_scenario", name, str(folder)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=RUN_TIMEOUT_S)
    assert 0 == ended.returncode, ended.stdout + ended.stderr
    document = json.loads(ended.stdout.splitlines()[-1])
    with closing(FileTrials(folder / "trials.db")) as store:
        return document, store.trials(SWEEP.sweep)


def check(rows: list[Trial]) -> None:
    """Each trial has one result, that of its own parameters and seed."""
    assert 2 * POINTS == len(rows)
    assert {TrialState.DONE} == {row.state for row in rows}
    folds = {fold.number: fold for fold in SWEEP.plan.folds}
    for row in rows:
        assert row.scores is not None
        assert tuple(coin(row.parameters, folds[row.fold], row.seed).out_of_sample) == row.scores.returns


def test_a_cluster_gives_the_same_results_as_one_process(tmp_path: Path) -> None:
    document, rows = scenario("same", tmp_path)
    assert ([0], []) == (document["ended"], document["killed"]), document
    assert {1} == {row.attempts for row in rows}
    check(rows)


def test_nodes_that_are_killed_lose_and_double_nothing(tmp_path: Path) -> None:
    document, rows = scenario("nodes", tmp_path)
    assert ([0], ["node"] * 4) == (document["ended"], document["killed"]), document
    assert max(row.attempts for row in rows) > 1
    check(rows)


def test_a_sweep_whose_head_is_killed_goes_on_in_another_cluster(tmp_path: Path) -> None:
    document, rows = scenario("head", tmp_path)
    first, second = document["ended"]
    assert (True, 0) == (first != 0, second), document
    assert 1 < max(row.attempts for row in rows)
    check(rows)


def test_without_ray_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(
        InvalidRequest, match="needs the package ray, which is not installed; install the extra cluster"
    ):
        RayWorkers("auto")
