"""Messages to actors: what all of them have in common."""

from __future__ import annotations

from dataclasses import dataclass
from operator import attrgetter
from typing import ClassVar, Self, dataclass_transform

from domain.types import DecisionId, Generation


@dataclass_transform(frozen_default=True)
@dataclass(frozen=True)
class Message:
    """A message to an actor. Each class of messages is a frozen dataclass without saying so.

    Attributes:
        decision_id_path: attributes that lead to the id of the decision that a message of this class is about.
    """

    decision_id_path: ClassVar[str] = ""

    def __init_subclass__(cls) -> None:
        dataclass(frozen=True)(cls)

    @property
    def decisions(self) -> tuple[DecisionId, ...]:
        """The decisions that it is about; an actor that crashes on the message gives each of them a strike."""
        return (attrgetter(self.decision_id_path)(self),) if self.decision_id_path else ()

    def abandon(self, error: BaseException) -> None:
        """Raise ``error`` in the caller that waits for an answer, if there is one."""


class Control(Message):
    """A message that overtakes all others in the mailbox."""


class PathMessage(Message):
    """A message of the decision path; an actor of another generation drops it."""

    generation: Generation


class Latest(Message):
    """A message that is merged with the next of its kind while it waits in the mailbox."""

    def merged(self, newer: Self) -> Self:
        """Return one message in place of both."""
        return newer


class Redelivery(Message):
    """A message that was in hand at a crash of its actor; it is handled once more, alone."""

    message: Message

    def abandon(self, error: BaseException) -> None:
        """Raise ``error`` in the caller of the message, if there is one."""
        self.message.abandon(error)
