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
