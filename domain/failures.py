"""Failures of actors, as the table ``paper_failures`` keeps them for people."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from domain.types import DecisionId, Generation


class FailureKind(StrEnum):
    """The kind of a failure. `REPLACED` is none: a person restarted the actor, and the table keeps a record of it."""

    CRASH = "crash"
    HANG = "hang"
    THREAD_ENDED = "thread ended"
    QUARANTINE = "quarantine"
    REPLACED = "replaced"
    GAVE_UP = "gave up"


@dataclass(frozen=True, slots=True)
class Failure:
    """One failure.

    Attributes:
        epoch: epoch of the process in which it happened.
        number: counts the failures of that process.
        actor: the actor that failed.
        message: kind of the message that the actor was handling; empty without one.
        decision_id: the decision that the actor was handling; None without one.
        error: the exception in one line.
        traceback: the full traceback; of a hang, the thread's stack.
    """

    epoch: int
    number: int
    at: datetime
    kind: FailureKind
    generation: Generation
    actor: str
    message: str
    decision_id: DecisionId | None
    error: str
    traceback: str

    @property
    def reference(self) -> str:
        """Its name for people: ``12-3`` is the third failure of epoch 12."""
        return f"{self.epoch}-{self.number}"
