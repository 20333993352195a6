"""The store of trials as a sweep uses it, one in memory, and the table that the verdict is computed from."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Protocol
from uuid import UUID

import numpy as np

from domain.errors import InvalidRequest
from domain.sweeps.trial import MAX_ERROR_LENGTH, Sweep, SweepPlan, Trial, TrialKey, TrialScores, TrialState
from domain.wording import counted
from research.statistics.trial_table import TrialTable


class TrialStore(Protocol):
    """Where sweeps and trials are kept; `persistence.stores.sweeps` has it as a file and as tables.

    Several processes may work on one sweep. A trial is begun by one of them at a time (`claim`), and has one result:
    the first (`finish`).
    """

    def begin(self, sweep: Sweep) -> Sweep:
        """Store a sweep unless it is there; return it as it is stored."""

    def sweeps(self) -> list[Sweep]:
        """Return all sweeps, the oldest first."""

    def add(self, trials: Sequence[Trial]) -> None:
        """Store trials that are to run; those that are there stay as they are."""

    def claim(self, trial: Trial, worker: str, at: datetime) -> bool:
        """Begin a trial; False where another process has begun or ended it since it was read."""

    def finish(self, key: TrialKey, scores: TrialScores, at: datetime) -> bool:
        """Store a result; False where the trial had ended: the first result stays."""

    def fail(self, key: TrialKey, error: str, at: datetime) -> bool:
        """Store why a trial has no result; False where it had ended."""

    def trials(self, sweep: UUID, first: int = 1, last: int | None = None) -> list[Trial]:
        """Return the trials of a sweep by number and fold.

        Args:
            sweep: its id.
            first: number of the first trial.
            last: number of the last one; None: all from the first on.
        """


class MemoryTrials:
    """Sweeps and trials of this process, for a sweep that need not outlive it."""

    def __init__(self) -> None:
        self._sweeps: dict[UUID, Sweep] = {}
        self._trials: dict[TrialKey, Trial] = {}

    def close(self) -> None:
        """Do nothing."""

    def begin(self, sweep: Sweep) -> Sweep:
        """Store a sweep unless it is there; return it as it is stored."""
        return self._sweeps.setdefault(sweep.sweep, sweep)

    def sweeps(self) -> list[Sweep]:
        """Return all sweeps, the oldest first."""
        return sorted(self._sweeps.values(), key=lambda one: (one.created_at, one.sweep))

    def add(self, trials: Sequence[Trial]) -> None:
        """Store trials that are to run; those that are there stay as they are."""
        for trial in trials:
            self._trials.setdefault(trial.key, trial)

    def claim(self, trial: Trial, worker: str, at: datetime) -> bool:
        """Begin a trial; False where another process has begun or ended it since it was read."""
        stored = self._trials[trial.key]
        if stored.has_ended or stored.attempts != trial.attempts:
            return False
        self._trials[trial.key] = replace(
            stored, state=TrialState.RUNNING, attempts=stored.attempts + 1, worker=worker, started_at=at
        )
        return True

    def finish(self, key: TrialKey, scores: TrialScores, at: datetime) -> bool:
        """Store a result; False where the trial had ended: the first result stays."""
        return self._end(key, state=TrialState.DONE, scores=scores, ended_at=at)

    def fail(self, key: TrialKey, error: str, at: datetime) -> bool:
        """Store why a trial has no result; False where it had ended."""
        return self._end(key, state=TrialState.FAILED, error=error[:MAX_ERROR_LENGTH], ended_at=at)

    def trials(self, sweep: UUID, first: int = 1, last: int | None = None) -> list[Trial]:
        """Return the trials of a sweep by number and fold.

        Args:
            sweep: its id.
            first: number of the first trial.
            last: number of the last one; None: all from the first on.
        """
        end = math.inf if last is None else last
        rows = (one for one in self._trials.values() if one.sweep == sweep and first <= one.trial <= end)
        return sorted(rows, key=lambda one: one.key[1:])

    def _end(self, key: TrialKey, **changes: object) -> bool:
        stored = self._trials[key]
        if stored.has_ended:
            return False
        self._trials[key] = replace(stored, **changes)  # type: ignore[arg-type]
        return True


def trial_rows(sweep: Sweep, number: int, point: int, parameters: Mapping[str, object]) -> list[Trial]:
    """Return the rows of one point: one for each fold.

    Args:
        sweep: that they belong to.
        number: of the trial, counted from 1.
        point: its number in the space.
        parameters: of the point.
    """
    return [
        Trial(
            sweep=sweep.sweep,
            trial=number,
            fold=fold.number,
            point=point,
            parameters=parameters,  # type: ignore[arg-type]
            seed=sweep.plan.fold_seed(fold.number),
            code_hash=sweep.code_hash,
            data_manifest=sweep.data_manifest,
        )
        for fold in sweep.plan.folds
    ]


def mean_in_sample(trials: Iterable[Trial]) -> float | None:
    """Return the mean objective on the training days of one point's rows; None where a row has no result.

    It is what a sampler learns from: the test days must not steer the search.
    """
    scores = [trial.scores for trial in trials]
    values = [one.in_sample for one in scores if one is not None]
    return float(np.mean(values)) if values and len(values) == len(scores) else None


def table_of(trials: Sequence[Trial], plan: SweepPlan) -> TrialTable:
    """Return the trials that have a result in every fold, side by side; the others count as attempts.

    Raises:
        InvalidRequest: no trial has one, or two of them have different numbers of days in a fold.
    """
    by_number: dict[int, list[Trial]] = {}
    for trial in trials:
        by_number.setdefault(trial.trial, []).append(trial)
    complete = {
        number: [row.scores for row in rows if row.scores is not None]
        for number, rows in sorted(by_number.items())
        if len(rows) == len(plan.folds) and all(row.scores is not None for row in rows)
    }
    if not complete:
        failed = next((trial for trial in trials if trial.error is not None), None)
        reason = ""
        if failed is not None:
            reason = f"; the first error, of trial {failed.trial} on fold {failed.fold}: {failed.error}"
        raise InvalidRequest(f"none of {counted(len(by_number), 'trial')} has a result in every fold{reason}")
    first = next(iter(complete.values()))
    fold_days = tuple(len(scores.returns) for scores in first)
    for number, rows in complete.items():
        days = tuple(len(scores.returns) for scores in rows)
        if days != fold_days:
            raise InvalidRequest(
                f"trial {number} has {days} daily returns in its folds, and trial {next(iter(complete))} {fold_days}: "
                "an evaluation returns one for each test day"
            )
    return TrialTable(
        numbers=tuple(complete),
        parameters=tuple(by_number[number][0].parameters for number in complete),
        returns=np.column_stack([np.concatenate([scores.returns for scores in rows]) for rows in complete.values()]),
        fold_days=fold_days,
        in_sample=np.array([[scores.in_sample for scores in rows] for rows in complete.values()]).T,
        out_of_sample=np.array([[scores.out_of_sample for scores in rows] for rows in complete.values()]).T,
        objective=plan.objective,
        attempts=len(by_number),
        days_per_year=plan.days_per_year,
    )
