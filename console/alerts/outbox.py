"""What one receiver of alarms is still to be told: one alarm a kind and minute. No threads, no clock: plain values.

The first alarm of a kind is due at once. Those that follow within the window are held back; when it is over, the newest
is due and says how many there were. So the outbox never holds more than one letter for each kind, and the last that is
told of something is how it stands.
"""

from __future__ import annotations

import os
import socket
from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from domain.alarms import Alarm, AlarmKind

EARLIER = 5
"""So many of those held back are told with their text; the others are counted, and the log has them."""


@dataclass(frozen=True, slots=True)
class Letter:
    """What a receiver is told at once.

    Attributes:
        alarm: the newest of its kind.
        held_back: so many of its kind were not told since the one that was told before.
        earlier: the last of these, the newest last.
        since: when the first of these was.
        undelivered: alarms that this receiver could not be told since it was last reached.
    """

    alarm: Alarm
    held_back: int = 0
    earlier: tuple[Alarm, ...] = ()
    since: datetime | None = None
    undelivered: int = 0

    @property
    def count(self) -> int:
        """How many alarms it stands for."""
        return 1 + self.held_back

    @property
    def text(self) -> str:
        """One sentence for a person."""
        if self.since is None:
            return self.alarm.text
        return f"{self.alarm.text} (and {self.held_back} more of this kind since {self.since:%H:%M:%S} UTC)"

    def document(self) -> dict[str, Any]:
        """Return what a program gets as JSON."""
        return {
            "kind": self.alarm.kind.value,
            "text": self.text,
            "at": _moment(self.alarm.at),
            "over": self.alarm.over,
            "held_back": self.held_back,
            "earlier": [{"at": _moment(each.at), "over": each.over, "text": each.text} for each in self.earlier],
            "undelivered": self.undelivered,
            "host": socket.gethostname(),
            "process": os.getpid(),
        }


@dataclass(slots=True)
class _Slot:
    """What waits of one kind."""

    newest: Alarm | None = None
    held_back: int = 0
    earlier: deque[Alarm] = field(default_factory=lambda: deque(maxlen=EARLIER))
    since: datetime | None = None
    free_at: float = float("-inf")


class Outbox:
    """Takes alarms, gives letters.

    Args:
        window: seconds in which one letter of a kind is given.
    """

    def __init__(self, window: float) -> None:
        self._window = window
        self._slots: dict[AlarmKind, _Slot] = {}

    def put(self, alarm: Alarm) -> None:
        """Keep an alarm until it is due; it takes the place of an older one of its kind."""
        slot = self._slots.setdefault(alarm.kind, _Slot())
        if slot.newest is not None:
            slot.earlier.append(slot.newest)
            slot.held_back += 1
            slot.since = slot.since or slot.newest.at.astimezone(UTC)
        slot.newest = alarm

    def take(self, now: float, *, hurry: bool = False) -> Letter | None:
        """Return the next letter that is due, the one that has waited longest; None where none is.

        Args:
            now: seconds of a clock that never jumps.
            hurry: whatever waits is due.
        """
        ready = [(alarm, slot) for alarm, slot in self._full if hurry or slot.free_at <= now]
        if not ready:
            return None
        alarm, slot = min(ready, key=lambda each: each[0].at)
        self._slots[alarm.kind] = _Slot(free_at=now + self._window)
        return Letter(alarm, slot.held_back, tuple(slot.earlier), slot.since)

    def due_in(self, now: float) -> float | None:
        """Return in how many seconds a letter is due; None where nothing waits."""
        return min((max(0.0, slot.free_at - now) for _, slot in self._full), default=None)

    @property
    def waiting(self) -> list[Alarm]:
        """The newest alarm of each kind that waits."""
        return [alarm for alarm, _ in self._full]

    @property
    def count(self) -> int:
        """How many alarms wait."""
        return sum(1 + slot.held_back for _, slot in self._full)

    @property
    def _full(self) -> list[tuple[Alarm, _Slot]]:
        return [(slot.newest, slot) for slot in self._slots.values() if slot.newest is not None]


def _moment(value: datetime) -> str:
    return value.astimezone(UTC).isoformat()
