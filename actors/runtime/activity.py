"""What an actor is doing: written by its own thread, read by any other.

Each attribute is replaced as one object, so a reader needs no lock and never waits.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from domain.types import Instant


@dataclass(frozen=True, slots=True)
class MessageInHand:
    """The message that an actor is handling.

    Attributes:
        what: kind of the message.
        since: seconds of `time.monotonic` at which the actor took it.
    """

    what: str
    since: float


class Activity:
    """Activity of one actor.

    Attributes:
        doing: the message in hand; None while there is none.
        handled: number of messages handled to their end.
        failed: number of crashes and hangs.
        restarted_by_hand: number of restarts that a person asked for, which are no failures.
        waiting_since: moment since which the actor finds the database unavailable; None while it is available.
        waiting_reason: why, where the same error came again and again; None otherwise.
        in_call: whether the actor waits for an answer of the database.
        backing_off: True while the actor sleeps between two tries; False during a call, because a call may hang.
    """

    def __init__(self) -> None:
        self.doing: MessageInHand | None = None
        self.handled = 0
        self.failed = 0
        self.restarted_by_hand = 0
        self.waiting_since: Instant | None = None
        self.waiting_reason: str | None = None
        self.backing_off = False
        self.in_call = False
        self._call_ended_at = 0.0

    def begin(self, what: str) -> None:
        """Record that the actor takes a message of the kind ``what``."""
        self.doing = MessageInHand(what, time.monotonic())

    def end(self, handled: int) -> None:
        """Record that the actor has handled so many messages, and has none in hand."""
        self.doing = None
        self.handled += handled

    @contextmanager
    def call(self) -> Iterator[None]:
        """Mark a call to the database; its end is a sign of life."""
        self.in_call = True
        self.backing_off = False
        try:
            yield
        finally:
            self.in_call = False
            self._call_ended_at = time.monotonic()

    @property
    def busy_for(self) -> float:
        """Seconds since the last sign of life; 0 while no message is in hand, and while the actor backs off."""
        doing = self.doing
        if doing is None or self.backing_off:
            return 0.0
        return time.monotonic() - max(doing.since, self._call_ended_at)
