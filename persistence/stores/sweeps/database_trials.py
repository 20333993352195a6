"""The sweeps of the database: the tables ``research_sweeps`` and ``research_trials``."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from psycopg.types.json import Jsonb

from domain.sweeps.trial import MAX_ERROR_LENGTH, Sweep, Trial, TrialKey, TrialScores
from persistence.connections import engine_for, transaction
from persistence.rows import KEEP_EXISTING, insert_rows, named_rows
from persistence.stores.sweeps.rows import (
    MAX_TRIAL,
    SWEEP_COLUMNS,
    TRIAL_COLUMNS,
    new_trial_row,
    scores_row,
    sweep_from,
    sweep_row,
    trial_from,
)

PART = "sweeps"
SWEEPS = f"SELECT {', '.join(SWEEP_COLUMNS)} FROM research_sweeps ORDER BY created_at, sweep"
TRIALS = f"""
SELECT {", ".join(TRIAL_COLUMNS)} FROM research_trials
WHERE sweep = %s AND trial BETWEEN %s AND %s ORDER BY trial, fold
"""
BY_KEY = "sweep = %(sweep)s AND trial = %(trial)s AND fold = %(fold)s AND state IN ('pending', 'running')"
CLAIM = f"""
UPDATE research_trials SET state = 'running', attempts = attempts + 1, worker = %(worker)s, started_at = %(at)s
WHERE {BY_KEY} AND attempts = %(attempts)s
"""
FINISH = f"""
UPDATE research_trials
SET state = 'done', ended_at = %(at)s, in_sample = %(in_sample)s, out_of_sample = %(out_of_sample)s,
    returns = %(returns)s, metrics = %(metrics)s
WHERE {BY_KEY}
"""
FAIL = f"UPDATE research_trials SET state = 'failed', ended_at = %(at)s, error = %(error)s WHERE {BY_KEY}"


class DatabaseTrials:
    """The sweeps of a database; see `research.sweeps.trials.TrialStore`."""

    def __init__(self, database_url: str) -> None:
        self._engine = engine_for(database_url, PART)

    def close(self) -> None:
        """Close the connections."""
        self._engine.dispose()

    def begin(self, sweep: Sweep) -> Sweep:
        """Store a sweep unless it is there; return it as it is stored."""
        row = sweep_row(sweep)
        with transaction(self._engine) as cursor:
            insert_rows(cursor, "research_sweeps", [row | {"plan": Jsonb(row["plan"])}], KEEP_EXISTING)
        return next(one for one in self.sweeps() if one.sweep == sweep.sweep)

    def sweeps(self) -> list[Sweep]:
        """Return all sweeps, the oldest first."""
        with transaction(self._engine) as cursor:
            return [sweep_from(row) for row in named_rows(cursor, SWEEPS)]

    def add(self, trials: Sequence[Trial]) -> None:
        """Store trials that are to run; those that are there stay as they are."""
        rows = [new_trial_row(trial) for trial in trials]
        with transaction(self._engine) as cursor:
            insert_rows(
                cursor,
                "research_trials",
                [row | {"parameters": Jsonb(row["parameters"])} for row in rows],
                KEEP_EXISTING,
            )

    def claim(self, trial: Trial, worker: str, at: datetime) -> bool:
        """Begin a trial; False where another process has begun or ended it since it was read."""
        return self._change(CLAIM, trial.key, {"worker": worker, "at": at, "attempts": trial.attempts})

    def finish(self, key: TrialKey, scores: TrialScores, at: datetime) -> bool:
        """Store a result; False where the trial had ended: the first result stays."""
        row = scores_row(scores)
        return self._change(FINISH, key, row | {"metrics": Jsonb(row["metrics"]), "at": at})

    def fail(self, key: TrialKey, error: str, at: datetime) -> bool:
        """Store why a trial has no result; False where it had ended."""
        return self._change(FAIL, key, {"error": error[:MAX_ERROR_LENGTH], "at": at})

    def trials(self, sweep: UUID, first: int = 1, last: int | None = None) -> list[Trial]:
        """Return the trials of a sweep by number and fold.

        Args:
            sweep: its id.
            first: number of the first trial.
            last: number of the last one; None: all from the first on.
        """
        with transaction(self._engine) as cursor:
            return [
                trial_from(row)
                for row in named_rows(cursor, TRIALS, [sweep, first, MAX_TRIAL if last is None else last])
            ]

    def _change(self, statement: str, key: TrialKey, values: dict[str, object]) -> bool:
        with transaction(self._engine) as cursor:
            return cursor.execute(statement, values | key._asdict()).rowcount == 1
