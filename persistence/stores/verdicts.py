"""The table of daily verdicts, which the serving process writes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import date, datetime, timedelta

import psycopg
from psycopg.types.json import Jsonb

from domain.analytics.returns import DAY
from domain.errors import UnknownPortfolio
from domain.trading.snapshot import day_of
from domain.validation.progress import Progress, progress_of
from domain.validation.verdict import Verdict
from persistence.connections import transaction
from persistence.lease import writing
from persistence.queries.history import consistent_read, read_history
from persistence.queries.operational_criteria import ledger_differences
from persistence.queries.validation import IDLE_TIMEOUT, open_progress, verdict_at
from persistence.rows import KEEP_EXISTING, insert_rows, one_row
from persistence.stores.store import Store
from persistence.stores.validation_runs import StoredRun, end_changed, now, runs

LAST_DAY = "SELECT max(day) FROM paper_validation_verdicts WHERE run_id = %s AND portfolio = %s"
STORED = "SELECT day FROM paper_validation_verdicts WHERE run_id = %s AND portfolio = %s"


class VerdictStore(Store):
    """The tables of daily verdicts and of validation runs, on a connection of its own."""

    ACTOR = "Validation"

    _ended: frozenset[int] | None = None

    def end_changed(self) -> list[str]:
        """End the runs that are bound to something that has changed.

        Returns:
            A message on each run that has ended since the last call, by any session; in the first call, by this call.
        """
        with writing(self.engine, self._lease) as cursor:
            before = self._ended if self._ended is not None else _ended_ids(runs(cursor))
            end_changed(cursor)
            stored_runs = runs(cursor)
        self._ended = _ended_ids(stored_runs)
        return [
            f"validation run {stored.run.name} has ended: {stored.run.end_reason}"
            for stored in stored_runs
            if stored.run.id in self._ended - before
        ]

    def progress(self) -> list[Progress]:
        """Return how far each open run is with each of its portfolios."""
        return open_progress(self.engine)

    def last_progress(self) -> list[Progress]:
        """Return how far each open run was with each of its portfolios at the end of the last day with a verdict."""
        with transaction(self.engine) as cursor:
            last_days = [
                (stored, name, one_row(cursor, LAST_DAY, [stored.run.id, name])[0])
                for stored in runs(cursor, only_open=True)
                for name in stored.portfolios
            ]
        verdicts: list[Verdict] = []
        for stored, name, day in last_days:
            if day is not None:
                with suppress(UnknownPortfolio):  # the portfolio was deleted, which ends the run
                    verdicts += self._read_verdicts(stored, name, [day])
        return [progress_of(verdict) for verdict in verdicts]

    def fill(self, until: datetime, stopping: Callable[[], bool] = lambda: False) -> list[Verdict]:
        """Store the missing verdicts of the days that ended at or before ``until``; return them, oldest first.

        Args:
            until: end of the last day, or later; the database's time at most.
            stopping: returns whether to leave the rest for the next call; called between two portfolios.

        Raises:
            Fenced: another process holds the lease now.
            DatabaseUnavailable: the database does not answer.
        """
        with transaction(self.engine) as cursor:
            # A verdict is stored once: if this clock is ahead of the database's, it must not end a day early.
            until = min(until, now(cursor))
            missing = [
                (stored, name, _missing(cursor, stored, name, until))
                for stored in runs(cursor)
                for name in stored.portfolios
            ]
        written: list[Verdict] = []
        for stored, name, days in missing:
            if days and not stopping():
                # One portfolio at a time: a long history is read once for all of its days.
                with suppress(UnknownPortfolio):  # the portfolio was deleted, which has ended the run
                    verdicts = self._read_verdicts(stored, name, days)
                    self._save(stored, name, days, verdicts)
                    written += verdicts
        return written

    def _read_verdicts(self, stored: StoredRun, name: str, days: list[date]) -> list[Verdict]:
        with consistent_read(self.engine) as cursor:
            cursor.execute(IDLE_TIMEOUT)
            history = read_history(cursor, name, since=stored.run.started_at, thinned=True)
            ledger = ledger_differences(cursor)
            return [verdict_at(cursor, name, stored, history, _end_of(day), ledger) for day in days]

    def _save(self, stored: StoredRun, name: str, days: list[date], verdicts: list[Verdict]) -> None:
        rows = [
            {
                "run_id": stored.run.id, "day": day, "portfolio": name,
                "operational": "passed" if verdict.operational_passed else "failed",
                "statistical": verdict.statistical, "psr": verdict.psr.value, "accepted_by": verdict.accepted_by,
                "ready": verdict.ready, "criteria": Jsonb(list(_criteria(verdict))),
                "notes": Jsonb(list(verdict.notes)),
            }
            for day, verdict in zip(days, verdicts, strict=True)
        ]  # fmt: skip
        with writing(self.engine, self._lease) as cursor:
            insert_rows(cursor, "paper_validation_verdicts", rows, KEEP_EXISTING)


def _ended_ids(stored_runs: list[StoredRun]) -> frozenset[int]:
    return frozenset(stored.run.id for stored in stored_runs if stored.run.ended_at is not None)


def _missing(cursor: psycopg.Cursor, stored: StoredRun, name: str, until: datetime) -> list[date]:
    """Return the days that ended during the run and have no verdict."""
    stored_days = {row[0] for row in cursor.execute(STORED, [stored.run.id, name]).fetchall()}
    first = day_of(stored.run.started_at)
    last = min(until, stored.run.ended_at or until)
    days = [(first + DAY * number).date() for number in range(max(0, (last - first) // DAY))]
    return [day for day in days if day not in stored_days]


def _end_of(day: date) -> datetime:
    return datetime.fromisoformat(f"{day}T00:00:00+00:00") + timedelta(days=1)


def _criteria(verdict: Verdict) -> Iterator[dict[str, object]]:
    for part, criteria in (("operational", verdict.operational), ("statistical", verdict.criteria)):
        for criterion in criteria:
            yield {
                "part": part,
                "criterion": criterion.name,
                "title": criterion.title,
                "required": criterion.required,
                "seen": criterion.seen,
                "passed": criterion.passed,
                "evidence": list(criterion.evidence),
            }
