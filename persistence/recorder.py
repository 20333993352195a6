"""The queue and the thread of a recorder: it writes what is in the queue, so that no actor waits for the database."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

from loguru import logger

from domain.worker_thread import UNTIL_WOKEN_S, WorkerThread

T = TypeVar("T")
RETRY_INTERVAL_S = 1.0
"""Between two attempts to write the same."""
CLOSE_WAIT_S = 0.5
"""How long `Recorder.close` waits for what is in the queue."""


class Recorder(ABC, Generic[T]):
    """A thread with a queue, from its construction to `close`; subclasses implement `_write`.

    Args:
        name: of the thread.
        close_store: closes the connections.

    Attributes:
        dropped: number of things that were not written.
    """

    def __init__(self, name: str, close_store: Callable[[], None]) -> None:
        self.dropped = 0
        self._close_store = close_store
        self._waiting: deque[T] = deque()
        self._worker = WorkerThread(name, self._write_waiting, lambda _: RETRY_INTERVAL_S, self._write_waiting)
        self._worker.start()

    def close(self) -> None:
        """Write what is in the queue, if that does not take long, then close the connections."""
        if not self._worker.stop(CLOSE_WAIT_S):
            logger.debug("what is left in the queue is not stored")
        self._close_store()

    def _put(self, item: T) -> None:
        self._waiting.append(item)
        self._worker.wake()

    def _write_waiting(self) -> float:
        while self._waiting:
            item = self._waiting.popleft()
            try:
                self._write(item)
            except Exception:
                self._waiting.appendleft(item)
                raise
        return UNTIL_WOKEN_S

    @abstractmethod
    def _write(self, item: T) -> None:
        """Write ``item``; an error means that it is written later."""
