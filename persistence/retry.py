"""Retries of calls that may succeed later, by a `RetryPolicy`."""

from __future__ import annotations

import threading
from collections.abc import Callable

from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception_type,
    sleep_using_event,
    stop_after_delay,
    stop_when_event_set,
    wait_random_exponential,
)

from domain.retry_policy import RetryPolicy


def retrying(
    policy: RetryPolicy,
    stopping: threading.Event | None = None,
    failed: Callable[[RetryCallState], None] | None = None,
    sleep: Callable[[float], None] | None = None,
) -> Retrying:
    """Return a function that calls another one until it succeeds, and raises its last error.

    Args:
        policy: errors, waits and limit.
        stopping: ends the retries, and a wait, when it is set.
        failed: is called before each wait; it may raise to end the retries.
        sleep: waits between two attempts; by default for ``stopping``.

    >>> answers = iter(["a", "7"])
    >>> retrying(RetryPolicy((ValueError,), first_wait_s=0.001))(lambda: int(next(answers)))
    7
    """
    stopping = stopping or threading.Event()
    first_s, longest_s = policy.first_wait_s, policy.longest_wait_s
    return Retrying(
        retry=retry_if_exception_type(policy.errors),
        wait=wait_random_exponential(multiplier=first_s, min=first_s, max=longest_s),
        stop=stop_after_delay(policy.limit_s) | stop_when_event_set(stopping),
        sleep=sleep or sleep_using_event(stopping),
        before_sleep=failed,
        reraise=True,
    )
