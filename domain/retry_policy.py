"""Retries of a call that may succeed later: which errors, how long between two attempts, and until when."""

from __future__ import annotations

import math
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Exponential backoff with a random part, so that two callers do not retry in step.

    Attributes:
        errors: after which the call is repeated; every other error is raised.
        first_wait_s: shortest wait between two attempts, and the first one.
        longest_wait_s: longest wait.
        limit_s: seconds after which a failure is raised; without it only a stop ends the retries.

    >>> answers = iter(["a", "7"])
    >>> RetryPolicy((ValueError,), first_wait_s=0.001).call(lambda: int(next(answers)))
    7
    """

    errors: tuple[type[Exception], ...]
    first_wait_s: float = 0.05
    longest_wait_s: float = 1.0
    limit_s: float = math.inf

    def call(
        self,
        action: Callable[[], T],
        stopping: threading.Event | None = None,
        failed: Callable[[Exception], object] = lambda _: None,
        wait: Callable[[float], object] | None = None,
    ) -> T:
        """Return what ``action`` returns, or raise its last error.

        Args:
            action: the call.
            stopping: ends the retries, and a wait, when it is set.
            failed: is called with each error that is retried, before the wait; it may raise to end the retries.
            wait: waits between two attempts; by default for ``stopping``.
        """
        stopping = stopping or threading.Event()
        begun = time.monotonic()
        longest = self.first_wait_s
        while True:
            try:
                return action()
            except self.errors as error:
                if stopping.is_set() or time.monotonic() - begun >= self.limit_s:
                    raise
                failed(error)
            (wait or stopping.wait)(random.uniform(self.first_wait_s, longest))  # noqa: S311 - no secret
            longest = min(2 * longest, self.longest_wait_s)
