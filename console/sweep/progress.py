"""The progress of a sweep on stderr."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, TaskID, TextColumn, TimeRemainingColumn
from rich.progress import Progress as ProgressBar

from domain.wording import format_duration
from research.sweeps.runner import Progress

PRINTED_STEPS = 10
"""So many lines show the progress where the output is no terminal."""


class ProgressView(Protocol):
    """Shows how far a sweep is."""

    def show(self, progress: Progress) -> None:
        """Show the present state."""

    def close(self) -> None:
        """Leave the screen."""


class Bar:
    """A bar on a terminal, which disappears at the end."""

    def __init__(self, out: Console) -> None:
        columns = (
            TextColumn("runs"), BarColumn(), TextColumn("{task.completed:,.0f} of {task.total:,.0f}"),
            TextColumn("{task.fields[failed]}"), TimeRemainingColumn(), TextColumn("left"),
        )  # fmt: skip
        self._bar = ProgressBar(*columns, console=out, transient=True)
        self._task: TaskID | None = None
        self._bar.start()

    def show(self, progress: Progress) -> None:
        """Show the present state."""
        failed = f"({progress.failed:,} failed)" if progress.failed else ""
        if self._task is None:  # what has ended before is no measure of the speed
            self._task = self._bar.add_task("", total=progress.rows, completed=progress.ended, failed=failed)
        self._bar.update(self._task, completed=progress.ended, total=progress.rows, failed=failed)

    def close(self) -> None:
        """Remove the bar from the screen."""
        self._bar.stop()


class Lines:
    """A line at each tenth, where the output is no terminal.

    Args:
        out: where to print.
        seconds: returns seconds of a clock that never jumps.
    """

    def __init__(self, out: Console, seconds: Callable[[], float] = time.monotonic) -> None:
        self._out, self._seconds = out, seconds
        self._begun, self._stored, self._printed = seconds(), -1, 0

    def show(self, progress: Progress) -> None:
        """Print a line where a tenth of the rows has ended since the last one."""
        if not progress.rows:
            return
        step = PRINTED_STEPS * progress.ended // progress.rows
        if self._stored < 0:
            self._stored, self._printed = progress.ended, step
        if self._printed < step < PRINTED_STEPS:
            self._printed = step
            seconds_a_run = (self._seconds() - self._begun) / max(progress.ended - self._stored, 1)
            left = format_duration(timedelta(seconds=seconds_a_run * (progress.rows - progress.ended)))
            failed = f", {progress.failed:,} of them failed" if progress.failed else ""
            self._out.print(f"{progress.ended:,} of {progress.rows:,} runs{failed}, about {left} left", style="dim")

    def close(self) -> None:
        """Do nothing: each line is complete."""
