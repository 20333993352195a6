"""The rules of supervision as plain values: how often and how soon a failed actor restarts.

The terms are those of Erlang/OTP's supervisor: *intensity* is the number of restarts that are allowed within a window.
"""

from __future__ import annotations

import random
from collections import Counter, deque
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta

from domain.errors import RestartLimitReached
from domain.types import DecisionId

MAX_CULPRITS = 100
"""Decisions quarantined within the window; with more, the fault is in the program, not in the decisions."""


@dataclass(frozen=True, slots=True)
class Intensity:
    """The number of ``restarts`` that are allowed within ``window``."""

    restarts: int
    window: timedelta

    def __str__(self) -> str:
        return f"{self.restarts} restarts within {self.window.total_seconds():g} s"


@dataclass(frozen=True, slots=True)
class Backoff:
    """The delay before a restart: ``min(longest, shortest · 2ⁿ) · (1 + jitter · draw)``, after n earlier restarts.

    Attributes:
        jitter: the largest fraction that the random draw adds.
    """

    shortest: timedelta = timedelta(milliseconds=50)
    longest: timedelta = timedelta(seconds=5)
    jitter: float = 0.2

    def delay(self, earlier: int, draw: float) -> timedelta:
        """Return the delay after ``earlier`` restarts, with a random ``draw`` from 0 to 1."""
        doubled: timedelta = self.shortest * 2 ** min(earlier, 30)
        return min(self.longest, doubled) * (1 + self.jitter * draw)


class Restarts:
    """The restarts of one actor, or of the tree, within the window. Moments are durations of the monotonic clock."""

    def __init__(self, intensity: Intensity) -> None:
        self._intensity = intensity
        self._at: deque[timedelta] = deque()

    def count(self, now: timedelta) -> int:
        """Count a restart; return how many came before it within the window.

        Raises:
            RestartLimitReached: it exceeds the intensity.
        """
        before = self._intensity.restarts - self.left(now)
        self._at.append(now)
        if before >= self._intensity.restarts:
            raise RestartLimitReached(f"gave up after {self._intensity}")
        return before

    def left(self, now: timedelta) -> int:
        """Return how many more restarts are allowed now."""
        while self._at and self._at[0] <= now - self._intensity.window:
            self._at.popleft()
        return self._intensity.restarts - len(self._at)

    @property
    def last(self) -> timedelta | None:
        """The moment of the last restart; None if there is none within the window."""
        return self._at[-1] if self._at else None

    def take_back(self, at: timedelta) -> None:
        """Remove the restart of a moment: it was a message's fault, not the actor's."""
        with suppress(ValueError):
            self._at.remove(at)


class Budget:
    """The restarts that each actor, and all of them together, have left.

    Args:
        own: the limit of each actor, by name.
        tree: the limit of all actors together.
        backoff: the delays.
        generator: draws the random part of a delay.
    """

    def __init__(
        self, own: Mapping[str, Intensity], tree: Intensity, backoff: Backoff, generator: random.Random
    ) -> None:
        self._tree = Restarts(tree)
        self._culprits = Restarts(Intensity(MAX_CULPRITS, tree.window))
        self._own = {name: Restarts(intensity) for name, intensity in own.items()}
        self._backoff = backoff
        self._generator = generator

    def spend(self, actor: str, now: timedelta) -> timedelta:
        """Count a restart of ``actor``; return the delay before it.

        Raises:
            RestartLimitReached: it exceeds the intensity of the actor or of the tree.
        """
        earlier = self._own[actor].count(now)
        self._tree.count(now)
        return self._backoff.delay(earlier, self._generator.random())

    def count_culprit(self, now: timedelta) -> bool:
        """Count a decision that is quarantined; return False if there are too many for the decisions to be at fault."""
        try:
            self._culprits.count(now)
        except RestartLimitReached:
            return False
        return True

    def left(self, now: timedelta) -> dict[str, int]:
        """Return how many restarts are allowed now, by actor and for all together (``tree``)."""
        return {**{name: own.left(now) for name, own in self._own.items()}, "tree": self._tree.left(now)}

    def refund(self, actor: str) -> None:
        """Give an actor's last restart back: it was a message's fault."""
        own = self._own[actor]
        if (at := own.last) is not None:
            own.take_back(at)
            self._tree.take_back(at)


CRASHES_TOGETHER = 3
"""Crashes on the same decisions: the first may be of a group of messages, and two actors may crash on that group."""
MAX_SUSPECTS = 10_000
"""Decisions whose strike is remembered."""


STRIKE_LIFETIME = timedelta(hours=1)
"""A strike is forgotten after it: an order may rest for months, and two crashes far apart have different causes."""


class Strikes:
    """The decisions on which an actor has crashed. A second crash quarantines a decision, whichever actor it was.

    A crash on a group of messages is a strike for each decision in it. Those decisions are then handled one by one, so
    that the second crash identifies the culprit. What makes an actor crash each time does so at once again: the message
    is sent again, and market data are matched again, when the path has restarted. A strike that is followed by nothing
    within `STRIKE_LIFETIME` is forgotten.

    One message may be about several decisions whose open orders end together. They come together each time, so the
    third crash on the same ones takes the first of them. If it was the fault of another, that one is alone then.
    """

    def __init__(self) -> None:
        self._struck: dict[DecisionId, timedelta] = {}
        self._together: Counter[frozenset[DecisionId]] = Counter()

    def strike(self, about: frozenset[DecisionId], now: timedelta) -> DecisionId | None:
        """Count a crash on messages about these decisions; return the decision to quarantine, or None."""
        self._forget(now)
        if len(about) == 1:
            (only,) = about
            if only in self._struck:
                del self._struck[only]
                return only
        if len(about) > 1:
            self._together[about] += 1
            if self._together[about] == CRASHES_TOGETHER:
                first = min(about, key=lambda id_: (len(str(id_)), str(id_)))
                del self._struck[first]
                self._forget_together()
                return first
        for id_ in about:
            self._struck.pop(id_, None)
            self._struck[id_] = now
        while len(self._struck) > MAX_SUSPECTS:
            del self._struck[next(iter(self._struck))]
        self._forget_together()
        return None

    def suspects(self, now: timedelta) -> frozenset[DecisionId]:
        """Return the decisions with a strike."""
        self._forget(now)
        return frozenset(self._struck)

    def _forget(self, now: timedelta) -> None:
        """Forget the strikes that are too old; the oldest come first."""
        while self._struck and now - next(iter(self._struck.values())) > STRIKE_LIFETIME:
            del self._struck[next(iter(self._struck))]
        self._forget_together()

    def _forget_together(self) -> None:
        for about in [about for about in self._together if not about <= self._struck.keys()]:
            del self._together[about]
