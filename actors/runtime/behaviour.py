"""What an actor does: plain objects that know neither pykka nor threads."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from loguru import logger

from actors.messages import Control, Message, PathMessage, Pause, Rebuild
from domain.types import DecisionId, Generation


class Behaviour:
    """What an actor does. Plain object, no threads: each message is handled to its end before the next."""

    group_limit: ClassVar[int] = 1
    """How many waiting messages it takes at once."""
    about: DecisionId | None = None
    """The decision that it works on, where the message in hand is about another one, or about none."""

    def started(self) -> None:
        """Begin, before the first message; may raise, which counts as a crash."""

    def handle(self, message: Message) -> None:
        """Handle one message; those that handle groups need not."""
        logger.warning("{} does not handle {}", type(self).__name__, type(message).__name__)

    def handle_group(self, messages: list[Message]) -> None:
        """Handle what was waiting, in its order."""
        for message in messages:
            self.handle(message)

    def control(self, message: Control) -> None:
        """Handle what overtakes the rest."""

    def describe(self) -> Mapping[str, Any]:
        """Return what is in memory, for people: copies, never what goes on changing."""
        return {}


class PathBehaviour(Behaviour, ABC):
    """An actor on the way of a decision: belongs to one generation at a time, to none between two."""

    generation: Generation | None = None

    @abstractmethod
    def rebuild(self, word: Rebuild) -> None:
        """Begin the generation of ``word`` afresh."""

    def control(self, message: Control) -> None:
        """Begin a generation, or end one."""
        match message:
            case Rebuild():
                self.generation = None
                self.rebuild(message)
            case Pause():
                self.generation = None

    def handle_group(self, messages: list[Message]) -> None:
        """Drop what belongs to another generation, and handle the rest."""
        current = [m for m in messages if not isinstance(m, PathMessage) or m.generation == self.generation]
        if current:
            self.handle_current(current)

    def handle_current(self, messages: list[Message]) -> None:
        """Handle messages of this generation, in their order."""
        for message in messages:
            # One of them may have ended the generation.
            if not isinstance(message, PathMessage) or message.generation == self.generation:
                self.handle(message)
