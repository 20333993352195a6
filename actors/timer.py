"""The one clock that ticks: a thread that sends messages when their time has come."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from actors.messages import Message
from actors.ports import Address
from domain.snapshot import next_on_grid
from domain.words import Clock


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """Return the present moment, UTC and aware."""
        return datetime.now(UTC)


@dataclass(slots=True)
class _Entry:
    due: datetime
    send: Callable[[], None]
    again: Callable[[datetime], datetime] | None


class Timer:
    """Sends messages at intervals, on the UTC grid, or once after a while."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._changed = threading.Condition()
        self._entries: list[_Entry] = []
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name="timer", daemon=True)

    def every(self, interval: timedelta, to: Address, message: Message) -> None:
        """Send ``message`` each ``interval``, the first time after one."""
        self._add(_Entry(self._clock.now() + interval, lambda: to.tell(message), lambda now: now + interval))

    def on_grid(self, interval: timedelta, to: Address, message: Message) -> None:
        """Send ``message`` at each multiple of ``interval`` since midnight UTC."""
        due = next_on_grid(self._clock.now(), interval)
        self._add(_Entry(due, lambda: to.tell(message), lambda now: next_on_grid(now, interval)))

    def after(self, delay: timedelta, to: Address, message: Message) -> None:
        """Send ``message`` once, after ``delay``."""
        self._add(_Entry(self._clock.now() + delay, lambda: to.tell(message), None))

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End; nothing is sent after that."""
        with self._changed:
            self._stopped = True
            self._changed.notify()
        self._thread.join(timeout=2)

    def _add(self, entry: _Entry) -> None:
        with self._changed:
            self._entries.append(entry)
            self._changed.notify()

    def _run(self) -> None:
        while True:
            with self._changed:
                if self._stopped:
                    return
                now = self._clock.now()
                due = [entry for entry in self._entries if entry.due <= now]
                self._entries = [entry for entry in self._entries if entry.due > now]
                for entry in due:
                    if entry.again is not None:
                        entry.due = entry.again(now)
                        self._entries.append(entry)
                if not due:
                    next_due = min((entry.due for entry in self._entries), default=now + timedelta(seconds=60))
                    self._changed.wait(timeout=max(0.0, (next_due - now).total_seconds()))
            for entry in due:
                entry.send()
