"""Alarms: messages about failures that a person must know of."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from domain.wording import one_line, shortened

MAX_ALARM_LENGTH = 1_000
"""Maximum number of characters of an alarm's text; the log has the rest."""


class AlarmKind(StrEnum):
    """The subject of an alarm."""

    HALT = "halt"
    UNPROTECTED = "unprotected"
    AUDIT_DIFFERENCE = "audit_difference"
    RESTART_LIMIT = "restart_limit"
    GAVE_UP = "gave_up"
    LEASE_LOST = "lease_lost"
    LEASE_TAKEN = "lease_taken"
    PRICE_SOURCE_SILENT = "price_source_silent"
    SPLIT_SUSPECTED = "split_suspected"
    QUARANTINE = "quarantine"
    DATABASE_AWAY = "database_away"
    VALIDATION_ENDED = "validation_ended"
    VALIDATION_AT_RISK = "validation_at_risk"
    TEST = "test"


FATAL_KINDS = frozenset({AlarmKind.RESTART_LIMIT, AlarmKind.GAVE_UP, AlarmKind.LEASE_TAKEN})
"""Kinds of alarms after which the process ends."""


@dataclass(frozen=True, slots=True)
class Alarm:
    """One alarm.

    Attributes:
        text: one sentence for a person, on one line.
        over: True where the state that an earlier alarm of this kind reported has ended.
    """

    at: datetime
    kind: AlarmKind
    text: str
    over: bool = False


class Notify(Protocol):
    """A function that sends an alarm. It never waits and never raises."""

    def __call__(self, kind: AlarmKind, text: str, *, over: bool = False) -> None:
        """Queue an alarm to be sent soon."""


def alarm_text(text: str) -> str:
    """Return any text as that of an alarm: on one line, and shortened."""
    return shortened(one_line(text), MAX_ALARM_LENGTH)
