"""Runs a sweep: asks the sampler, stores each trial before it runs, and lets workers run it.

What is stored decides what is left to do, so a sweep that was killed goes on where it was, and several processes may
work on one sweep.
"""

from __future__ import annotations

import os
import socket
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from domain.errors import InvalidRequest
from domain.sweeps.parameters import parameters_text
from domain.sweeps.trial import Sweep, Trial, TrialKey
from domain.wording import counted
from research.sweeps.evaluation import Failed, Finished, Lost, Task, load_evaluation
from research.sweeps.samplers import Points
from research.sweeps.space import Space
from research.sweeps.trials import TrialStore, mean_in_sample, trial_rows
from research.sweeps.workers import Workers

MAX_LOSSES = 3
"""A trial whose process dies so often has failed: it is likely the cause, as by its use of memory."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a sweep is; a grid and random points are all known at the beginning, those of tpe batch by batch.

    Attributes:
        ended: rows of trials and folds that are done or have failed.
        rows: those that are known by now.
        failed: how many of those that ended have failed.
    """

    ended: int
    rows: int
    failed: int


class SweepRun:
    """The run of a sweep in this process."""

    def __init__(
        self,
        sweep: Sweep,
        store: TrialStore,
        workers: Workers,
        now: Callable[[], datetime],
        progress: Callable[[Progress], None] = lambda _progress: None,
        stopping: Callable[[], bool] = lambda: False,
    ) -> None:
        """Prepare a run.

        Args:
            sweep: as `TrialStore.begin` returned it.
            store: of its trials.
            workers: that run them; the caller closes them.
            now: the present time, for the rows.
            progress: called after each row that ended.
            stopping: whether to leave the rest for later; asked after each row.
        """
        self._sweep, self._store, self._workers = sweep, store, workers
        self._now, self._progress, self._stopping = now, progress, stopping
        self._space = Space.parse(sweep.plan.space)
        self._folds = {fold.number: fold for fold in sweep.plan.folds}
        self._worker = f"{socket.gethostname()}:{os.getpid()}"
        self._ended = self._rows = self._failed = 0

    def run(self, sampler: Points) -> bool:
        """Run all trials that have not ended; return whether the sweep is complete.

        Args:
            sampler: at its beginning; it gives the same points as before, and hears the scores that are stored.

        Raises:
            InvalidRequest: the evaluation cannot be imported, or the stored trials have other parameters.
        """
        load_evaluation(self._sweep.evaluation)
        first = 1
        while points := sampler.batch():
            self._add(first, points)
            rows = self._batch_rows(first, points)
            self._rows += len(rows)
            ended, failed = self._ended, self._failed
            while left := [row for row in rows if not row.has_ended]:
                self._ended = ended + len(rows) - len(left)
                self._failed = failed + sum(row.error is not None for row in rows)
                self._report()
                if not self._run_rows(left):
                    return False
                rows = self._batch_rows(first, points)
            self._ended = ended + len(rows)
            self._failed = failed + sum(row.error is not None for row in rows)
            self._report()
            by_number: dict[int, list[Trial]] = {}
            for row in rows:
                by_number.setdefault(row.trial, []).append(row)
            sampler.tell({points[number - first]: mean_in_sample(by_number[number]) for number in sorted(by_number)})
            first += len(points)
        return True

    def _add(self, first: int, points: Sequence[int]) -> None:
        """Store the rows of a batch before the first of them runs."""
        rows = [
            row
            for number, point in enumerate(points, first)
            for row in trial_rows(self._sweep, number, point, self._space.point(point))
        ]
        self._store.add(rows)

    def _batch_rows(self, first: int, points: Sequence[int]) -> list[Trial]:
        rows = self._store.trials(self._sweep.sweep, first, first + len(points) - 1)
        for row in rows:
            expected = self._space.point(points[row.trial - first])
            if dict(row.parameters) != dict(expected):
                raise InvalidRequest(
                    f"trial {row.trial} is stored with {parameters_text(row.parameters)}, and the sampler now gives "
                    f"{parameters_text(expected)}: another version of it was used; begin a new sweep with another "
                    "--seed"
                )
        return rows

    def _report(self) -> None:
        self._progress(Progress(self._ended, self._rows, self._failed))

    def _run_rows(self, rows: Sequence[Trial]) -> bool:
        """Run rows that have not ended, as far as no other process does; return False where it stops before that.

        A row that another process has begun since it was read is left to it. The next call finds it ended, or takes it
        over: that process may be gone. If it is not, both give the same result, of which the first is kept.
        """
        waiting = deque(rows)
        under_way: dict[TrialKey, Trial] = {}
        losses: dict[TrialKey, int] = {}
        while waiting or under_way:
            if self._stopping():
                # What is under way is run again when the sweep goes on.
                return False
            while waiting and self._workers.free:
                row = waiting.popleft()
                if self._store.claim(row, self._worker, self._now()):
                    under_way[row.key] = replace(row, attempts=row.attempts + 1)
                    self._workers.submit(self._task(row))
            for result in self._workers.results() if under_way or waiting else ():
                row = under_way.pop(result.key)
                match result:
                    case Finished(key, scores):
                        self._store.finish(key, scores, self._now())
                    case Failed(key, error):
                        self._fail(key, error)
                    case Lost(key, reason, of_machine):
                        losses[key] = losses.get(key, 0) + (not of_machine)
                        if losses[key] < MAX_LOSSES:
                            waiting.append(row)
                            continue
                        self._fail(key, f"{reason}, in {counted(MAX_LOSSES, 'attempt')}")
                self._ended += 1
                self._report()
        return True

    def _fail(self, key: TrialKey, error: str) -> None:
        self._failed += self._store.fail(key, error, self._now())

    def _task(self, row: Trial) -> Task:
        plan = self._sweep.plan
        return Task(
            key=row.key,
            evaluation=self._sweep.evaluation,
            parameters=row.parameters,
            fold=self._folds[row.fold],
            seed=row.seed,
            objective=plan.objective,
            days_per_year=plan.days_per_year,
            options=plan.options,
        )
