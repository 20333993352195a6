"""Recovery of the decision path: one protocol for every cause, including the start.

It raises the generation and rebuilds the actors of the path, downstream first. It never waits: it sends a message, and
takes the next step when the answer arrives.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping

from loguru import logger

from actors.messages import Pause, Rebuild
from actors.ports import Address
from actors.supervision.messages import Rebuilt
from domain.failures import Failure
from domain.trading.portfolio import PortfolioState
from domain.types import DecisionId, Generation

PATH = ("PositionKeeper", "ExecutionSimulator", "Sizer", "DecisionWatcher")
"""The actors of the decision path, downstream first."""


FROZEN_AFTER = 3
"""So often a decision is quarantined while its order stays open; then the order is left alone."""


class Recovery:
    """The generations of the decision path.

    Args:
        addresses: the addresses of the actors of the path, by name.
        generation: the last one committed; the first recovery raises it.
        done: called when a generation takes decisions.

    Attributes:
        generation: the present one.
        draining: an ordered stop is under way; actors that are rebuilt now take no new decisions.
    """

    def __init__(self, addresses: Mapping[str, Address], generation: Generation, done: Callable[[], None]) -> None:
        self.generation = generation
        self.draining = False
        self._addresses = addresses
        self._done = done
        self._awaited: str | None = None
        self._poisoned: dict[DecisionId, Failure] = {}
        self._quarantines: Counter[DecisionId] = Counter()
        self._suspects: frozenset[DecisionId] = frozenset()
        self._portfolios: tuple[PortfolioState, ...] = ()

    def poison(self, decision_id: DecisionId, failure: Failure) -> None:
        """Let the next generation end a decision as an internal error."""
        self._poisoned[decision_id] = failure
        self._quarantines[decision_id] += 1

    def pause(self) -> None:
        """Stop the path until the next generation begins."""
        self._awaited = None
        for name in PATH:
            self._addresses[name].tell(Pause())

    def begin(self, suspects: frozenset[DecisionId]) -> None:
        """Begin the next generation."""
        self.generation = Generation(self.generation + 1)
        self._suspects = suspects
        self._portfolios = ()
        self.pause()
        self._rebuild("PositionKeeper")

    def rebuilt(self, message: Rebuilt) -> None:
        """Take the next step after an actor has reported that it is rebuilt."""
        if message.generation != self.generation or message.actor != self._awaited:
            return
        self._awaited = None
        if message.actor == "PositionKeeper":
            self._portfolios = message.portfolios
            self._rebuild("Sizer")
        elif message.actor == "Sizer":
            # Only now: at once it matches what was kept for open orders, and the Sizer must see each of these events.
            self._rebuild("ExecutionSimulator")
        elif message.actor == "ExecutionSimulator":
            self._rebuild("DecisionWatcher")
        else:
            logger.debug("generation {} takes decisions", self.generation)
            self._poisoned.clear()
            self._done()

    def _rebuild(self, name: str) -> None:
        self._awaited = name
        frozen = frozenset(id_ for id_, times in self._quarantines.items() if times >= FROZEN_AFTER)
        poisoned = dict(self._poisoned)
        rebuild = Rebuild(self.generation, self._portfolios, poisoned, self._suspects, self.draining, frozen)
        self._addresses[name].tell(rebuild)
