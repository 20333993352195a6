"""The ordered stop in phases, each with a time limit.

A phase that is cut short loses nothing: decisions without an outcome stay in the database until the next start.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from loguru import logger

POLL_INTERVAL_S = 0.02


def await_phase(name: str, done: Callable[[float], bool], limit_s: float, hurry: threading.Event, left: str) -> None:
    """Wait for the end of a phase that has begun, up to its limit, or until ``hurry`` is set.

    Args:
        name: of the phase: ``intake and path`` or ``writers``.
        done: waits up to the given number of seconds; returns whether the phase has ended.
        limit_s: its time limit, in seconds.
        hurry: when set, the phase is not waited for.
        left: the log message if it did not end in time.
    """
    deadline = time.monotonic() + limit_s
    while not done(POLL_INTERVAL_S):
        if hurry.is_set() or time.monotonic() > deadline:
            reason = "second signal" if hurry.is_set() else f"not done within {limit_s:g} s"
            logger.warning("stopping, {} ({}): {}", name, reason, left)
            break


class EndReason:
    """The reason for which the process must end, once there is one. From any thread.

    Attributes:
        reason: the first one that was set; None while the process goes on.
    """

    def __init__(self) -> None:
        self.reason: Exception | None = None
        self._event = threading.Event()

    def set(self, reason: Exception) -> None:
        """Set the reason; the first one stays."""
        if self.reason is None:
            self.reason = reason
        self._event.set()

    def wait(self, timeout: float | None) -> Exception | None:
        """Wait up to ``timeout`` seconds for a reason and return it."""
        self._event.wait(timeout)
        return self.reason
