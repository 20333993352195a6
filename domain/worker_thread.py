"""Background threads: those that work in rounds, survive their errors and end within a limit, and those of one call."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from typing import TypeVar

T = TypeVar("T")
UNTIL_WOKEN_S = threading.TIMEOUT_MAX
"""The pause of a thread that has nothing to do until `WorkerThread.wake`."""


def call_in_thread(name: str, function: Callable[[], T]) -> Future[T]:
    """Call ``function`` in a daemon thread of its own, so that the caller can limit how long it waits."""
    answer: Future[T] = Future()

    def call() -> None:
        try:
            answer.set_result(function())
        except Exception as error:  # noqa: BLE001 - the future raises it
            answer.set_exception(error)

    threading.Thread(target=call, name=name, daemon=True).start()
    return answer


class WorkerThread:
    """A daemon thread that repeats ``work`` from `start` to `stop`. It runs once.

    An error of ``work`` goes to ``on_error``, which logs it and returns the pause; `wake` does not shorten that one. An
    error after `stop` is ignored: the caller may have closed what the thread used.

    Args:
        name: of the thread, as operators see it.
        work: one round; returns the seconds until the next round, or None to end the thread.
        on_error: gets an error of ``work``, returns the same; without it the error ends the thread.
        finish: runs in the thread at its end, whatever ended it; its errors are ignored.

    Attributes:
        stopping: event that `stop` sets; a long round checks it.

    >>> worker = WorkerThread("greeter", lambda: print("good morning"))
    >>> worker.start()
    good morning
    >>> worker.stop(timeout=1.0)
    True
    """

    def __init__(
        self,
        name: str,
        work: Callable[[], float | None],
        on_error: Callable[[Exception], float | None] | None = None,
        finish: Callable[[], object] = lambda: None,
    ) -> None:
        self.stopping = threading.Event()
        self._work = work
        self._on_error = on_error
        self._finish = finish
        self._woken = threading.Event()
        self._first_pause = 0.0
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    @property
    def is_alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    def start(self, delay: float = 0.0) -> None:
        """Start the thread; its first round begins after ``delay`` seconds."""
        self._first_pause = delay
        self._thread.start()

    def wake(self) -> None:
        """Begin the next round at once, or as soon as the present one has ended."""
        self._woken.set()

    def stop(self, timeout: float) -> bool:
        """End the thread after its present round; may be called again, before `start`, and by the thread itself.

        Returns:
            Whether it has ended within ``timeout`` seconds; one that hangs is left to the end of the process.
        """
        self.stopping.set()
        self._woken.set()
        if self.is_alive and self._thread is not threading.current_thread():
            self._thread.join(timeout)
        return not self.is_alive

    def _run(self) -> None:
        pause: float | None = self._first_pause
        event = self._woken
        try:
            while pause is not None:
                self._wait(event, pause)
                self._woken.clear()  # before `stopping` is read, because `stop` sets it first
                if self.stopping.is_set():
                    break
                event = self._woken
                try:
                    pause = self._work()
                except Exception as error:
                    if self.stopping.is_set():
                        break
                    if self._on_error is None:
                        raise
                    pause = self._on_error(error)
                    event = self.stopping
        finally:
            with suppress(Exception):
                self._finish()

    @staticmethod
    def _wait(event: threading.Event, seconds: float) -> None:
        event.wait(seconds)
