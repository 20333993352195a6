"""The reasoning that an agent gave for the entry and the exit of a round trip."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TripNote:
    """The reasoning behind a round trip.

    Attributes:
        reasoning: of the decision that opened it; None where it gave none.
        exit_decision_id: number of the decision whose order made it flat; None for a write-off.
        exit_by: what made it flat: ``decision``, ``stop loss``, ``take profit``, ``trailing stop`` or ``write-off``.
        exit_reasoning: of that decision, where it decided the exit itself; None where it gave none.
    """

    reasoning: str | None
    exit_decision_id: int | None
    exit_by: str
    exit_reasoning: str | None
