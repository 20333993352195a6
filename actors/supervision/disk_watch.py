"""Alarm about a disk that is nearly full, under home or of the database."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from shutil import disk_usage

from loguru import logger

from domain.alarms import AlarmKind, Notify
from domain.types import Clock, Instant

MIB = 1_048_576
REFUSAL_LASTS = timedelta(minutes=3)
"""So long a refusal of the database counts: it gets snapshots and prices every minute, and refuses these again."""


class DiskWatch:
    """Sends an alarm when a disk is nearly full, and one when there is space again.

    The timer calls `tell` at intervals.

    Args:
        limit: least free space, in MiB; 0: any is enough.
        free: returns the free space under home, in bytes; None where it cannot be read.
        refusals: returns how often the database has refused a write because its disk is full, and its last message.
        notify: sends alarms.
        clock: the time.

    Attributes:
        free_bytes: free space under home at the last look; None where it cannot be read.
        problem: a sentence while there is too little; else None.
    """

    def __init__(
        self,
        limit: int,
        free: Callable[[], int | None],
        refusals: Callable[[], tuple[int, str]],
        notify: Notify,
        clock: Clock,
    ) -> None:
        self.free_bytes: int | None = None
        self.problem: str | None = None
        self._limit = limit
        self._free = free
        self._refusals = refusals
        self._notify = notify
        self._clock = clock
        self._count = refusals()[0]
        self._refused: Instant | None = None

    def tell(self, _: object, /) -> None:
        """Look at the free space, and at what the database refused since the last look."""
        now, (count, message) = Instant.of(self._clock), self._refusals()
        self.free_bytes = self._free()
        if count != self._count:
            self._count, self._refused = count, now
        problem = None
        if self._refused is not None and now.since(self._refused) < REFUSAL_LASTS:
            problem = f"the disk of the database is full: {message}"
        elif self.free_bytes is not None and self.free_bytes < self._limit * MIB:
            problem = f"less than {self._limit} MiB are free under home; make space, before nothing can be stored"
        before, self.problem = self.problem, problem
        if problem is not None and before is None:
            logger.warning("{}", problem)
            self._notify(AlarmKind.DISK_FULL, problem)
        elif problem is None and before is not None:
            logger.info("there is free space on the disk again")
            self._notify(AlarmKind.DISK_FULL, "there is free space on the disk again", over=True)


def free_space(home: Path) -> int | None:
    """Return the free bytes under home for this user; None where that cannot be read."""
    folder = next((path for path in (home, *home.parents) if path.is_dir()), home)
    try:
        return disk_usage(folder).free
    except OSError:
        return None
