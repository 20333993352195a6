"""The timer on a clock that is set while it runs."""

from __future__ import annotations

import queue
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest

from actors.messages import Tick, Wake
from actors.runtime.timer import SystemClock, Timer

pytestmark = pytest.mark.clock


class SetClock:
    """A clock whose time moves only when the test sets it; its seconds go on."""

    def __init__(self) -> None:
        self.time = datetime(2026, 1, 5, 12, 0, 30, tzinfo=UTC)

    def now(self) -> datetime:
        return self.time

    def monotonic(self) -> float:
        return time.monotonic()


class Inbox:
    def __init__(self) -> None:
        self.received: queue.Queue[object] = queue.Queue()

    def tell(self, message: object, /) -> None:
        self.received.put(message)

    def next(self, seconds: float = 5.0) -> object:
        return self.received.get(timeout=seconds)


def test_intervals_go_on_while_the_clock_stands_or_goes_back() -> None:
    clock, inbox = SetClock(), Inbox()
    timer = Timer(clock)
    timer.every(timedelta(milliseconds=10), inbox, Wake())
    timer.start()
    assert Wake() == inbox.next()
    clock.time -= timedelta(hours=1)
    assert [Wake()] * 3 == [inbox.next() for _ in range(3)]
    timer.stop()


def test_the_grid_follows_the_clock_forward_and_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("actors.runtime.timer.MAX_WAIT_S", 0.01)  # reads the clock again after 10 ms
    clock, inbox = SetClock(), Inbox()
    timer = Timer(clock)
    timer.on_grid(timedelta(minutes=1), inbox, Tick())
    timer.start()
    assert inbox.received.empty()
    clock.time += timedelta(seconds=30)
    assert Tick() == inbox.next()
    clock.time -= timedelta(hours=1)
    assert Tick() == inbox.next()  # the grid starts again
    clock.time += timedelta(minutes=1)
    assert Tick() == inbox.next()
    timer.stop()


def test_at_most_one_message_of_a_key_waits() -> None:
    clock, inbox = SetClock(), Inbox()
    timer = Timer(clock)
    for _ in range(100):
        timer.after(timedelta(milliseconds=10), inbox, Wake(), key="DecisionWatcher")
    timer.after(timedelta(milliseconds=20), inbox, Tick(), key="Sizer")
    timer.start()
    assert [Wake(), Tick()] == [inbox.next(), inbox.next()]
    timer.stop()
    assert inbox.received.empty()


def test_a_stopped_timer_sends_nothing() -> None:
    inbox = Inbox()
    timer = Timer(SetClock())
    timer.every(timedelta(seconds=60), inbox, Wake())
    timer.start()
    timer.stop()
    assert "timer" not in {thread.name for thread in threading.enumerate()}
    assert inbox.received.empty()


class Failing(Inbox):
    """Fails at the first message."""

    failed = False

    def tell(self, message: object, /) -> None:
        if not self.failed:
            self.failed = True
            raise MemoryError
        super().tell(message)


def test_a_message_that_could_not_be_sent_is_sent_later() -> None:
    repeated, single = Failing(), Failing()
    timer = Timer(SetClock())
    timer.every(timedelta(milliseconds=10), repeated, Wake())
    timer.after(timedelta(milliseconds=10), single, Tick(), key="once")
    timer.start()
    assert Wake() == repeated.next()
    assert Tick() == single.next()
    timer.stop()


def test_the_clock_of_durations_ignores_a_wall_clock_that_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SystemClock()
    before = clock.monotonic()
    monkeypatch.setattr(time, "time", lambda: 0.0)
    monkeypatch.setattr(time, "monotonic", lambda: -1.0)  # on Linux it stands still while the machine sleeps
    assert 0 <= clock.monotonic() - before < 60
