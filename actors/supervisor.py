"""Supervisor: starts the children in order, and brings back what crashed.

Recovery is one protocol for every cause, the start included: raise the generation, then rebuild the decision path
downstream first. The Supervisor never waits for the database: it sends a word, and the next step follows on the answer.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from loguru import logger

from actors.cell import Behaviour
from actors.messages import (
    Begin,
    Control,
    Crashed,
    Drain,
    Drained,
    Failed,
    Message,
    Pause,
    RaiseGeneration,
    Rebuild,
    Rebuilt,
    Restart,
)
from actors.ports import Address
from domain.errors import PaperTradingError, RestartLimitReached
from domain.words import Clock, DecisionId, Generation

MOST_RESTARTS = 5
RESTART_WINDOW = timedelta(seconds=30)
START = "start"
PATH = ("PositionKeeper", "ExecutionSimulator", "Sizer", "DecisionWatcher")
"""The decision path, downstream first."""
DRAINED_LAST = frozenset({"DecisionWatcher", "Snapshotter"})


@dataclass(frozen=True, slots=True)
class Child:
    """An actor under supervision.

    Attributes:
        start: starts its cell and returns when its thread answers.
        address: outlives its restarts.
    """

    name: str
    start: Callable[[], None]
    address: Address


class Supervisor(Behaviour):
    """Watches over its children.

    Args:
        children: in the order in which they start.
        generation: the last one committed; the first rebuild raises it.
        ready: called once the path has begun its first generation.
        drained: called once an ordered stop has let everything through.
        give_up: called when the process cannot go on.
        clock: when crashes happen.
        most_restarts: more crashes than that within `RESTART_WINDOW` end the process.
    """

    def __init__(
        self,
        children: Mapping[str, Child],
        generation: Generation,
        *,
        ready: Callable[[], None],
        drained: Callable[[], None],
        give_up: Callable[[Exception], None],
        clock: Clock,
        most_restarts: int = MOST_RESTARTS,
    ) -> None:
        self._children = children
        self._generation = generation
        self._ready = ready
        self._drained = drained
        self._give_up = give_up
        self._clock = clock
        self._most_restarts = most_restarts
        self._crashes: deque[datetime] = deque()
        self._rebuilding: set[str] = set()
        self._missing: set[int] = set()
        self._poisoned: dict[DecisionId, str] = {}
        self._passed: set[str] = set()
        self._ended = False

    def control(self, message: Control) -> None:
        """Begin the ordered stop."""
        if isinstance(message, Drain):
            self._children["DecisionWatcher"].address.tell(message)

    def handle(self, message: Message) -> None:
        """Handle one message."""
        match message:
            case Begin():
                for child in self._children.values():
                    child.start()
                self._recover(START)
            case Crashed():
                self._crashed(message)
            case RaiseGeneration():
                self._raise_for(message)
            case Rebuilt():
                self._rebuilt(message)
            case Drained():
                self._passed.add(message.actor)
                if self._passed >= DRAINED_LAST:
                    self._drained()
            case Failed():
                self._end(message.error)

    def _crashed(self, message: Crashed) -> None:
        logger.opt(exception=message.error).error("{} crashed: {}", message.actor, message.error)
        now = self._clock.now()
        self._crashes.append(now)
        while self._crashes and self._crashes[0] <= now - RESTART_WINDOW:
            self._crashes.popleft()
        if len(self._crashes) > self._most_restarts:
            cause = f"{type(message.error).__name__}: {message.error}"
            self._end(
                RestartLimitReached(
                    f"gave up after {self._most_restarts} restarts within {RESTART_WINDOW.total_seconds():g} s; "
                    f"the last to crash was {message.actor} ({cause})"
                )
            )
        elif message.actor in PATH:
            self._recover(f"{message.actor} crashed")
        else:
            self._children[message.actor].address.tell(Restart())

    def _raise_for(self, message: RaiseGeneration) -> None:
        if message.generation != self._generation:
            return  # said in a generation that has ended already
        twice = self._missing & message.missing
        self._missing |= message.missing
        self._poisoned.update(dict.fromkeys(twice, "its row could not be ended, twice; see the log"))
        self._poisoned.update(message.poisoned)
        for id_ in {*twice, *message.poisoned}:
            logger.bind(decision=id_).error("decision {} is quarantined: {}", id_, self._poisoned[id_])
        self._recover(message.reason)

    def _recover(self, reason: str) -> None:
        if self._ended:
            return
        self._generation = Generation(self._generation + 1)
        logger.log("DEBUG" if reason == START else "WARNING", "generation {} begins: {}", self._generation, reason)
        for name in PATH:
            self._children[name].address.tell(Pause())
        self._rebuild("PositionKeeper")

    def _rebuild(self, *names: str, message: Rebuilt | None = None) -> None:
        self._rebuilding = set(names)
        portfolios = message.portfolios if message is not None else ()
        for name in names:
            self._children[name].address.tell(Rebuild(self._generation, portfolios, dict(self._poisoned)))

    def _rebuilt(self, message: Rebuilt) -> None:
        if message.generation != self._generation or message.actor not in self._rebuilding:
            return
        self._rebuilding.discard(message.actor)
        if message.actor == "PositionKeeper":
            self._rebuild("ExecutionSimulator", "Sizer", message=message)
        elif message.actor == "DecisionWatcher":
            logger.debug("generation {} takes decisions", self._generation)
            self._poisoned.clear()
            self._ready()
        elif not self._rebuilding:
            self._rebuild("DecisionWatcher")

    def _end(self, error: Exception) -> None:
        if not self._ended:
            self._ended = True
            self._give_up(error if isinstance(error, PaperTradingError) else RestartLimitReached(str(error)))
