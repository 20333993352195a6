"""The log of outcomes: a line for each, and above ten a second one line a second for the others."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable

from loguru import logger

from domain.trading.decision import Outcome

MAX_LINES_PER_SECOND = 10


class OutcomeLog:
    """Logs the outcomes of decisions.

    A million outcomes would push everything else out of the log, and a line takes longer than many a step of a
    decision. It outlives restarts of the DecisionWatcher; the timer calls `flush` once a second, in its own thread.

    Args:
        log: writes a line about a decision; for tests.
    """

    def __init__(self, log: Callable[..., None] | None = None) -> None:
        self._log = log or _log
        self._lock = threading.Lock()
        self._lines = 0
        self._others: Counter[str] = Counter()

    def write(self, outcome: Outcome) -> None:
        """Log an outcome, or count it for the next summary."""
        with self._lock:
            self._lines += 1
            if self._lines > MAX_LINES_PER_SECOND:
                self._others[outcome.status] += 1
                return
        reason = outcome.reason.removeprefix(f"{outcome.status}: ")  # some reasons begin with the status
        self._log("{}: {}", outcome.status, reason, decision=outcome.decision_id)

    def flush(self, _: object = None) -> None:
        """Log how many outcomes of the second that ends have no line, and begin the next second."""
        with self._lock:
            self._lines = 0
            others, self._others = self._others, Counter()
        if others:
            text = ", ".join(f"{count} {status}" for status, count in others.most_common())
            self._log("{} more outcomes in a second: {}", others.total(), text)


def _log(message: str, *values: object, **fields: object) -> None:
    # Not by `bind`, which makes a logger: each decision comes here.
    logger.opt(depth=2).info(message, *values, **fields)
