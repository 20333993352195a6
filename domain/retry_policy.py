"""Retry policies: which errors, how long between two attempts, and until when. The library tenacity does the rest."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Exponential backoff with a random part, so that two callers do not retry in step.

    Attributes:
        errors: after which the call is repeated; every other error is raised.
        first_wait_s: shortest wait between two attempts, and the first one.
        longest_wait_s: longest wait.
        limit_s: seconds after which the last error is raised; without it only a stop ends the retries.
    """

    errors: tuple[type[Exception], ...]
    first_wait_s: float = 0.05
    longest_wait_s: float = 1.0
    limit_s: float = math.inf
