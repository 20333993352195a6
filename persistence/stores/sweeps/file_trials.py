"""A local file of sweeps: SQLite, for a machine without a database.

Several processes may use one file at a time: it is in WAL mode, each change is one short transaction, and a change that
rests on what was read says so in its condition.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from domain.errors import DatabaseBusy, DatabaseUnavailable, DatabaseUnsuitable
from domain.sweeps.trial import MAX_ERROR_LENGTH, Sweep, Trial, TrialKey, TrialScores
from persistence.stores.sweeps.rows import (
    MAX_TRIAL,
    NEW_COLUMNS,
    SWEEP_COLUMNS,
    TRIAL_COLUMNS,
    new_trial_row,
    scores_row,
    sweep_from,
    sweep_row,
    trial_from,
)

VERSION = 2
BUSY_TIMEOUT_S = 30.0
SCHEMA = f"""
CREATE TABLE IF NOT EXISTS research_sweeps (
    sweep         text NOT NULL PRIMARY KEY,
    evaluation    text NOT NULL,
    code_hash     text NOT NULL,
    data_manifest text NOT NULL,
    plan          text NOT NULL,
    created_at    text NOT NULL
);
CREATE TABLE IF NOT EXISTS research_trials (
    sweep         text    NOT NULL REFERENCES research_sweeps,
    trial         integer NOT NULL CHECK (trial > 0),
    fold          integer NOT NULL CHECK (fold > 0),
    point         integer NOT NULL,
    parameters    text    NOT NULL,
    seed          integer NOT NULL,
    code_hash     text    NOT NULL,
    data_manifest text    NOT NULL,
    state         text    NOT NULL CHECK (state IN ('pending', 'running', 'done', 'failed')),
    attempts      integer NOT NULL CHECK (attempts >= 0),
    worker        text,
    started_at    text,
    ended_at      text,
    in_sample     real,
    out_of_sample real,
    returns       text,
    metrics       text,
    error         text,
    PRIMARY KEY (sweep, trial, fold),
    CHECK ((state = 'done') = (returns IS NOT NULL) AND (state = 'failed') = (error IS NOT NULL))
) WITHOUT ROWID;
CREATE TRIGGER IF NOT EXISTS research_trials_stand BEFORE UPDATE ON research_trials
WHEN OLD.state IN ('done', 'failed') BEGIN SELECT raise(ABORT, 'the result of a trial never changes'); END;
CREATE TRIGGER IF NOT EXISTS research_trials_stay BEFORE DELETE ON research_trials
BEGIN SELECT raise(ABORT, 'a trial is never deleted: it counts as an attempt'); END;
PRAGMA user_version = {VERSION};
"""
PRESENT = "SELECT user_version, (SELECT count(*) FROM sqlite_master) FROM pragma_user_version"
ADD_SWEEP = f"""
INSERT INTO research_sweeps ({", ".join(SWEEP_COLUMNS)}) VALUES ({", ".join(f":{name}" for name in SWEEP_COLUMNS)})
ON CONFLICT DO NOTHING
"""
ADD_TRIAL = f"""
INSERT INTO research_trials ({", ".join(NEW_COLUMNS)}) VALUES ({", ".join(f":{name}" for name in NEW_COLUMNS)})
ON CONFLICT DO NOTHING
"""
BY_KEY = "sweep = :sweep AND trial = :trial AND fold = :fold AND state IN ('pending', 'running')"
CLAIM = f"""
UPDATE research_trials SET state = 'running', attempts = attempts + 1, worker = :worker, started_at = :at
WHERE {BY_KEY} AND attempts = :attempts
"""
FINISH = f"""
UPDATE research_trials
SET state = 'done', ended_at = :at, in_sample = :in_sample, out_of_sample = :out_of_sample, returns = :returns,
    metrics = :metrics
WHERE {BY_KEY}
"""
FAIL = f"UPDATE research_trials SET state = 'failed', ended_at = :at, error = :error WHERE {BY_KEY}"
SWEEPS = f"SELECT {', '.join(SWEEP_COLUMNS)} FROM research_sweeps ORDER BY created_at, sweep"
TRIALS = f"""
SELECT {", ".join(TRIAL_COLUMNS)} FROM research_trials
WHERE sweep = ? AND trial BETWEEN ? AND ? ORDER BY trial, fold
"""


class FileTrials:
    """The sweeps of a file; see `research.sweeps.trials.TrialStore`."""

    def __init__(self, path: Path) -> None:
        """Open the file, and create it where there is none.

        Raises:
            DatabaseUnsuitable: it is no file of sweeps, or of a newer program.
            DatabaseUnavailable: it cannot be opened or created.
        """
        self._path = path
        with self._translated():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch(mode=0o600, exist_ok=True)
            self._connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None)
        try:
            with self._translated():
                self._prepare()
        except BaseException:
            self._connection.close()
            raise

    def _prepare(self) -> None:
        self._connection.row_factory = sqlite3.Row
        # Without a sync for each change: what a loss of power takes is run again, with the same result.
        self._connection.execute("PRAGMA synchronous = NORMAL")
        self._connection.execute("PRAGMA foreign_keys = ON")
        ((version, tables),) = self._connection.execute(PRESENT).fetchall()
        if version > VERSION:
            raise DatabaseUnsuitable(
                f"{self._path} is of a newer version of this program ({version}, this one writes {VERSION}); name "
                "another file, or run the newer version"
            )
        if version == 0 and tables:
            raise DatabaseUnsuitable(f"{self._path} is a database of another program; name another file")
        self._connection.execute("PRAGMA journal_mode = WAL")
        if version < VERSION:
            self._connection.executescript(f"BEGIN IMMEDIATE; {SCHEMA} COMMIT;")

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def begin(self, sweep: Sweep) -> Sweep:
        """Store a sweep unless it is there; return it as it is stored."""
        row = sweep_row(sweep)
        values = row | {
            "sweep": str(sweep.sweep), "plan": _document(row["plan"]), "created_at": _text(sweep.created_at)
        }  # fmt: skip
        with self._changing():
            self._connection.execute(ADD_SWEEP, values)
        return next(one for one in self.sweeps() if one.sweep == sweep.sweep)

    def sweeps(self) -> list[Sweep]:
        """Return all sweeps, the oldest first."""
        with self._translated():
            rows = self._connection.execute(SWEEPS).fetchall()
        return [
            sweep_from({
                **dict(row), "sweep": UUID(row["sweep"]), "plan": json.loads(row["plan"]),
                "created_at": datetime.fromisoformat(row["created_at"]),
            })
            for row in rows
        ]  # fmt: skip

    def add(self, trials: Sequence[Trial]) -> None:
        """Store trials that are to run; those that are there stay as they are."""
        rows = [new_trial_row(trial) for trial in trials]
        with self._changing():
            self._connection.executemany(
                ADD_TRIAL,
                [row | {"sweep": str(row["sweep"]), "parameters": _document(row["parameters"])} for row in rows],
            )

    def claim(self, trial: Trial, worker: str, at: datetime) -> bool:
        """Begin a trial; False where another process has begun or ended it since it was read."""
        values = _key(trial.key) | {"worker": worker, "at": _text(at), "attempts": trial.attempts}
        return self._change(CLAIM, values)

    def finish(self, key: TrialKey, scores: TrialScores, at: datetime) -> bool:
        """Store a result; False where the trial had ended: the first result stays."""
        row = scores_row(scores)
        values = row | {"returns": _document(row["returns"]), "metrics": _document(row["metrics"]), "at": _text(at)}
        return self._change(FINISH, _key(key) | values)

    def fail(self, key: TrialKey, error: str, at: datetime) -> bool:
        """Store why a trial has no result; False where it had ended."""
        return self._change(FAIL, _key(key) | {"error": error[:MAX_ERROR_LENGTH], "at": _text(at)})

    def trials(self, sweep: UUID, first: int = 1, last: int | None = None) -> list[Trial]:
        """Return the trials of a sweep by number and fold.

        Args:
            sweep: its id.
            first: number of the first trial.
            last: number of the last one; None: all from the first on.
        """
        with self._translated():
            rows = self._connection.execute(TRIALS, [str(sweep), first, MAX_TRIAL if last is None else last]).fetchall()
        return [trial_from(_trial_values(row)) for row in rows]

    def _change(self, statement: str, values: Mapping[str, Any]) -> bool:
        with self._changing():
            return self._connection.execute(statement, values).rowcount == 1

    @contextmanager
    def _changing(self) -> Iterator[None]:
        with self._translated():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:
            if "locked" in str(error):
                raise DatabaseBusy(f"{self._path} is locked by another process ({error}); try again") from error
            raise DatabaseUnavailable(f"{self._path} cannot be used: {error}") from error
        except sqlite3.DatabaseError as error:
            raise DatabaseUnsuitable(f"{self._path} is no file of sweeps: {error}; name another file") from error
        except FileExistsError as error:
            raise DatabaseUnavailable(f"{self._path} cannot be used: {self._path.parent} is no folder") from error
        except OSError as error:
            raise DatabaseUnavailable(f"{self._path} cannot be used: {error.strerror}") from error


def _trial_values(row: sqlite3.Row) -> dict[str, Any]:
    values = dict(row) | {"sweep": UUID(row["sweep"]), "parameters": json.loads(row["parameters"])}
    for name in ("returns", "metrics"):
        values[name] = None if row[name] is None else json.loads(row[name])
    for name in ("started_at", "ended_at"):
        values[name] = None if row[name] is None else datetime.fromisoformat(row[name])
    return values


def _key(key: TrialKey) -> dict[str, Any]:
    return {"sweep": str(key.sweep), "trial": key.trial, "fold": key.fold}


def _document(value: object) -> str:
    # Floats are written in their shortest exact form.
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def _text(at: datetime) -> str:
    return at.astimezone(UTC).isoformat()
