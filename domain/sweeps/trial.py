"""A sweep and its trials, as they are stored: each trial is a row before it runs.

A trial is one point of the space; a row is one trial on one fold. The sweep's id follows from its content, so that the
same command continues the same sweep, and a changed strategy, history or plan begins another one.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple
from uuid import UUID, uuid5

from domain.sweeps.folds import Fold
from domain.sweeps.parameters import Parameters

NAMESPACE = UUID("0d6d3bb2-6f0e-5a57-9a56-8c7f2f1f4c11")
MAX_ERROR_LENGTH = 1_000
SEED_BITS = 63


class TrialState(StrEnum):
    """What became of a trial on a fold."""

    PENDING = "pending"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


class TrialKey(NamedTuple):
    """What there is one result for."""

    sweep: UUID
    trial: int
    fold: int


@dataclass(frozen=True, slots=True)
class SweepPlan:
    """What a sweep does, fixed before its first trial.

    Attributes:
        space: the values of ``--param``.
        sampler: grid, random or tpe.
        trials: number of points at most; None: all of a grid.
        seed: of the sampler, and of the draws within trials.
        objective: see `research.statistics.objectives`.
        folds: the oldest first.
        days_per_year: 365, or 252 where only exchanges with weekends are traded.
        options: what else the evaluation needs, such as symbols and rules; JSON values.
        replaces_refused: whether another point is drawn for one whose values the strategy refuses.
    """

    space: tuple[str, ...]
    sampler: str
    trials: int | None
    seed: int
    objective: str
    folds: tuple[Fold, ...]
    days_per_year: int = 365
    options: Mapping[str, Any] = field(default_factory=dict)
    replaces_refused: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        # Sweeps that were begun before points were replaced keep their content, and so their id.
        replaces = {"replaces_refused": True} if self.replaces_refused else {}
        return replaces | {
            "space": list(self.space), "sampler": self.sampler, "trials": self.trials, "seed": self.seed,
            "objective": self.objective, "folds": [fold.to_dict() for fold in self.folds],
            "days_per_year": self.days_per_year, "options": dict(self.options),
        }  # fmt: skip

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> SweepPlan:
        """Return the plan that `to_dict` wrote."""
        folds = tuple(map(Fold.from_dict, document["folds"]))
        return cls(**{**document, "space": tuple(document["space"]), "folds": folds})

    def fold_seed(self, fold: int) -> int:
        """Return the seed of all trials on a fold: variants meet the same chance."""
        digest = hashlib.sha256(f"{self.seed}/{fold}".encode()).digest()
        return int.from_bytes(digest[:8]) >> (64 - SEED_BITS)


@dataclass(frozen=True, slots=True)
class Sweep:
    """A sweep.

    Attributes:
        sweep: its id, see `sweep_id`.
        evaluation: the function that runs a trial, ``module:function``.
        code_hash: SHA-256 of the strategy's code.
        data_manifest: SHA-256 over the history's files.
        created_at: when it was begun; not part of what the id rests on.
    """

    sweep: UUID
    evaluation: str
    code_hash: str
    data_manifest: str
    plan: SweepPlan
    created_at: datetime

    @classmethod
    def of(cls, evaluation: str, code_hash: str, data_manifest: str, plan: SweepPlan, created_at: datetime) -> Sweep:
        """Return a sweep with its id."""
        own_id = sweep_id(evaluation, code_hash, data_manifest, plan)
        return cls(own_id, evaluation, code_hash, data_manifest, plan, created_at)

    def without_replacement(self) -> Sweep:
        """Return the sweep that the same request described before refused points were replaced."""
        plan = replace(self.plan, replaces_refused=False)
        return Sweep.of(self.evaluation, self.code_hash, self.data_manifest, plan, self.created_at)


def sweep_id(evaluation: str, code_hash: str, data_manifest: str, plan: SweepPlan) -> UUID:
    """Return the id of a sweep: equal for equal content, in every process."""
    content = [evaluation, code_hash, data_manifest, plan.to_dict()]
    return uuid5(NAMESPACE, json.dumps(content, sort_keys=True, separators=(",", ":")))


@dataclass(frozen=True, slots=True)
class TrialScores:
    """The result of a trial on a fold, as it is stored.

    Attributes:
        in_sample: the objective on the training days.
        out_of_sample: the objective on the test days.
        returns: the daily returns of the test days.
        metrics: further numbers by name, such as the number of fills.
    """

    in_sample: float
    out_of_sample: float
    returns: tuple[float, ...]
    metrics: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check that all numbers are finite; JSON and the verdict know no others."""
        numbers = (self.in_sample, self.out_of_sample, *self.returns, *self.metrics.values())
        if not all(map(math.isfinite, numbers)):
            msg = "a result holds a number that is not finite"
            raise ValueError(msg)


@dataclass(frozen=True, slots=True)
class Trial:
    """A trial on a fold: what is run, and what became of it.

    Attributes:
        trial: number of the point in the order of the sampler, counted from 1.
        fold: counted from 1.
        point: number of the point in the space, counted from 0.
        parameters: of the point.
        seed: of the fold, see `SweepPlan.fold_seed`.
        code_hash: of the sweep.
        data_manifest: of the sweep.
        state: what became of it.
        attempts: how often it was begun.
        worker: which process began it last.
        scores: its result; None until it is done.
        error: why it failed; None unless it did.
    """

    sweep: UUID
    trial: int
    fold: int
    point: int
    parameters: Parameters
    seed: int
    code_hash: str
    data_manifest: str
    state: TrialState = TrialState.PENDING
    attempts: int = 0
    worker: str | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    scores: TrialScores | None = None
    error: str | None = None

    @property
    def key(self) -> TrialKey:
        """What there is one result for."""
        return TrialKey(self.sweep, self.trial, self.fold)

    @property
    def has_ended(self) -> bool:
        """Whether it is done or has failed."""
        return self.state in {TrialState.DONE, TrialState.FAILED}
