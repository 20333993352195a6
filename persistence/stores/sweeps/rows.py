"""Rows of ``research_sweeps`` and ``research_trials``: the columns are the same in a file and in the database."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from domain.sweeps.parameters import from_texts, to_texts
from domain.sweeps.trial import Sweep, SweepPlan, Trial, TrialScores, TrialState

SWEEP_COLUMNS = ("sweep", "evaluation", "code_hash", "data_manifest", "plan", "created_at")
TRIAL_COLUMNS = (
    "sweep", "trial", "fold", "point", "parameters", "seed", "code_hash", "data_manifest", "state", "attempts",
    "worker", "started_at", "ended_at", "in_sample", "out_of_sample", "returns", "metrics", "error",
)  # fmt: skip
MAX_TRIAL = 2**31 - 1
NEW_COLUMNS = TRIAL_COLUMNS[:10]
"""What a trial has before it runs."""


def sweep_row(sweep: Sweep) -> dict[str, Any]:
    """Return a sweep as a row, with the plan as a document."""
    return {name: getattr(sweep, name) for name in SWEEP_COLUMNS} | {"plan": sweep.plan.to_dict()}


def sweep_from(row: Mapping[str, Any]) -> Sweep:
    """Return the sweep of a row."""
    return Sweep(**{name: row[name] for name in SWEEP_COLUMNS} | {"plan": SweepPlan.from_dict(row["plan"])})


def new_trial_row(trial: Trial) -> dict[str, Any]:
    """Return a trial that has not begun as a row."""
    row = {name: getattr(trial, name) for name in NEW_COLUMNS}
    return row | {"parameters": to_texts(trial.parameters), "state": TrialState.PENDING.value, "attempts": 0}


def scores_row(scores: TrialScores) -> dict[str, Any]:
    """Return a result as columns of a trial."""
    return {
        "in_sample": scores.in_sample,
        "out_of_sample": scores.out_of_sample,
        "returns": list(scores.returns),
        "metrics": dict(scores.metrics),
    }


def trial_from(row: Mapping[str, Any]) -> Trial:
    """Return the trial of a row."""
    scores = None
    if row["state"] == TrialState.DONE:
        scores = TrialScores(row["in_sample"], row["out_of_sample"], tuple(row["returns"]), row["metrics"])
    return Trial(
        sweep=row["sweep"],
        trial=row["trial"],
        fold=row["fold"],
        point=row["point"],
        parameters=from_texts(row["parameters"]),
        seed=row["seed"],
        code_hash=row["code_hash"],
        data_manifest=row["data_manifest"],
        state=TrialState(row["state"]),
        attempts=row["attempts"],
        worker=row["worker"],
        started_at=row["started_at"],
        ended_at=row["ended_at"],
        scores=scores,
        error=row["error"],
    )
