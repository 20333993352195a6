"""The messages to the Supervisor."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

from actors.messages import Message
from domain.trading.portfolio import PortfolioState
from domain.types import DecisionId, Generation


class Begin(Message):
    """Start the children."""


class Crashed(Message):
    """From a cell: the behaviour of this actor has crashed.

    Attributes:
        message: the class name of the message that it was handling; empty if there was none.
        about: the decisions that the message was about.
        again: it is the second crash on the same message; the message is dropped.
    """

    actor: str
    error: BaseException
    message: str = ""
    about: frozenset[DecisionId] = frozenset()
    again: bool = False


class Recover(Message):
    """From the Supervisor to itself, after a delay: rebuild the decision path, or an actor off the path.

    Attributes:
        actor: the actor off the path; None: the path.
    """

    actor: str | None = None


class Disconnected(Message):
    """The result of ending the database connections of an actor that hangs.

    Attributes:
        since: when the actor began the message on which it hangs, by `time.monotonic`.
        ended: False if the database does not answer.
    """

    actor: str
    since: float
    ended: bool


class Replace(Message):
    """From a person: replace the thread of this actor, whatever it is doing."""

    actor: str


class Rebuilt(Message):
    """From an actor of the path: it has begun this generation."""

    actor: str
    generation: Generation
    portfolios: tuple[PortfolioState, ...] = ()


class RaiseGeneration(Message):
    """From an actor of the path that has not crashed, but cannot go on in ``generation``.

    Attributes:
        missing: decisions that could not be ended; the second time, a decision is quarantined.
        poisoned: decisions whose fill the database refuses, with the error.
    """

    generation: Generation
    reason: str
    missing: frozenset[DecisionId] = frozenset()
    poisoned: Mapping[DecisionId, str] = field(default_factory=dict)


class Failed(Message):
    """The process cannot go on."""

    error: Exception


class Drained(Message):
    """From an actor at an ordered stop: it has passed the flush and has no messages left."""

    actor: str
