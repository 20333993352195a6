"""Tracing: taps that record messages as actors handle them. Without a tap, a message costs one test of an empty tuple.

A tap records a limited number of messages at a limited rate and then ends, so that tracing cannot load the system.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from queue import Empty, SimpleQueue
from typing import Any

from loguru import logger

from actors.messages import Message, Redelivery
from domain.types import Clock, DecisionId

MAX_TEXT_LENGTH = 500
"""Characters of a message's text."""


@dataclass(frozen=True, slots=True)
class TracedMessage:
    """A message that an actor has handled.

    Attributes:
        number: position among the messages of the tap; the rate limit leaves gaps.
        at: time at which it was handled.
        actor: name of the actor.
        message: kind of the message.
        decisions: ids of the decisions that it concerns.
        text: contents of the message.
        took: seconds in which its group was handled.
        group: number of messages that were handled together.
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
    """Recorder of messages, from `open_tap` on.

    Args:
        clock: the time.
        actor: records messages of this actor only; None: of all actors.
        kind: records messages of this type only; None: of all types.
        decision: records messages about this decision only, compared as text; None: about any.
        max_messages: number of messages after which the tap ends.
        max_per_second: number of messages that it records a second.
    """

    def __init__(
        self,
        clock: Clock,
        actor: str | None = None,
        kind: str | None = None,
        decision: str | None = None,
        max_messages: int = 1_000,
        max_per_second: int = 1_000,
    ) -> None:
        self._actor = actor
        self._kind = kind
        self._decision = decision
        self._left = max_messages
        self._max_per_second = max_per_second
        self._clock = clock
        self._second, self._in_second = 0, 0
        self._numbers = itertools.count(1)
        self._messages: SimpleQueue[TracedMessage] = SimpleQueue()

    def record(self, actor: str, group: Sequence[Message], took: float) -> None:
        """Record the messages of a group that match; called by actors' threads, never waits and never raises."""
        if self._left <= 0 or (self._actor is not None and actor != self._actor):
            return
        try:
            for handled in group:
                message = handled.message if isinstance(handled, Redelivery) else handled
                if self._matches(message):
                    self._record_message(actor, message, took, len(group))
        except Exception as error:  # noqa: BLE001 - an error of a tap must not be an actor's crash
            logger.opt(exception=error).warning("a trace has ended: it cannot record a message of {}", actor)
            self._left = 0

    def _record_message(self, actor: str, message: Message, took: float, group: int) -> None:
        number, kind = next(self._numbers), type(message).__name__
        if self._within_limits():
            self._left -= 1
            now, text = self._clock.now(), text_of(message)
            self._messages.put(TracedMessage(number, now, actor, kind, message.decisions, text, took, group))

    def next(self, timeout: float) -> TracedMessage | None:
        """Wait for the next message and return it; return None after ``timeout`` seconds."""
        try:
            return self._messages.get(timeout=timeout)
        except Empty:
            return None

    @property
    def done(self) -> bool:
        """Whether it records no more and all that it recorded was read."""
        return self._left <= 0 and self._messages.empty()

    def _matches(self, message: Message) -> bool:
        if self._kind is not None and type(message).__name__ != self._kind:
            return False
        return self._decision is None or self._decision in map(str, message.decisions)

    def _within_limits(self) -> bool:
        second = int(time.monotonic())
        if second != self._second:
            self._second, self._in_second = second, 0
        self._in_second += 1
        return self._left > 0 and self._in_second <= self._max_per_second


TAPS: tuple[Tap, ...] = ()
"""The open taps; replaced as one object, so that actors read it without a lock."""
_changing = threading.Lock()


def open_tap(tap: Tap) -> None:
    """Have ``tap`` record from now on."""
    global TAPS  # noqa: PLW0603 - actors and consoles share the taps of the process
    with _changing:
        TAPS = (*TAPS, tap)


def close_tap(tap: Tap) -> None:
    """Have ``tap`` record no more."""
    global TAPS  # noqa: PLW0603
    with _changing:
        TAPS = tuple(other for other in TAPS if other is not tap)


def text_of(message: Message) -> str:
    """Return the contents of a message as one line of at most `MAX_TEXT_LENGTH` characters."""
    values: dict[str, Any] = {}
    for field in fields(message):
        value = getattr(message, field.name)
        values[field.name] = f"({len(value)})" if isinstance(value, dict) and len(value) > 3 else value
    text = " ".join(f"{name}={value}" for name, value in values.items())
    return text if len(text) <= MAX_TEXT_LENGTH else f"{text[:MAX_TEXT_LENGTH]}…"
