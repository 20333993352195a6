"""Behaviours: what actors do with messages, as plain objects that know neither pykka nor threads."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from loguru import logger

from actors.messages import Control, Message, PathMessage, Pause, Rebuild
from domain.types import DecisionId, Generation


class Behaviour:
    """What an actor does with messages. It has no thread: each message is handled to its end before the next."""

    group_limit: ClassVar[int] = 1
    """Number of waiting messages that it takes at once."""
    about: DecisionId | None = None
    """The decision that it works on, where that is not the decision of the message in hand."""

    def started(self) -> None:
        """Begin, before the first message; an exception counts as a crash."""

    def handle(self, message: Message) -> None:
        """Handle one message; a behaviour that overrides `handle_group` need not define it."""
        logger.warning("{} does not handle {}", type(self).__name__, type(message).__name__)

    def handle_group(self, messages: list[Message]) -> None:
        """Handle the messages that were waiting, in their order."""
        for message in messages:
            self.handle(message)

    def control(self, message: Control) -> None:
        """Handle a control message; these overtake all others."""

    def describe(self) -> Mapping[str, Any]:
        """Return the state in memory, for people: copies, never an object that changes later."""
        return {}


class PathBehaviour(Behaviour, ABC):
    """An actor of the decision path. It belongs to one generation at a time, and to none between two.

    Attributes:
        suspects: the decisions with a strike when the generation began.
    """

    generation: Generation | None = None
    suspects: frozenset[DecisionId] = frozenset()

    @abstractmethod
    def rebuild(self, message: Rebuild) -> None:
        """Begin the generation of ``message`` afresh."""

    def control(self, message: Control) -> None:
        """Begin a generation, or end one."""
        match message:
            case Rebuild():
                self.generation, self.suspects = None, message.suspects
                self.rebuild(message)
            case Pause():
                self.generation = None

    def handle_group(self, messages: list[Message]) -> None:
        """Drop messages of another generation, and handle the rest."""
        if current := self.of_this_generation(messages):
            self.handle_current(current)

    def of_this_generation(self, messages: list[Message]) -> list[Message]:
        """Return the messages without those of another generation."""
        return [m for m in messages if not isinstance(m, PathMessage) or m.generation == self.generation]

    def handle_current(self, messages: list[Message]) -> None:
        """Handle messages of this generation, in their order."""
        for message in messages:
            # An earlier message of the group may have ended the generation.
            if not isinstance(message, PathMessage) or message.generation == self.generation:
                self.handle(message)
