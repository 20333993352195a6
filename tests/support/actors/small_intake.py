"""An intake that may have few decisions under way, or waiting, so that a few more are a backlog."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from unittest.mock import patch

LIMITS = {
    "actors.decision_watcher.MAX_UNDER_WAY": 4,
    "actors.decision_watcher.READ_BELOW": 2,
    "actors.wiring.MAX_WAITING": 2,
    "actors.intake.reader.MAX_ENDED": 2,
}


@contextmanager
def small_intake() -> Iterator[None]:
    """Lower the limits of the intake of each process that is begun in the block."""
    with ExitStack() as undo:
        for name, limit in LIMITS.items():
            undo.enter_context(patch(name, limit))
        yield
