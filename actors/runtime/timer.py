"""The timer: one thread that sends messages when they are due."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from loguru import logger

from domain.trading.snapshot import next_on_grid
from domain.types import Clock
from domain.worker_thread import WorkerThread

if TYPE_CHECKING:  # commands that only need the clock start faster without them
    from actors.messages import Message
    from actors.ports import Address

UPTIME_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""It counts while the machine sleeps: Linux's CLOCK_MONOTONIC stands still then, macOS's does not."""


class SystemClock:
    """The machine's clock: the only place where the program reads the time (tests/unit/project/test_clocks.py)."""

    def now(self) -> datetime:
        """Return the present time, UTC and aware."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Return seconds that never go back, and count while the machine sleeps."""
        return time.clock_gettime(UPTIME_CLOCK)


MAX_WAIT_S = 1.0
"""Seconds after which the timer checks again what is due: the machine's clock may have been set."""


@dataclass(slots=True, eq=False)
class _Entry:
    """A message to be sent.

    Attributes:
        due: returns the seconds until it is due; 0 or less: now.
        send: sends it.
        following: returns the next entry of a repeated message; None for one that is sent once.
        key: at most one entry of a key waits at a time.
    """

    due: Callable[[], float]
    send: Callable[[], None]
    following: Callable[[], _Entry] | None
    key: str | None = None


class Timer:
    """Sends messages at intervals, on the UTC grid, or once after a delay.

    Both follow the clock that is passed in: intervals its seconds, which never jump; the grid its time, also when it is
    set.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._entries: list[_Entry] = []
        self._worker = WorkerThread("timer", self._send_due)

    def every(self, interval: timedelta, receiver: Address, message: Message) -> None:
        """Send ``message`` every ``interval``, the first time after one interval."""
        self._add(self._interval(interval, lambda: receiver.tell(message)))

    def on_grid(self, interval: timedelta, receiver: Address, message: Message) -> None:
        """Send ``message`` at each multiple of ``interval`` since midnight UTC."""
        self._add(self._grid(interval, lambda: receiver.tell(message)))

    def after(self, delay: timedelta, receiver: Address, message: Message, *, key: str) -> None:
        """Send ``message`` once, after ``delay``, unless one with the same ``key`` waits already."""
        with self._lock:
            if all(entry.key != key for entry in self._entries):
                self._entries.append(self._once(delay.total_seconds(), lambda: receiver.tell(message), key))
                self._worker.wake()

    def start(self) -> None:
        """Start the thread."""
        self._worker.start()

    def stop(self) -> None:
        """Stop the thread; nothing is sent after that."""
        self._worker.stop(timeout=2)

    def _once(self, seconds: float, send: Callable[[], None], key: str | None) -> _Entry:
        due = self._clock.monotonic() + seconds
        return _Entry(lambda: due - self._clock.monotonic(), send, None, key)

    def _interval(self, interval: timedelta, send: Callable[[], None]) -> _Entry:
        due = self._clock.monotonic() + interval.total_seconds()
        return _Entry(lambda: due - self._clock.monotonic(), send, lambda: self._interval(interval, send))

    def _grid(self, interval: timedelta, send: Callable[[], None]) -> _Entry:
        due = next_on_grid(self._clock.now(), interval)

        def seconds_left() -> float:
            seconds = (due - self._clock.now()).total_seconds()
            # More than one interval away: the clock was set back, so the grid starts again.
            return seconds if seconds <= interval.total_seconds() else 0.0

        return _Entry(seconds_left, send, lambda: self._grid(interval, send))

    def _add(self, entry: _Entry) -> None:
        with self._lock:
            self._entries.append(entry)
        self._worker.wake()

    def _send_due(self) -> float:
        with self._lock:
            due = [entry for entry in self._entries if entry.due() <= 0]
            self._entries = [entry for entry in self._entries if entry not in due]
            self._entries.extend(entry.following() for entry in due if entry.following is not None)
            next_due = min((entry.due() for entry in self._entries), default=MAX_WAIT_S)
        for entry in due:
            self._send(entry)
        return 0.0 if due else min(max(0.0, next_due), MAX_WAIT_S)

    def _send(self, entry: _Entry) -> None:
        try:
            entry.send()
        except Exception as error:  # noqa: BLE001 - without this thread nothing is polled, and no actor restarted
            logger.opt(exception=error).error("the timer could not send a message; it goes on")
            if entry.following is None:  # a repeated message comes again by itself
                self._add(self._once(MAX_WAIT_S, entry.send, entry.key))
