"""The decision funnel: how many decisions came how far, and why the others fell out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from domain.trading.decision import Reason
from domain.types import OutcomeStatus

UNDECIDED = frozenset({"pending", "open"})


class Stage(StrEnum):
    """How far a decision came."""

    RECEIVED = "received"
    ABOVE_THRESHOLD = "above threshold"
    SIZED = "sized"
    FILLED = "filled"


AFTER_THRESHOLD = frozenset(
    {
        Reason.UNKNOWN_SYMBOL,
        Reason.OTHER_CURRENCY,
        Reason.NO_PRICE,
        Reason.EXPIRED,
        Reason.NOTHING_HELD,
        Reason.TOO_SMALL,
        Reason.NO_ROOM,
        Reason.NO_CASH,
        Reason.INTERNAL_ERROR,
    }
)
"""Why a decision that was sure enough got no order. All other reasons but NO_FILL keep it from being considered."""


@dataclass(frozen=True, slots=True)
class Lost:
    """Decisions that fell out at one place for one reason.

    Attributes:
        after: the last stage that they came to.
        reason: a word of `Reason`, or the status where the reason is free text.
        number: of decisions.
    """

    after: Stage
    reason: str
    number: int


@dataclass(frozen=True, slots=True)
class Funnel:
    """How many decisions came to each stage.

    Attributes:
        waiting: received, and without an outcome yet.
        lost: why the others went no further, the most frequent reason of each stage first. With ``waiting`` and
            ``filled`` they add up to ``received``.
    """

    received: int
    above_threshold: int
    sized: int
    filled: int
    waiting: int
    lost: tuple[Lost, ...]

    @property
    def stages(self) -> dict[Stage, int]:
        """The number of decisions at each stage, in their order."""
        numbers = self.received, self.above_threshold, self.sized, self.filled
        return dict(zip(Stage, numbers, strict=True))


def funnel(counted: Iterable[tuple[str, str | None, int]]) -> Funnel:
    """Return the funnel of decisions that were counted by status and reason.

    Args:
        counted: status, the reason up to its colon, and how many decisions have both; pairs may come again.
    """
    filled = waiting = 0
    lost: dict[tuple[Stage, str], int] = {}
    for status, reason, number in counted:
        if status == OutcomeStatus.EXECUTED:
            filled += number
        elif status in UNDECIDED:
            waiting += number
        else:
            key = _lost(status, reason)
            lost[key] = lost.get(key, 0) + number
    order = list(Stage)
    entries = sorted(
        (Lost(after, reason, number) for (after, reason), number in lost.items()),
        key=lambda each: (order.index(each.after), -each.number, each.reason),
    )
    fell = {stage: sum(each.number for each in entries if each.after is stage) for stage in Stage}
    sized = filled + fell[Stage.SIZED]
    above = sized + fell[Stage.ABOVE_THRESHOLD]
    return Funnel(above + fell[Stage.RECEIVED] + waiting, above, sized, filled, waiting, tuple(entries))


def _lost(status: str, reason: str | None) -> tuple[Stage, str]:
    if reason is None or reason not in frozenset(Reason):
        return Stage.RECEIVED, status
    if reason == Reason.NO_FILL:
        return Stage.SIZED, reason
    return (Stage.ABOVE_THRESHOLD if reason in AFTER_THRESHOLD else Stage.RECEIVED), reason
