"""Dead letters: messages to an actor that has ended. They are counted, and the last ones kept."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from datetime import datetime

from loguru import logger

from domain.types import Clock

MAX_KEPT = 100
"""Number of dead letters that are kept."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that no actor will handle.

    Attributes:
        at: time at which it was sent.
        receiver: name of the actor that it was sent to.
        message: kind of the message.
    """

    at: datetime
    receiver: str
    message: str


class DeadLetters:
    """Collection of the dead letters of a process; may be used from any thread.

    Attributes:
        count: number of all dead letters.
        last: the newest ones.
    """

    def __init__(self, clock: Clock) -> None:
        self.count = 0
        self.last: deque[DeadLetter] = deque(maxlen=MAX_KEPT)
        self._clock = clock

    def add(self, receiver: str, message: object) -> None:
        """Record a message to an actor that has ended."""
        self.count += 1
        self.last.append(DeadLetter(self._clock.now(), receiver, type(message).__name__))
        logger.debug("dead letter: {} to {}, which has ended", type(message).__name__, receiver)
