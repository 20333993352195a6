"""Folds of a walk through history: training days, a gap, and the test days that follow them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class Span:
    """A piece of market time.

    Attributes:
        begin: in UTC, part of it.
        end: in UTC, not part of it.
    """

    begin: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class Fold:
    """One step of a walk through history.

    Attributes:
        number: counted from 1.
        train: the days on which parameters are chosen.
        test: the later days on which the choice is judged.
    """

    number: int
    train: Span
    test: Span

    def to_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        spans = {"train": self.train, "test": self.test}
        return {
            "number": self.number,
            **{name: [span.begin.isoformat(), span.end.isoformat()] for name, span in spans.items()},
        }

    @classmethod
    def from_dict(cls, document: dict[str, Any]) -> Fold:
        """Return the fold that `to_dict` wrote."""
        train, test = (Span(*map(datetime.fromisoformat, document[name])) for name in ("train", "test"))
        return cls(document["number"], train, test)
