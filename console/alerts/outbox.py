"""Alarms that wait for one receiver, at most one notification a topic and minute. No threads, no clock: plain values.

The topic of an alarm is its kind; of some messages about trading also the portfolio. The first alarm of a topic is due
at once. The outbox holds back those that follow within the window; at its end, the newest is due and carries the number
of the others. So the outbox never holds more than one notification of a topic, and the last one sent of a topic states
how things stand. Messages about trading are also kept for as long as the quiet hours last.
"""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from domain.alarms import FOLDED_KINDS, TRADING_KINDS, Alarm, AlarmKind

Topic = tuple[AlarmKind, str | None]
MINUTE = timedelta(seconds=61)
"""What counts as a minute: a window, and the second in which an event is taken up."""
MAX_EARLIER = 5
"""Number of held back alarms whose text is sent; the others are counted, and the log has them."""


@dataclass(frozen=True, slots=True)
class Notification:
    """Message to a receiver: the newest alarm of a kind, with those of its topic held back before it.

    Attributes:
        alarm: the newest of its topic.
        held_back: number of alarms of its topic since the last notification that were not sent.
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
        return self.alarm.count + self.held_back

    @property
    def text(self) -> str:
        """One sentence for a person."""
        if (events := FOLDED_KINDS.get(self.alarm.kind)) is not None:
            return f"{self._count_of(events)}, the last: {self.alarm.text}" if self.count > 1 else self.alarm.text
        if self.since is None:
            return self.alarm.text
        since = self.since.astimezone(UTC)
        return f"{self.alarm.text} (and {self.held_back} more of this kind since {since:%H:%M:%S} UTC)"

    def followed_by(self, alarm: Alarm) -> Notification:
        """Return the notification of a newer alarm, with this one among those held back."""
        earlier = (*self.earlier, self.alarm)[-MAX_EARLIER:]
        return Notification(alarm, self.count, earlier, self.since or self.alarm.at)

    def after(self, older: Notification) -> Notification:
        """Return it with an older one of the same topic among those held back."""
        earlier = (*older.earlier, older.alarm, *self.earlier)[-MAX_EARLIER:]
        return replace(
            self, held_back=self.held_back + older.count, earlier=earlier, since=older.since or older.alarm.at
        )

    def _count_of(self, events: str) -> str:
        since = self.since or self.alarm.at
        lately = self.alarm.at - since <= MINUTE
        return f"{self.count} {events} {'in the last minute' if lately else f'since {since:%H:%M %Z}'}"

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON object that a receiver gets."""
        return {
            "kind": self.alarm.kind.value,
            "text": self.text,
            "at": _iso_utc(self.alarm.at),
            "over": self.alarm.over,
            "portfolio": self.alarm.portfolio,
            "held_back": self.count - 1,
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
        window: seconds between two notifications of a topic.
    """

    def __init__(self, window: float) -> None:
        self._window = window
        self._waiting: dict[Topic, Notification] = {}
        self._free_at: dict[Topic, float] = {}

    def put(self, alarm: Alarm) -> None:
        """Keep an alarm until it is due; it replaces an older one of its topic."""
        before = self._waiting.get(alarm.topic)
        self._waiting[alarm.topic] = Notification(alarm) if before is None else before.followed_by(alarm)

    def put_back(self, notification: Notification) -> None:
        """Keep a notification that was taken, to be taken again before its window ends."""
        topic = notification.alarm.topic
        newer = self._waiting.get(topic)
        self._waiting[topic] = notification if newer is None else newer.after(notification)
        self._free_at.pop(topic, None)

    def has_failure(self, now: float) -> bool:
        """Return whether an alarm about a failure is due."""
        return any(topic[0] not in TRADING_KINDS and self._due_in(topic, now, 0.0) == 0 for topic in self._waiting)

    def take(self, now: float, *, quiet: float = 0.0, hurry: bool = False) -> Notification | None:
        """Return the due notification that has waited longest, one about trading last; None if none is due.

        Args:
            now: seconds of a monotonic clock.
            quiet: seconds for which messages about trading are kept.
            hurry: count every waiting notification as due, apart from what the quiet hours keep.
        """
        ready = [
            topic
            for topic in self._waiting
            if (hurry and not (quiet and topic[0] in TRADING_KINDS)) or self._due_in(topic, now, quiet) == 0
        ]
        if not ready:
            return None
        topic = min(ready, key=lambda topic: (topic[0] in TRADING_KINDS, self._waiting[topic].alarm.at))
        self._free_at[topic] = now + self._window
        return self._waiting.pop(topic)

    def due_in(self, now: float, *, quiet: float = 0.0) -> float | None:
        """Return the seconds until a notification is due; None if nothing waits."""
        return min((self._due_in(topic, now, quiet) for topic in self._waiting), default=None)

    def _due_in(self, topic: Topic, now: float, quiet: float) -> float:
        kept = quiet if topic[0] in TRADING_KINDS else 0.0
        return max(0.0, kept, self._free_at.get(topic, now) - now)

    @property
    def waiting(self) -> list[Notification]:
        """The waiting notification of each topic."""
        return list(self._waiting.values())


def _iso_utc(value: datetime) -> str:
    return value.astimezone(UTC).isoformat()
