"""Worker threads: rounds, errors, wake-ups and stops, all by events; no test waits for time to pass."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue

from domain.log_once import LogOnce
from domain.worker_thread import UNTIL_WOKEN_S, WorkerThread, call_in_thread

LIMIT_S = 10.0
"""Longest wait for what must happen at once."""


def test_it_works_at_once_and_again_when_it_is_woken() -> None:
    rounds: SimpleQueue[str] = SimpleQueue()

    def work() -> float:
        rounds.put(threading.current_thread().name)
        return UNTIL_WOKEN_S

    worker = WorkerThread("rounds", work)
    worker.start()
    assert "rounds" == rounds.get(timeout=LIMIT_S)
    worker.wake()
    assert "rounds" == rounds.get(timeout=LIMIT_S)
    assert worker.stop(LIMIT_S)
    assert rounds.empty()


def test_a_wake_up_during_a_round_is_not_lost() -> None:
    working, go_on = threading.Event(), threading.Event()
    rounds: list[int] = []

    def work() -> float | None:
        rounds.append(1)
        working.set()
        assert go_on.wait(LIMIT_S)
        return UNTIL_WOKEN_S if len(rounds) == 1 else None

    worker = WorkerThread("rounds", work)
    worker.start()
    assert working.wait(LIMIT_S)
    worker.wake()
    go_on.set()
    worker._thread.join(LIMIT_S)
    assert [1, 1] == rounds


def test_a_stop_during_a_round_lets_it_end_and_begins_no_other() -> None:
    working, rounds = threading.Event(), []
    finished: list[str] = []

    def work() -> float:
        rounds.append(1)
        working.set()
        assert worker.stopping.wait(LIMIT_S)
        return 0.0

    worker = WorkerThread("rounds", work, finish=lambda: finished.append(threading.current_thread().name))
    worker.start()
    assert working.wait(LIMIT_S)
    assert worker.stop(LIMIT_S)
    assert worker.stop(LIMIT_S)
    assert ([1], ["rounds"]) == (rounds, finished)


def test_a_stop_does_not_wait_longer_than_its_limit() -> None:
    working, go_on = threading.Event(), threading.Event()

    def hang() -> None:
        working.set()
        assert go_on.wait(LIMIT_S)

    worker = WorkerThread("hanging", hang)
    worker.start()
    assert working.wait(LIMIT_S)
    assert not worker.stop(0.0)
    assert worker.is_alive
    assert worker._thread.daemon
    go_on.set()
    assert worker.stop(LIMIT_S)


def test_a_thread_may_stop_itself() -> None:
    answers: SimpleQueue[bool] = SimpleQueue()

    def work() -> float:
        answers.put(worker.stop(LIMIT_S))
        return UNTIL_WOKEN_S

    worker = WorkerThread("itself", work)
    worker.start()
    assert answers.get(timeout=LIMIT_S) is False  # it cannot wait for itself
    assert worker.stop(LIMIT_S)


def test_a_stop_before_the_start_waits_for_nothing_and_prevents_the_work() -> None:
    rounds: list[int] = []
    finished = threading.Event()
    worker = WorkerThread("never", lambda: rounds.append(1), finish=finished.set)
    assert worker.stop(LIMIT_S)
    worker.start(UNTIL_WOKEN_S)
    assert finished.wait(LIMIT_S)
    assert worker.stop(LIMIT_S)
    assert [] == rounds


def test_a_delay_before_the_first_round_ends_at_a_wake_up() -> None:
    done = threading.Event()
    worker = WorkerThread("later", done.set)
    worker.start(UNTIL_WOKEN_S)
    worker.wake()
    assert done.wait(LIMIT_S)
    assert worker.stop(LIMIT_S)


def failing(times: int, then: Callable[[], object]) -> Callable[[], float | None]:
    left = [ZeroDivisionError("x")] * times

    def work() -> float | None:
        if left:
            raise left.pop()
        then()
        return UNTIL_WOKEN_S

    return work


def test_an_error_is_logged_once_and_so_is_its_end() -> None:
    lines: SimpleQueue[str] = SimpleQueue()
    log = LogOnce(lines.put, lines.put)

    def failed(error: Exception) -> float:
        log.failed(f"cannot work: {error}")
        return 0.0

    worker = WorkerThread("failing", failing(3, lambda: log.recovered("it works again")), failed)
    worker.start()
    assert "cannot work: x" == lines.get(timeout=LIMIT_S)
    assert "it works again" == lines.get(timeout=LIMIT_S)
    assert worker.stop(LIMIT_S)
    assert (3, True) == (log.count, lines.empty())


def test_a_wake_up_does_not_shorten_the_pause_after_an_error() -> None:
    waits: SimpleQueue[tuple[object, float]] = SimpleQueue()
    go_on: SimpleQueue[None] = SimpleQueue()

    def wait(event: threading.Event, seconds: float) -> None:
        waits.put((event, seconds))
        go_on.get(timeout=LIMIT_S)

    worker = WorkerThread("failing", failing(1, lambda: None), lambda _: 60.0)
    worker._wait = wait  # type: ignore[method-assign]
    worker.start()
    assert (worker._woken, 0.0) == waits.get(timeout=LIMIT_S)
    go_on.put(None)
    assert (worker.stopping, 60.0) == waits.get(timeout=LIMIT_S)
    go_on.put(None)
    assert (worker._woken, UNTIL_WOKEN_S) == waits.get(timeout=LIMIT_S)
    worker.stopping.set()
    go_on.put(None)
    assert worker.stop(LIMIT_S)


def test_an_error_after_a_stop_is_ignored_also_that_of_the_end() -> None:
    working = threading.Event()
    errors: list[Exception] = []

    def work() -> float:
        working.set()
        assert worker.stopping.wait(LIMIT_S)
        raise ZeroDivisionError("the connection is closed already")

    worker = WorkerThread("failing", work, errors.append, finish=failing(1, lambda: None))  # type: ignore[arg-type]
    worker.start()
    assert working.wait(LIMIT_S)
    assert worker.stop(LIMIT_S)
    assert [] == errors


def test_an_error_may_end_the_thread() -> None:
    errors: list[Exception] = []
    finished = threading.Event()

    def failed(error: Exception) -> None:
        errors.append(error)

    worker = WorkerThread("failing", failing(1, lambda: None), failed, finish=finished.set)
    worker.start()
    assert finished.wait(LIMIT_S)
    assert worker.stop(LIMIT_S)
    assert ["x"] == [str(error) for error in errors]


def test_a_call_in_a_thread_answers_with_its_result_or_its_error() -> None:
    assert "one call" == call_in_thread("one call", lambda: threading.current_thread().name).result(LIMIT_S)
    assert isinstance(call_in_thread("failing", failing(1, lambda: None)).exception(LIMIT_S), ZeroDivisionError)
