"""The one clock that ticks: a thread that sends messages when their time has come."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from loguru import logger

from actors.messages import Message
from actors.ports import Address
from domain.trading.snapshot import next_on_grid
from domain.types import Clock


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """Return the present moment, UTC and aware."""
        return datetime.now(UTC)


LONGEST_WAIT = 1.0
"""Seconds after which the timer looks again: the machine's clock may have been set."""


@dataclass(slots=True, eq=False)
class _Entry:
    due: Callable[[], float]
    """Seconds from now; not positive: send."""
    send: Callable[[], None]
    again: Callable[[], _Entry] | None
    key: str | None = None


class Timer:
    """Sends messages at intervals, on the UTC grid, or once after a while.

    Intervals run on a clock that never jumps; the grid follows the clock of the wall, however it is set.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._changed = threading.Condition()
        self._entries: list[_Entry] = []
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name="timer", daemon=True)

    def every(self, interval: timedelta, to: Address, message: Message) -> None:
        """Send ``message`` each ``interval``, the first time after one."""
        self._add(self._interval(interval, lambda: to.tell(message)))

    def on_grid(self, interval: timedelta, to: Address, message: Message) -> None:
        """Send ``message`` at each multiple of ``interval`` since midnight UTC."""
        self._add(self._grid(interval, lambda: to.tell(message)))

    def after(self, delay: timedelta, to: Address, message: Message, *, key: str) -> None:
        """Send ``message`` once, after ``delay``, unless one of the same ``key`` waits already."""
        with self._changed:
            if all(entry.key != key for entry in self._entries):
                self._entries.append(self._once(delay.total_seconds(), lambda: to.tell(message), key))
                self._changed.notify()

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End; nothing is sent after that."""
        with self._changed:
            self._stopped = True
            self._changed.notify()
        self._thread.join(timeout=2)

    @staticmethod
    def _once(seconds: float, send: Callable[[], None], key: str | None) -> _Entry:
        due = time.monotonic() + seconds
        return _Entry(lambda: due - time.monotonic(), send, None, key)

    def _interval(self, interval: timedelta, send: Callable[[], None]) -> _Entry:
        due = time.monotonic() + interval.total_seconds()
        return _Entry(lambda: due - time.monotonic(), send, lambda: self._interval(interval, send))

    def _grid(self, interval: timedelta, send: Callable[[], None]) -> _Entry:
        due = next_on_grid(self._clock.now(), interval)

        def left() -> float:
            seconds = (due - self._clock.now()).total_seconds()
            # Further away than one interval: the clock was set back, and the grid begins anew.
            return seconds if seconds <= interval.total_seconds() else 0.0

        return _Entry(left, send, lambda: self._grid(interval, send))

    def _add(self, entry: _Entry) -> None:
        with self._changed:
            self._entries.append(entry)
            self._changed.notify()

    def _run(self) -> None:
        while True:
            with self._changed:
                if self._stopped:
                    return
                due = [entry for entry in self._entries if entry.due() <= 0]
                self._entries = [entry for entry in self._entries if entry not in due]
                self._entries.extend(entry.again() for entry in due if entry.again is not None)
                if not due:
                    next_due = min((entry.due() for entry in self._entries), default=LONGEST_WAIT)
                    self._changed.wait(timeout=min(max(0.0, next_due), LONGEST_WAIT))
            for entry in due:
                self._send(entry)

    def _send(self, entry: _Entry) -> None:
        try:
            entry.send()
        except Exception as error:  # noqa: BLE001 - without this thread nothing is polled, and nobody begun afresh
            logger.opt(exception=error).error("the timer could not send something; it goes on")
            if entry.again is None:  # else it comes again by itself
                self._add(self._once(LONGEST_WAIT, entry.send, entry.key))
