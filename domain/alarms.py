"""Alarms: messages about failures that a person must know of."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from domain.redaction.mask import mask
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
    DISK_FULL = "disk_full"
    CLOCK = "clock"
    AGENT_SILENT = "agent_silent"
    VALIDATION_ENDED = "validation_ended"
    VALIDATION_AT_RISK = "validation_at_risk"
    TEST = "test"
    FILL = "fill"
    POSITION_CLOSED = "position_closed"
    DAILY_SUMMARY = "daily_summary"
    DRAWDOWN = "drawdown"
    VALIDATION = "validation"


FOLDED_KINDS = {AlarmKind.FILL: "fills", AlarmKind.POSITION_CLOSED: "positions closed"}
"""Kinds of messages of which there may be many; several become *17 fills in the last minute*."""
TRADING_KINDS = frozenset({*FOLDED_KINDS, AlarmKind.DAILY_SUMMARY, AlarmKind.DRAWDOWN, AlarmKind.VALIDATION})
"""Messages about trading: a user chooses them by portfolio, and they wait until the quiet hours are over."""
FATAL_KINDS = frozenset({AlarmKind.RESTART_LIMIT, AlarmKind.GAVE_UP, AlarmKind.LEASE_TAKEN})
"""Kinds of alarms after which the process ends."""


@dataclass(frozen=True, slots=True)
class Alarm:
    """One alarm.

    Attributes:
        text: one sentence for a person, on one line.
        over: True where the state that an earlier alarm of this kind reported has ended.
        portfolio: that it is about; None where it is about several, or none.
        count: number of events that it stands for.
    """

    at: datetime
    kind: AlarmKind
    text: str
    over: bool = False
    portfolio: str | None = None
    count: int = 1

    @property
    def topic(self) -> tuple[AlarmKind, str | None]:
        """What it is about: of one topic, one notification a minute is sent."""
        by_portfolio = self.kind in TRADING_KINDS and self.kind not in FOLDED_KINDS
        return self.kind, self.portfolio if by_portfolio else None


class Notify(Protocol):
    """A function that sends an alarm. It never waits and never raises."""

    def __call__(self, kind: AlarmKind, text: str, *, over: bool = False) -> None:
        """Queue an alarm to be sent soon."""


def alarm_text(text: str) -> str:
    """Return any text as that of an alarm: without secrets, on one line, and shortened."""
    return shortened(one_line(mask(text)), MAX_ALARM_LENGTH)
