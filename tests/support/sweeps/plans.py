"""Sweeps for tests, and the trials that they store."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

from domain.sweeps.trial import Sweep, SweepPlan, Trial, TrialScores
from research.sweeps.folds import walk_forward
from research.sweeps.space import Space
from research.sweeps.trials import trial_rows

BEGUN = datetime(2026, 5, 1, 12, tzinfo=UTC)
FIRST_DAY = date(2025, 1, 1)
EVALUATIONS = "tests.support.sweeps.evaluations"


def days(count: int, first: date = FIRST_DAY) -> list[date]:
    return [first + timedelta(days=day) for day in range(count)]


def sweep_of(
    evaluation: str = "coin",
    space: Sequence[str] = ("n=1:4",),
    *,
    folds: int = 2,
    history: int = 60,
    sampler: str = "grid",
    trials: int | None = None,
    seed: int = 1,
    **options: Any,
) -> Sweep:
    plan = SweepPlan(tuple(space), sampler, trials, seed, "sharpe", walk_forward(days(history), folds), options=options)
    return Sweep.of(f"{EVALUATIONS}:{evaluation}", "c" * 64, "d" * 64, plan, BEGUN)


def rows_of(sweep: Sweep) -> list[Trial]:
    """Return the rows of all points of a sweep's space."""
    space = Space.parse(sweep.plan.space)
    return [row for point in range(space.size) for row in trial_rows(sweep, point + 1, point, space.point(point))]


def scores(value: float = 1.5, count: int = 3) -> TrialScores:
    return TrialScores(value, value / 3, tuple(value / 7 + day for day in range(count)), {"fills": 12.0})
