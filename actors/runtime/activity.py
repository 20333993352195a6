"""What an actor is doing: written by its own thread, read by any other.

Each attribute is replaced whole, so a reader needs no lock and never waits.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Doing:
    """A message in hand.

    Attributes:
        what: its kind.
        since: seconds of `time.monotonic` at which it was taken.
    """

    what: str
    since: float


class Activity:
    """What one actor does.

    Attributes:
        doing: the message in hand, None while there is none.
        handled: messages handled to their end.
        failed: crashes and hangs.
        waiting_since: since when the database is away, as far as it knows; None while it is there.
        patient: whether it is just waiting to ask the database again; a call is none, it may hang.
    """

    def __init__(self) -> None:
        self.doing: Doing | None = None
        self.handled = 0
        self.failed = 0
        self.waiting_since: datetime | None = None
        self.patient = False
        self._calling = False
        self._moved = 0.0

    def begin(self, what: str) -> None:
        """A message is taken in hand."""
        self.doing = Doing(what, time.monotonic())

    def end(self, handled: int) -> None:
        """So many messages are done."""
        self.doing = None
        self.handled += handled

    @contextmanager
    def call(self) -> Iterator[None]:
        """A call to the database; its end is a sign of life."""
        self._calling = True
        self.patient = False
        try:
            yield
        finally:
            self._calling = False
            self._moved = time.monotonic()

    @property
    def in_call(self) -> bool:
        """Whether it is the database that it hears nothing from."""
        return self._calling

    @property
    def busy_for(self) -> float:
        """Seconds since the last sign of life; 0 while nothing is in hand, or the database is waited for."""
        doing = self.doing
        if doing is None or self.patient:
            return 0.0
        return time.monotonic() - max(doing.since, self._moved)
