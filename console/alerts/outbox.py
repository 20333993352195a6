"""Alarms that wait for one receiver, at most one notification a kind and minute. No threads, no clock: plain values.

The first alarm of a kind is due at once. The outbox holds back those that follow within the window; at its end, the
newest is due and carries the number of the others. So the outbox never holds more than one notification of a kind, and
the last one sent of a kind states how things stand.
"""

from __future__ import annotations

import os
import socket
from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from domain.alarms import Alarm, AlarmKind

MAX_EARLIER = 5
"""Number of held back alarms whose text is sent; the others are counted, and the log has them."""


@dataclass(frozen=True, slots=True)
class Notification:
    """Message to a receiver: the newest alarm of a kind, with those held back before it.

    Attributes:
        alarm: the newest of its kind.
        held_back: number of alarms of its kind since the last notification that were not sent.
        earlier: the last of these, the newest last.
        since: time of the first of these.
        undelivered: number of alarms that could not be delivered to this receiver since the last delivery.
    """

    alarm: Alarm
    held_back: int = 0
    earlier: tuple[Alarm, ...] = ()
    since: datetime | None = None
    undelivered: int = 0

    @property
    def count(self) -> int:
        """Number of alarms that it stands for."""
        return 1 + self.held_back

    @property
    def text(self) -> str:
        """One sentence for a person."""
        if self.since is None:
            return self.alarm.text
        return f"{self.alarm.text} (and {self.held_back} more of this kind since {self.since:%H:%M:%S} UTC)"

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON object that a receiver gets."""
        return {
            "kind": self.alarm.kind.value,
            "text": self.text,
            "at": _iso_utc(self.alarm.at),
            "over": self.alarm.over,
            "held_back": self.held_back,
            "earlier": [
                {"at": _iso_utc(earlier.at), "over": earlier.over, "text": earlier.text} for earlier in self.earlier
            ],
            "undelivered": self.undelivered,
            "host": socket.gethostname(),
            "process": os.getpid(),
        }


@dataclass(slots=True)
class _Slot:
    """Waiting alarms of one kind."""

    newest: Alarm | None = None
    held_back: int = 0
    earlier: deque[Alarm] = field(default_factory=lambda: deque(maxlen=MAX_EARLIER))
    since: datetime | None = None
    free_at: float = float("-inf")


class Outbox:
    """Outbox of one receiver: takes alarms, returns notifications.

    Args:
        window: seconds between two notifications of a kind.
    """

    def __init__(self, window: float) -> None:
        self._window = window
        self._slots: dict[AlarmKind, _Slot] = {}

    def put(self, alarm: Alarm) -> None:
        """Keep an alarm until it is due; it replaces an older one of its kind."""
        slot = self._slots.setdefault(alarm.kind, _Slot())
        if slot.newest is not None:
            slot.earlier.append(slot.newest)
            slot.held_back += 1
            slot.since = slot.since or slot.newest.at.astimezone(UTC)
        slot.newest = alarm

    def take(self, now: float, *, hurry: bool = False) -> Notification | None:
        """Return the due notification that has waited longest; None if none is due.

        Args:
            now: seconds of a monotonic clock.
            hurry: count every waiting notification as due.
        """
        ready = [(alarm, slot) for alarm, slot in self._full if hurry or slot.free_at <= now]
        if not ready:
            return None
        alarm, slot = min(ready, key=lambda entry: entry[0].at)
        self._slots[alarm.kind] = _Slot(free_at=now + self._window)
        return Notification(alarm, slot.held_back, tuple(slot.earlier), slot.since)

    def due_in(self, now: float) -> float | None:
        """Return the seconds until a notification is due; None if nothing waits."""
        return min((max(0.0, slot.free_at - now) for _, slot in self._full), default=None)

    @property
    def waiting(self) -> list[Alarm]:
        """The newest waiting alarm of each kind."""
        return [alarm for alarm, _ in self._full]

    @property
    def count(self) -> int:
        """Number of waiting alarms."""
        return sum(1 + slot.held_back for _, slot in self._full)

    @property
    def _full(self) -> list[tuple[Alarm, _Slot]]:
        return [(slot.newest, slot) for slot in self._slots.values() if slot.newest is not None]


def _iso_utc(value: datetime) -> str:
    return value.astimezone(UTC).isoformat()
