"""What is said to the Supervisor, and by whom."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from actors.messages import Message
from domain.trading.portfolio import Portfolio
from domain.types import DecisionId, Generation


@dataclass(frozen=True, slots=True)
class Begin(Message):
    """Start the children."""


@dataclass(frozen=True, slots=True)
class Crashed(Message):
    """A cell to the Supervisor: the behaviour of this actor is gone.

    Attributes:
        message: kind of the message in hand, empty where it was none.
        about: the decisions that it was about.
        again: it had crashed on the same message before; the message is dropped.
    """

    actor: str
    error: BaseException
    message: str = ""
    about: frozenset[DecisionId] = frozenset()
    again: bool = False


@dataclass(frozen=True, slots=True)
class Recover(Message):
    """To itself, after a while: rebuild the decision path, or an actor off it.

    Attributes:
        actor: off the path; None is the path.
    """

    actor: str | None = None


@dataclass(frozen=True, slots=True)
class Disconnected(Message):
    """The database connections of an actor that hangs were ended, or could not be.

    Attributes:
        since: when the actor took the message in hand that it hangs on, by `time.monotonic`.
        ended: False where the database does not answer.
    """

    actor: str
    since: float
    ended: bool


@dataclass(frozen=True, slots=True)
class Replace(Message):
    """Somebody wants an actor's thread given up, whatever it does."""

    actor: str


@dataclass(frozen=True, slots=True)
class Rebuilt(Message):
    """An actor of the path has begun a generation."""

    actor: str
    generation: Generation
    portfolios: tuple[Portfolio, ...] = ()


@dataclass(frozen=True, slots=True)
class RaiseGeneration(Message):
    """An actor of the path cannot go on in ``generation``, and has not crashed.

    Attributes:
        missing: decisions that could not be ended; if it happens to one twice, it is quarantined.
        poisoned: decisions whose fill the database refuses, with the reason.
    """

    generation: Generation
    reason: str
    missing: frozenset[DecisionId] = frozenset()
    poisoned: Mapping[DecisionId, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Failed(Message):
    """The process cannot go on."""

    error: Exception


@dataclass(frozen=True, slots=True)
class Drained(Message):
    """An actor has passed the flush: nothing that it was given is left."""

    actor: str
