"""Control messages, which overtake all others, and the one that crashes an actor in a test."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field
from typing import Any

from actors.messages.base import Control, Message
from domain.failures import Failure
from domain.trading.portfolio import PortfolioState
from domain.types import DecisionId, Generation


class Pause(Control):
    """Stop handling messages of the present generation; a new one follows."""


class Rebuild(Control):
    """Begin ``generation`` with fresh state.

    Attributes:
        portfolios: the committed state, for the actors that build on it.
        poisoned: decisions to end as internal errors before any decision is sent again, with the failure of each.
        frozen: decisions whose open orders cannot even be ended: nothing is done about them in this process.
        suspects: decisions with a strike; messages about them are handled one by one.
        draining: an ordered stop is under way, as after `Drain`.
    """

    generation: Generation
    portfolios: tuple[PortfolioState, ...] = ()
    poisoned: Mapping[DecisionId, Failure] = field(default_factory=dict)
    suspects: frozenset[DecisionId] = frozenset()
    draining: bool = False
    frozen: frozenset[DecisionId] = frozenset()


class Restart(Control):
    """Build a new behaviour; for actors off the path."""


class Ping(Control):
    """Check that the actor's thread is running; the cell itself answers."""


class Drain(Control):
    """Take no more decisions, and send `Flush` down the path."""


class Describe(Control):
    """Describe the state in memory, for people."""

    reply_to: Callable[[Mapping[str, Any]], None]


class Crash(Message):
    """Crash the actor that receives it; for tests."""
