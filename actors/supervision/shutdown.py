"""The ordered stop in phases, each with a time limit.

A phase that is cut short loses nothing: decisions without an outcome stay in the database until the next start.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from loguru import logger

POLL_INTERVAL_S = 0.02


@dataclass(frozen=True, slots=True)
class Phase:
    """A step of the stop.

    Attributes:
        name: ``intake``, ``path``, ``writers`` or ``database``.
        limit: its time limit, in seconds.
        begin: starts it; does not wait.
        done: waits up to the given number of seconds; returns whether the phase has ended.
        cut: the log message if it did not end in time.
    """

    name: str
    limit: float
    begin: Callable[[], None]
    done: Callable[[float], bool]
    cut: str


class Shutdown:
    """The runner of the phases.

    Attributes:
        hurry: when set, no phase is waited for.
    """

    def __init__(self) -> None:
        self.hurry = threading.Event()

    def run(self, *phases: Phase) -> None:
        """Run the phases in order; each ends when it is done, at its limit, or when `hurry` is set."""
        for phase in phases:
            phase.begin()
            deadline = time.monotonic() + phase.limit
            while not phase.done(POLL_INTERVAL_S):
                if self.hurry.is_set() or time.monotonic() > deadline:
                    reason = "second signal" if self.hurry.is_set() else f"not done within {phase.limit:g} s"
                    logger.warning("stopping, {} ({}): {}", phase.name, reason, phase.cut)
                    break
