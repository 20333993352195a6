"""What went wrong inside the program, as it is kept for people."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from domain.types import DecisionId, Generation


class FailureKind(StrEnum):
    """What a failure was."""

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
        epoch: of the process that it happened in.
        number: counts the failures of that process.
        actor: who failed.
        message: kind of the message that was being handled, empty where it was none.
        decision_id: the decision that it was about, where it was about one.
        error: the exception in one line.
        traceback: the whole of it; of a hang, the thread's stack.
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
        """How people name it: ``12-3`` is the third failure of epoch 12."""
        return f"{self.epoch}-{self.number}"
