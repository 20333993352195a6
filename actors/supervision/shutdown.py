"""The ordered stop, in phases, each with a time limit. What is cut short loses nothing: it waits in the database."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from loguru import logger

BEAT = 0.02


@dataclass(frozen=True, slots=True)
class Phase:
    """A step of the stop.

    Attributes:
        name: ``intake``, ``path``, ``writers`` or ``database``.
        limit: seconds that it gets.
        begin: has it begin; does not wait.
        done: says whether it has ended.
        cut: what is said where it did not end in time.
    """

    name: str
    limit: float
    begin: Callable[[], None]
    done: Callable[[float], bool]
    cut: str


class Shutdown:
    """Runs the phases in their order.

    Attributes:
        hurry: once set, nothing is waited for any more.
    """

    def __init__(self) -> None:
        self.hurry = threading.Event()

    def run(self, *phases: Phase) -> None:
        """Run them; each ends when it is done, at its limit, or when somebody is in a hurry."""
        for phase in phases:
            phase.begin()
            deadline = time.monotonic() + phase.limit
            while not phase.done(BEAT):
                if self.hurry.is_set() or time.monotonic() > deadline:
                    why = "in a hurry" if self.hurry.is_set() else f"not within {phase.limit:g} s"
                    logger.warning("stopping, {} ({}): {}", phase.name, why, phase.cut)
                    break
