"""The retry policy: which errors are retried, how long it waits, and what ends the retries. No test waits."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from tenacity import RetryCallState

from domain.retry_policy import RetryPolicy
from persistence.retry import retrying


def failing(times: int, error: Exception) -> Callable[[], str]:
    left = [error] * times

    def action() -> str:
        if left:
            raise left.pop()
        return "done"

    return action


def test_the_waits_grow_from_the_first_to_the_longest() -> None:
    waits: list[float] = []
    policy = RetryPolicy((KeyError,), first_wait_s=0.5, longest_wait_s=4.0)
    assert "done" == retrying(policy, sleep=waits.append)(failing(2_000, KeyError("x")))
    highest = [0.5, 1.0, 2.0, *[4.0] * 1_997]
    assert [] == [(wait, most) for wait, most in zip(waits, highest, strict=True) if not 0.5 <= wait <= most]
    assert 3.0 < max(waits)


def test_each_error_that_is_retried_is_passed_on() -> None:
    errors: list[str] = []
    action = failing(2, KeyError("x"))

    def failed(state: RetryCallState) -> None:
        assert state.outcome is not None
        errors.append(str(state.outcome.exception()))

    assert "done" == retrying(RetryPolicy((LookupError,)), failed=failed, sleep=lambda _: None)(action)
    assert ["'x'", "'x'"] == errors


def test_another_error_is_raised_at_once() -> None:
    waits: list[float] = []
    with pytest.raises(ZeroDivisionError):
        retrying(RetryPolicy((KeyError,)), sleep=waits.append)(failing(1, ZeroDivisionError("x")))
    assert [] == waits


def test_the_last_error_is_raised_at_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])

    def wait(_: float) -> None:
        now[0] += 1.0

    with pytest.raises(KeyError):
        retrying(RetryPolicy((KeyError,), limit_s=3.0), sleep=wait)(failing(9, KeyError("x")))
    assert [3.0] == now


def test_a_stop_ends_the_retries() -> None:
    stopping, waits = threading.Event(), []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        stopping.set()

    with pytest.raises(KeyError):
        retrying(RetryPolicy((KeyError,)), stopping, sleep=wait)(failing(9, KeyError("x")))
    assert 1 == len(waits)


def test_a_stop_ends_a_wait() -> None:
    stopping = threading.Event()
    policy = RetryPolicy((KeyError,), first_wait_s=60.0, longest_wait_s=60.0)
    with pytest.raises(KeyError):
        retrying(policy, stopping, failed=lambda _: stopping.set())(failing(2, KeyError("x")))


def test_what_is_called_with_an_error_may_end_the_retries() -> None:
    def failed(_: RetryCallState) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        retrying(RetryPolicy((KeyError,)), failed=failed)(failing(9, KeyError("x")))
