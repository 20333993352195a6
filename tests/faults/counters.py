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
        whole = cls()
        for part in parts:
            whole.faults += part.faults
            whole.decisions += part.decisions
            whole.outcomes += part.outcomes
            whole.lost += part.lost
            whole.doubled += part.doubled
            whole.unbalanced += part.unbalanced
            whole.repeat += part.repeat
        return whole
