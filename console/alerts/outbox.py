"""Alarms that wait for one receiver, at most one notification a kind and minute. No threads, no clock: plain values.

The first alarm of a kind is due at once. The outbox holds back those that follow within the window; at its end, the
newest is due and carries the number of the others. So the outbox never holds more than one notification of a kind, and
the last one sent of a kind states how things stand.
"""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
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

    def followed_by(self, alarm: Alarm) -> Notification:
        """Return the notification of a newer alarm, with this one among those held back."""
        earlier = (*self.earlier, self.alarm)[-MAX_EARLIER:]
        return Notification(alarm, self.count, earlier, self.since or self.alarm.at.astimezone(UTC))

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


class Outbox:
    """Outbox of one receiver: takes alarms, returns notifications.

    Args:
        window: seconds between two notifications of a kind.
    """

    def __init__(self, window: float) -> None:
        self._window = window
        self._waiting: dict[AlarmKind, Notification] = {}
        self._free_at: dict[AlarmKind, float] = {}

    def put(self, alarm: Alarm) -> None:
        """Keep an alarm until it is due; it replaces an older one of its kind."""
        before = self._waiting.get(alarm.kind)
        self._waiting[alarm.kind] = Notification(alarm) if before is None else before.followed_by(alarm)

    def take(self, now: float, *, hurry: bool = False) -> Notification | None:
        """Return the due notification that has waited longest; None if none is due.

        Args:
            now: seconds of a monotonic clock.
            hurry: count every waiting notification as due.
        """
        ready = [kind for kind in self._waiting if hurry or self._due_in(kind, now) == 0]
        if not ready:
            return None
        kind = min(ready, key=lambda kind: self._waiting[kind].alarm.at)
        self._free_at[kind] = now + self._window
        return self._waiting.pop(kind)

    def due_in(self, now: float) -> float | None:
        """Return the seconds until a notification is due; None if nothing waits."""
        return min((self._due_in(kind, now) for kind in self._waiting), default=None)

    def _due_in(self, kind: AlarmKind, now: float) -> float:
        return max(0.0, self._free_at.get(kind, now) - now)

    @property
    def waiting(self) -> list[Notification]:
        """The waiting notification of each kind."""
        return list(self._waiting.values())


def _iso_utc(value: datetime) -> str:
    return value.astimezone(UTC).isoformat()
