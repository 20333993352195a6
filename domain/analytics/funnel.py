"""The decision funnel: the number of decisions at each stage, and the reasons why the others left it.

It counts the decisions that want to trade. A CANCEL, AMEND or PROTECT is about an order or a position that is there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from domain.trading.decision import Reason
from domain.types import Action, OutcomeStatus

UNDECIDED = frozenset({"pending", "open"})


COUNTED = (Action.BUY, Action.SELL, Action.HOLD)
"""The decisions that the funnel counts."""


class Stage(StrEnum):
    """The stages of a decision."""

    RECEIVED = "received"
    ABOVE_THRESHOLD = "above threshold"
    SIZED = "sized"
    FILLED = "filled"


AFTER_THRESHOLD = frozenset({
    Reason.UNKNOWN_SYMBOL, Reason.OTHER_CURRENCY, Reason.NO_PRICE, Reason.EXPIRED, Reason.NOTHING_HELD,
    Reason.TOO_SMALL, Reason.NO_ROOM, Reason.NO_CASH, Reason.INTERNAL_ERROR, Reason.CANCELLED,
})  # fmt: skip
"""Reasons for a decision at or above the threshold to get no order."""
AFTER_SIZING = frozenset({Reason.NO_FILL, Reason.POST_ONLY, Reason.NO_VOLUME})
"""Reasons for a sized order not to be placed. All other reasons come before the threshold."""


@dataclass(frozen=True, slots=True)
class DropOff:
    """Decisions that left the funnel at one stage for one reason.

    Attributes:
        after: the last stage that they reached.
        reason: a value of `Reason`, or the status where the reason is free text.
        number: number of decisions.
    """

    after: Stage
    reason: str
    number: int


@dataclass(frozen=True, slots=True)
class Funnel:
    """The number of decisions at each stage.

    Attributes:
        waiting: received decisions without an outcome yet.
        lost: the others by stage and reason, the most frequent reason of a stage first. With ``waiting`` and
            ``filled`` they add up to ``received``.
    """

    received: int
    above_threshold: int
    sized: int
    filled: int
    waiting: int
    lost: tuple[DropOff, ...]

    @property
    def stages(self) -> dict[Stage, int]:
        """The number of decisions at each stage, in the order of the stages."""
        numbers = self.received, self.above_threshold, self.sized, self.filled
        return dict(zip(Stage, numbers, strict=True))


def funnel(counted: Iterable[tuple[str, str | None, bool, int]]) -> Funnel:
    """Return the funnel of decisions counted by status, reason, and whether they have an order.

    Args:
        counted: status, the reason up to its colon, whether an order was placed for them, and the number of decisions
            with all three; they may repeat.
    """
    filled = waiting = 0
    lost: Counter[tuple[Stage, str]] = Counter()
    for status, reason, has_order, number in counted:
        if status == OutcomeStatus.EXECUTED:
            filled += number
        elif status in UNDECIDED:
            waiting += number
        else:
            lost[_drop_off(status, reason, has_order)] += number
    order = list(Stage)
    entries = sorted(
        (DropOff(after, reason, number) for (after, reason), number in lost.items()),
        key=lambda entry: (order.index(entry.after), -entry.number, entry.reason),
    )
    dropped = {stage: sum(entry.number for entry in entries if entry.after is stage) for stage in Stage}
    sized = filled + dropped[Stage.SIZED]
    above = sized + dropped[Stage.ABOVE_THRESHOLD]
    return Funnel(above + dropped[Stage.RECEIVED] + waiting, above, sized, filled, waiting, tuple(entries))


def _drop_off(status: str, reason: str | None, has_order: bool) -> tuple[Stage, str]:
    if reason is None or reason not in frozenset(Reason):
        return (Stage.SIZED if has_order else Stage.RECEIVED), status
    if has_order or reason in AFTER_SIZING:  # an order may have rested, and ended without a fill
        return Stage.SIZED, reason
    return (Stage.ABOVE_THRESHOLD if reason in AFTER_THRESHOLD else Stage.RECEIVED), reason
