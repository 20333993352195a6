"""A receiver of alarms that records them."""

from __future__ import annotations

from domain.alarms import Alarm
from tests.support.system.running_system import until


class RecordedAlarms:
    """Receiver of alarms that records them."""

    def __init__(self) -> None:
        self.alarms: list[Alarm] = []

    def notify(self, alarm: Alarm) -> None:
        self.alarms.append(alarm)

    def expect(self, kind: str, text: str, *, over: bool = False) -> None:
        """Wait for this alarm; drop those before it."""
        until(lambda: any((a.kind, a.over) == (kind, over) and text in a.text for a in self.alarms), 15)
        while (alarm := self.alarms.pop(0)).kind != kind or alarm.over != over or text not in alarm.text:
            pass
