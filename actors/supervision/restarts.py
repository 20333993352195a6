"""How often and how soon what failed is begun afresh: the rules of supervision as plain values.

Named after Erlang/OTP's supervisor: *intensity* is how many restarts within how long are still no reason to give up.
"""

from __future__ import annotations

import random
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from domain.errors import RestartLimitReached
from domain.types import DecisionId


@dataclass(frozen=True, slots=True)
class Intensity:
    """More than ``restarts`` within ``window`` are too many."""

    restarts: int = 5
    window: timedelta = timedelta(seconds=30)

    def __str__(self) -> str:
        return f"{self.restarts} restarts within {self.window.total_seconds():g} s"


@dataclass(frozen=True, slots=True)
class Backoff:
    """How long to wait before a restart: ``min(longest, shortest · 2ⁿ) · (1 + jitter · chance)``, n restarts before it.

    Attributes:
        jitter: the largest part that chance adds; chance is drawn from 0 to 1.
    """

    shortest: timedelta = timedelta(milliseconds=50)
    longest: timedelta = timedelta(seconds=5)
    jitter: float = 0.2

    def delay(self, before: int, chance: float) -> timedelta:
        """Return how long to wait after so many restarts."""
        doubled: timedelta = self.shortest * 2 ** min(before, 30)
        return min(self.longest, doubled) * (1 + self.jitter * chance)


class RestartRule(StrEnum):
    """What is rebuilt with an actor that failed."""

    PATH = "the whole decision path, in a new generation"
    ALONE = "the actor alone"


@dataclass(frozen=True, slots=True)
class ChildSpec:
    """How an actor is supervised. The order of the specs is the order of the start.

    Attributes:
        rule: what is rebuilt with it.
        intensity: of the actor itself; the tree has one of its own.
    """

    name: str
    rule: RestartRule = RestartRule.ALONE
    intensity: Intensity = Intensity()


class Restarts:
    """Counts restarts, of one actor or of the tree; those out of the window are forgotten."""

    def __init__(self, intensity: Intensity) -> None:
        self._intensity = intensity
        self._at: deque[datetime] = deque()

    def count(self, now: datetime) -> int:
        """Take note of one; return how many there were in the window before it.

        Raises:
            RestartLimitReached: it is one too many.
        """
        before = self._intensity.restarts - self.left(now)
        self._at.append(now)
        if before >= self._intensity.restarts:
            raise RestartLimitReached(f"gave up after {self._intensity}")
        return before

    def left(self, now: datetime) -> int:
        """Return how many more are allowed now."""
        while self._at and self._at[0] <= now - self._intensity.window:
            self._at.popleft()
        return self._intensity.restarts - len(self._at)

    @property
    def last(self) -> datetime | None:
        """When the last one was, as far as it is remembered."""
        return self._at[-1] if self._at else None

    def take_back(self, at: datetime) -> None:
        """The one at that moment was a message's fault, not the actor's."""
        with suppress(ValueError):
            self._at.remove(at)


class Budget:
    """The restarts of one actor, and the tree's."""

    def __init__(
        self, specs: tuple[ChildSpec, ...], tree: Intensity, backoff: Backoff, generator: random.Random
    ) -> None:
        self._tree = Restarts(tree)
        self._culprits = Restarts(Intensity(MOST_CULPRITS, tree.window))
        self._own = {spec.name: Restarts(spec.intensity) for spec in specs}
        self._backoff = backoff
        self._generator = generator

    def spend(self, actor: str, now: datetime) -> timedelta:
        """Count a restart of ``actor``; return how long to wait before it.

        Raises:
            RestartLimitReached: it is one too many, for the actor or for the tree.
        """
        before = self._own[actor].count(now)
        self._tree.count(now)
        return self._backoff.delay(before, self._generator.random())

    def blames(self, now: datetime) -> bool:
        """Take note of a decision that is quarantined; say whether such decisions may still be at fault themselves."""
        try:
            self._culprits.count(now)
        except RestartLimitReached:
            return False
        return True

    def left(self, now: datetime) -> dict[str, int]:
        """Return how many restarts are allowed now, of each actor and of all (``tree``)."""
        return {**{name: own.left(now) for name, own in self._own.items()}, "tree": self._tree.left(now)}

    def refund(self, actor: str) -> None:
        """The actor's last restart was a message's fault."""
        own = self._own[actor]
        if (at := own.last) is not None:
            own.take_back(at)
            self._tree.take_back(at)


MOST_CULPRITS = 100
"""More decisions within the window than that are not at fault: whoever handles them is."""
MOST_SUSPECTS = 10_000


class Strikes:
    """Decisions that an actor has crashed on: twice is once too often, whichever actors it were.

    A crash on a group is a strike for each decision in it; from then on they are handled alone, so that the second
    crash tells the culprit from the others.
    """

    def __init__(self) -> None:
        self._struck: dict[DecisionId, None] = {}

    def strike(self, about: frozenset[DecisionId]) -> DecisionId | None:
        """Count a crash on a message about these decisions; return the one that is not to be tried again."""
        if len(about) == 1:
            (only,) = about
            if only in self._struck:
                del self._struck[only]
                return only
        self._struck.update(dict.fromkeys(about))
        while len(self._struck) > MOST_SUSPECTS:
            del self._struck[next(iter(self._struck))]
        return None

    @property
    def suspects(self) -> frozenset[DecisionId]:
        """Decisions with a strike."""
        return frozenset(self._struck)
