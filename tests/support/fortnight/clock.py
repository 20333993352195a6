"""A clock that can be sent ahead, and pauses of threads that end with it."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

import pytest

from actors.runtime.timer import SystemClock
from domain.worker_thread import WorkerThread
from persistence.stores import uptime

LOOK_INTERVAL_S = 0.01
"""After so long a thread that pauses reads the clock again."""
LONGEST_JUMP = timedelta(hours=12)
NEVER_PAUSE = ("listener", "prices-")
"""Names of threads that are not waited for, because they wait within their work."""
JUDGES = ("validation", "trading messages")
"""Names of the threads that read what the others store at a time: the snapshot, the renewal of the lease."""
REAL_RENEWAL_GAP = uptime.MAX_RENEWAL_GAP


class TravelClock:
    """The machine's clock, and a span of time by which it is ahead; between two jumps its time passes as it does.

    Attributes:
        ahead: the span. It may be negative.
        gate: who holds it keeps the clock where it is, apart from the time that passes.
        holding: while it is set, the threads that judge what is stored go on pausing.
    """

    def __init__(self, start: datetime) -> None:
        self._machine = SystemClock()
        self.ahead = start - self._machine.now()
        self._jumped_s = 0.0
        self._pauses: dict[threading.Thread, float] = {}
        self._followers: set[threading.Thread] = set()
        self.gate = threading.RLock()
        self.holding = False

    def now(self) -> datetime:
        return self._machine.now() + self.ahead

    def monotonic(self) -> float:
        return self._machine.monotonic() + self._jumped_s

    def jump(self, to: datetime, first: Callable[[timedelta], None]) -> None:
        """Be at ``to`` from now on, which is later, and not more than `LONGEST_JUMP`.

        Args:
            to: the time.
            first: sends another clock ahead; it gets the span by which this one will be ahead of the machine's. So a
                thread that wakes because of the jump finds that clock changed already.
        """
        with self.gate:
            span = to - self.now()
            assert timedelta() < span <= LONGEST_JUMP, f"from {self.now()} to {to}"
            first(self.ahead + span)
            self.ahead += span
            self._jumped_s += span.total_seconds()

    def pause(self, event: threading.Event, seconds: float) -> None:
        """Wait until ``event`` is set, or ``seconds`` have passed by this clock."""
        due, thread = self.monotonic() + seconds, threading.current_thread()
        self._followers.add(thread)
        self._pauses[thread] = due
        try:
            while not event.is_set():
                left = due - self.monotonic()
                if left <= 0 and not (self.holding and thread.name in JUDGES):
                    break
                event.wait(min(max(left, 0.001), LOOK_INTERVAL_S))
            self._pauses[thread] = math.inf
            with self.gate:  # no round begins within a jump
                pass
        finally:
            del self._pauses[thread]

    @property
    def busy(self) -> list[str]:
        """The names of the threads that follow this clock and do not pause, or whose pause is over."""
        now, pauses = self.monotonic(), dict(self._pauses)
        return [
            thread.name
            for thread in self._followers
            if thread.is_alive() and not thread.name.startswith(NEVER_PAUSE) and pauses.get(thread, 0.0) <= now
        ]


@contextmanager
def threads_follow(clock: TravelClock) -> Iterator[None]:
    """Have the program's threads pause by ``clock``: the timer, the lease, the messages, the validation.

    A lease that is renewed once after each jump counts as renewed in time; but see `renewals_count`. What waits for an
    answer of the database or of another thread still waits by the machine's time.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(WorkerThread, "_wait", staticmethod(clock.pause))
        patch.setattr(uptime, "MAX_RENEWAL_GAP", LONGEST_JUMP + timedelta(minutes=1))
        yield


@contextmanager
def renewals_count() -> Iterator[None]:
    """Have the uptime end with the last renewal of the lease, as it does when no time is left out."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(uptime, "MAX_RENEWAL_GAP", REAL_RENEWAL_GAP)
        yield
