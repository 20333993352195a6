"""Dead letters: messages to an actor that has ended. Counted, the last ones kept, never raised in the sender."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from datetime import datetime

from loguru import logger

from domain.types import Clock

KEPT = 100


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that nobody will handle.

    Attributes:
        to: the actor that it was sent to.
        message: its kind.
    """

    at: datetime
    to: str
    message: str


class DeadLetters:
    """Takes them in, from any thread.

    Attributes:
        count: of all that came.
        last: the newest ones.
    """

    def __init__(self, clock: Clock) -> None:
        self.count = 0
        self.last: deque[DeadLetter] = deque(maxlen=KEPT)
        self._clock = clock

    def add(self, to: str, message: object) -> None:
        """Take note of a message."""
        self.count += 1
        self.last.append(DeadLetter(self._clock.now(), to, type(message).__name__))
        logger.debug("dead letter: {} to {}, which has ended", type(message).__name__, to)
