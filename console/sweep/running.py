"""The run of a sweep from the command line: its store, its workers, and how it ends."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import typer

from actors.settings import Settings
from console.database import opened, require_database
from console.display.format import terminal
from console.signals import stoppable
from console.sweep.progress import Bar, Lines, ProgressView
from domain.errors import InvalidRequest
from domain.files.private_files import make_home, make_private_folder
from domain.sweeps.trial import Sweep, Trial
from domain.wording import counted
from persistence.stores.sweeps.database_trials import DatabaseTrials
from persistence.stores.sweeps.file_trials import FileTrials
from research.errors import StrategyError
from research.sweeps.runner import Progress, SweepRun
from research.sweeps.samplers import Permitted
from research.sweeps.trials import TrialStore
from research.sweeps.workers import Workers

FOLDER = "sweeps"
"""Folder of the sweeps in home."""
FILE = "trials.db"
PRICES = "prices"
HOPELESS_ROWS = 20
"""A sweep of which the first so many rows all fail is ended: the strategy is to be mended first."""


@dataclass(frozen=True, slots=True)
class EndedRun:
    """A run that ended.

    Attributes:
        trials: all rows of the sweep.
        ran: how many of them this run has ended.
        seconds: how long it took.
        refused: number of points that the strategy does not take.
        reason: why it does not take the first of them.
    """

    trials: list[Trial]
    ran: int
    seconds: float
    refused: int
    reason: str | None


@contextmanager
def trial_store(settings: Settings, *, in_database: bool) -> Iterator[TrialStore]:
    """Yield where the trials are kept: the file of home, or the tables of the database.

    Raises:
        NotRunning: there is no database.
    """
    if in_database:
        require_database(settings)
        with opened(settings) as url, closing(DatabaseTrials(url)) as tables:
            yield tables
        return
    make_home(settings.home)
    path = file_of(settings.home)
    make_private_folder(path.parent)
    with closing(FileTrials(path)) as file:
        yield file


def file_of(home: Path) -> Path:
    """Return the file of the trials of a home."""
    return home / FOLDER / FILE


def begun(store: TrialStore, sweep: Sweep, *, resume: bool) -> Sweep:
    """Store a sweep, or return the one that goes on.

    One that was begun before refused points were replaced goes on as it was begun.

    Raises:
        InvalidRequest: it was begun before and has not ended, and it was not to go on; or there is none that could.
    """
    sweeps = store.sweeps()
    own_ids = {sweep.sweep, sweep.without_replacement().sweep}
    stored = next((one for one in sweeps if one.sweep in own_ids), None)
    if resume and stored is None:
        raise InvalidRequest(f"--resume: this sweep is not stored{_difference(sweep, sweeps)}; omit --resume")
    if stored is not None and not resume:
        rows = store.trials(stored.sweep)
        left = sum(not row.has_ended for row in rows)
        if left:
            raise InvalidRequest(
                f"this sweep was begun at {stored.created_at:%Y-%m-%d %H:%M:%S} UTC, and {left:,} of its "
                f"{counted(len(rows), 'run')} have not ended; go on with --resume, or begin another one with --seed"
            )
    return stored or store.begin(sweep)


def _difference(sweep: Sweep, sweeps: list[Sweep]) -> str:
    """Return a clause about what differs from the last sweep of the same strategy."""
    name = sweep.plan.options["strategy"]
    last = next((one for one in reversed(sweeps) if one.plan.options.get("strategy") == name), None)
    if last is None:
        return f", nor any other of {name}"
    ours, theirs = sweep.plan.to_dict(), last.plan.to_dict()
    differences = [
        *(["the strategy's code"] if last.code_hash != sweep.code_hash else []),
        *(["the prices"] if last.data_manifest != sweep.data_manifest else []),
        *(f"the {key}" for key in theirs if ours[key] != theirs[key]),
    ]
    return f"; in the last one, of {last.created_at:%Y-%m-%d %H:%M:%S} UTC, other: {', '.join(differences)}"


class _Watch:
    """Shows the progress, and ends a sweep of which everything fails."""

    def __init__(self) -> None:
        out = terminal(stderr=True)
        self._view: ProgressView = Bar(out) if out.file.isatty() else Lines(out)
        self._first: int | None = None
        self.last = Progress(0, 0, 0)

    @property
    def ran(self) -> int:
        """How many rows have ended since the beginning."""
        return self.last.ended - (self._first or 0)

    def show(self, progress: Progress) -> None:
        """Take the present state."""
        self._first = progress.ended if self._first is None else self._first
        self.last = progress
        self._view.show(progress)

    def is_hopeless(self) -> bool:
        """Return whether nothing but failures came."""
        return self.last.ended == self.last.failed >= HOPELESS_ROWS

    def close(self) -> None:
        """Leave the screen."""
        self._view.close()


def run_sweep(
    sweep: Sweep, store: TrialStore, sampler: Permitted, workers: Callable[[], Workers], now: Callable[[], datetime]
) -> EndedRun:
    """Run what is left of a sweep; a signal ends it in order.

    Args:
        sweep: as it is stored.
        store: of its trials.
        sampler: of its plan.
        workers: makes those that run the trials.
        now: the present time.

    Raises:
        StrategyError: the first trials all failed.
        Abort: a signal came; it has printed how to go on.
    """
    at, complete, watch = time.perf_counter(), False, _Watch()
    with stoppable() as signals, closing(watch), closing(workers()) as running:
        run = SweepRun(sweep, store, running, now, watch.show, watch.is_hopeless)
        complete = run.run(sampler)
    if signals.requested:
        last = watch.last
        terminal(stderr=True).print(
            f"{last.ended:,} of {counted(last.rows, 'run')} have ended and are kept: the same command with --resume "
            "goes on from here."
        )
        raise typer.Abort
    trials = store.trials(sweep.sweep)
    if not complete:
        failed = next(one for one in trials if one.error is not None)
        raise StrategyError(
            f"the first {watch.last.failed:,} runs all failed, so the sweep was ended; trial {failed.trial}, fold "
            f"{failed.fold}: {failed.error}"
        )
    return EndedRun(trials, watch.ran, time.perf_counter() - at, sampler.refused, sampler.reason)
