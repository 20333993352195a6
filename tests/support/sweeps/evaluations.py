"""Evaluations of trials for tests, named so that worker processes import them."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np

from domain.sweeps.folds import Fold
from domain.sweeps.parameters import Parameters
from research.sweeps.evaluation import TrialResult

DAY_S = 86_400


def coin(parameters: Parameters, fold: Fold, seed: int, edge: float = 0.0) -> TrialResult:
    """Return noise that depends on the parameters and the seed alone; ``n`` = 3 earns `edge` more a day."""
    rank = sum(ord(letter) for letter in str(sorted(parameters.items())))
    draw = np.random.default_rng([seed, rank])
    train, test = ((span.end - span.begin).total_seconds() // DAY_S for span in (fold.train, fold.test))
    added = edge if parameters.get("n") == 3 else 0.0
    values = [(draw.normal(added, 0.01, int(days))).tolist() for days in (train, test)]
    return TrialResult(*values, metrics={"fills": float(rank)})


def raising(parameters: Parameters, fold: Fold, seed: int) -> TrialResult:
    """Raise on one fold where ``n`` = 2."""
    if parameters["n"] == 2 and fold.number == 2:
        raise ZeroDivisionError("no volume at 2024-03-01 00:00")
    return coin(parameters, fold, seed)


def nonsense(parameters: Parameters, fold: Fold, seed: int) -> Any:
    """Return something else, by the parameter ``kind``."""
    return {
        "text": "a text",
        "empty": TrialResult([], [0.1]),
        "infinite": TrialResult([0.1], [0.1, float("inf")]),
    }[str(parameters["kind"])]


def dying(parameters: Parameters, fold: Fold, seed: int, folder: str, times: int) -> TrialResult:
    """Kill the own process where ``n`` = 2, as often as `times` says, and note each call in a folder."""
    name = f"{parameters['n']}-{fold.number}"
    calls = len(list(Path(folder).glob(f"{name}-*")))
    Path(folder, f"{name}-{calls}").touch()
    if parameters["n"] == 2 and calls < times:
        os.kill(os.getpid(), signal.SIGKILL)
    return coin(parameters, fold, seed)


def slow(parameters: Parameters, fold: Fold, seed: int, seconds: float) -> TrialResult:
    """Compute for so many seconds of this process's time."""
    begun = time.process_time()
    while time.process_time() - begun < seconds:
        np.sqrt(np.arange(1_000.0)).sum()
    return coin(parameters, fold, seed)
