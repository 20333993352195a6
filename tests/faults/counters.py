"""What is counted while things go wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass
class Counters:
    """Counts of one part, or of all together.

    Attributes:
        faults: injected, by kind; the kind ``death`` is a death of the process.
        decisions: sent.
        outcomes: what became of them.
        lost: decisions without outcome, or accepted and not in the table.
        doubled: decisions with two orders, or with two outcomes.
        unbalanced: portfolios whose books do not balance, or differ from the model.
        repeat: for each failure, what went wrong and the one command that repeats it.
    """

    faults: Counter[str] = field(default_factory=Counter)
    decisions: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    lost: int = 0
    doubled: int = 0
    unbalanced: int = 0
    repeat: list[str] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        """Whether nothing went wrong that must not."""
        return not (self.lost or self.doubled or self.unbalanced or self.repeat)

    @classmethod
    def total(cls, parts: Iterable[Counters]) -> Counters:
        """Return all parts together."""
        total = cls()
        for part in parts:
            total.faults += part.faults
            total.decisions += part.decisions
            total.outcomes += part.outcomes
            total.lost += part.lost
            total.doubled += part.doubled
            total.unbalanced += part.unbalanced
            total.repeat += part.repeat
        return total
