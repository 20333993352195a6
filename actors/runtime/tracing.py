"""Messages as they pass, for whoever looks in. While nobody does, a message costs one look at an empty tuple.

A tap takes a limited number at a limited rate, and then ends by itself: tracing cannot become the load that it shows.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from queue import Empty, SimpleQueue
from typing import Any

from loguru import logger

from actors.messages import Message
from actors.runtime.envelopes import AskEnvelope, Redelivery
from domain.types import DecisionId

LONGEST_TEXT = 500


@dataclass(frozen=True, slots=True)
class Passed:
    """A message that an actor has handled.

    Attributes:
        number: counts what the tap saw; a gap is what the rate cut.
        took: seconds, of the group that it was handled in.
        group: how many were handled together.
    """

    number: int
    at: datetime
    actor: str
    message: str
    decisions: tuple[DecisionId, ...]
    text: str
    took: float
    group: int


class Tap:
    """Collects messages from the moment it is opened.

    Args:
        actor: only of this one; None: of all.
        kind: only messages of this type; None: of all.
        decision: only messages about this decision, compared as text; None: about any.
        most: as many as it takes at all.
        a_second: as many as it takes a second.
    """

    def __init__(
        self,
        actor: str | None = None,
        kind: str | None = None,
        decision: str | None = None,
        most: int = 1_000,
        a_second: int = 1_000,
    ) -> None:
        self._actor = actor
        self._kind = kind
        self._decision = decision
        self._left = most
        self._a_second = a_second
        self._second, self._in_second = 0, 0
        self._numbers = itertools.count(1)
        self._seen: SimpleQueue[Passed] = SimpleQueue()

    def passed(self, actor: str, group: Sequence[Message], took: float) -> None:
        """Take what is wanted of it; called by actors' threads, never waits and never raises."""
        if self._left <= 0 or (self._actor is not None and actor != self._actor):
            return
        try:
            self._take(actor, group, took)
        except Exception as error:  # noqa: BLE001 - what cannot be shown must not be an actor's crash
            logger.opt(exception=error).warning("a trace has ended: a message of {} cannot be shown", actor)
            self._left = 0

    def _take(self, actor: str, group: Sequence[Message], took: float) -> None:
        for each in group:
            message = each.message if isinstance(each, Redelivery | AskEnvelope) else each
            if self._wants(message):
                number = next(self._numbers)
                if self._allowed():
                    self._left -= 1
                    self._seen.put(_passed(number, actor, message, took, len(group)))

    def next(self, timeout: float) -> Passed | None:
        """Return the next message; None where none comes within ``timeout`` seconds."""
        try:
            return self._seen.get(timeout=timeout)
        except Empty:
            return None

    @property
    def done(self) -> bool:
        """Whether it takes no more and all that it took was read."""
        return self._left <= 0 and self._seen.empty()

    def _wants(self, message: Message) -> bool:
        if self._kind is not None and type(message).__name__ != self._kind:
            return False
        return self._decision is None or self._decision in map(str, message.decisions)

    def _allowed(self) -> bool:
        second = int(time.monotonic())
        if second != self._second:
            self._second, self._in_second = second, 0
        self._in_second += 1
        return self._left > 0 and self._in_second <= self._a_second


TAPS: tuple[Tap, ...] = ()
"""Those that are open; replaced whole, so that actors read it without a lock."""
_changing = threading.Lock()


def open_tap(tap: Tap) -> None:
    """Let ``tap`` see what passes from now on."""
    global TAPS  # noqa: PLW0603 - the one place where who looks in and what passes meet
    with _changing:
        TAPS = (*TAPS, tap)


def close_tap(tap: Tap) -> None:
    """Let ``tap`` see nothing any more."""
    global TAPS  # noqa: PLW0603
    with _changing:
        TAPS = tuple(each for each in TAPS if each is not tap)


def _passed(number: int, actor: str, message: Message, took: float, group: int) -> Passed:
    return Passed(
        number, datetime.now(UTC), actor, type(message).__name__, message.decisions, text_of(message), took, group
    )


def text_of(message: Message) -> str:
    """Return what a message holds, for people, cut to a length that a line takes."""
    shown: dict[str, Any] = {}
    for each in fields(message):
        value = getattr(message, each.name)
        shown[each.name] = f"({len(value)})" if isinstance(value, dict) and len(value) > 3 else value
    text = " ".join(f"{name}={value}" for name, value in shown.items())
    return text if len(text) <= LONGEST_TEXT else f"{text[:LONGEST_TEXT]}…"
