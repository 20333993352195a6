"""A mailbox with two lanes, which outlives the behaviour and the thread that read it.

Control overtakes data. While the actor is being rebuilt, data waits and control is served.

Why it stays small, by kind of message:

========================  ============================================================================================
prices, wake-ups, states  `Latest`: one that waits is replaced by the next of its kind, so at most one of a kind waits
decisions                 at most 400 are in progress at a time, so each step sends at most as many messages
submitted decisions       a caller's thread waits for the answer to each
results                   never dropped, never more than there are decisions in progress
========================  ============================================================================================
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable
from threading import Condition, RLock
from typing import Any

from actors.messages import Control, Latest, Message
from actors.runtime.pykka_adapter import Envelope

Undeliverable = Callable[[object], None]
"""Receives each message to a closed mailbox."""


class Mailbox:
    """Two lanes of messages: control and data.

    Attributes:
        max_waiting: largest number of data messages that ever waited at once.
        suspended: whether data waits because a person said so.
    """

    def __init__(self) -> None:
        self.max_waiting = 0
        self.suspended = False
        # `with` takes the lock itself: that of the Condition goes through two functions of Python, for each message.
        self._lock = RLock()
        self._changed = Condition(self._lock)
        self._control: deque[Envelope[Any]] = deque()
        # Each entry is a list of one, so that a later message can replace one that waits.
        self._data: deque[list[Message]] = deque()
        self._waiting: dict[type[Latest], list[Any]] = {}
        self._held = False
        self._undeliverable: Undeliverable | None = None

    def put(self, envelope: Envelope[Any], /) -> None:
        """Add a message at the end of its lane; after `close` it is undeliverable."""
        message = envelope.message
        with self._lock:
            if self._undeliverable is None or not isinstance(message, Message):
                self._add(message, envelope)
                return
            undeliverable = self._undeliverable
        undeliverable(message)

    def _add(self, message: object, envelope: Envelope[Any]) -> None:
        if isinstance(message, Control) or not isinstance(message, Message):
            self._control.append(envelope)
            self._changed.notify()
            return
        entry: list[Any] = [message]
        if isinstance(message, Latest):
            present = self._waiting.setdefault(type(message), entry)
            if present is not entry:
                present[0] = present[0].merged(message)
                return
        self._data.append(entry)
        self.max_waiting = max(self.max_waiting, len(self._data))
        self._changed.notify()

    def get(self, ended: Callable[[], bool] = lambda: False) -> Envelope[Any] | None:
        """Wait for the next message and return it, control first; return None once ``ended`` returns True."""
        with self._lock:
            while not ended():
                if self.deliverable:
                    return self._control.popleft() if self._control else Envelope(self._pop())
                self._changed.wait()
        return None

    @property
    def closed(self) -> bool:
        """Whether it accepts no more messages."""
        return self._undeliverable is not None

    @property
    def deliverable(self) -> bool:
        """Whether `get` would return at once."""
        return bool(self._control) or (bool(self._data) and not self._held and not self.suspended)

    def take(self, limit: int, alone: Callable[[Message], bool] = lambda _: False) -> list[Message]:
        """Take up to ``limit`` data messages that wait now, and stop before the first that is handled ``alone``."""
        taken: list[Message] = []
        with self._lock:
            while self._data and len(taken) < limit and not alone(self._data[0][0]):
                taken.append(self._pop())
        return taken

    def give_back(self, messages: list[Message]) -> None:
        """Put messages back at the front of the data lane, in their order."""
        with self._lock:
            self._data.extendleft([message] for message in reversed(messages))
            self._changed.notify()

    def hold(self) -> None:
        """Hold data back until `release`."""
        with self._lock:
            self._held = True

    def release(self) -> None:
        """End a `hold`."""
        with self._lock:
            self._held = False
            self._changed.notify()

    def suspend(self, *, suspended: bool) -> None:
        """Hold data back, or release it, by hand; control is still served."""
        with self._lock:
            self.suspended = suspended
            self._changed.notify()

    def peek(self, limit: int) -> list[Message]:
        """Return the first waiting messages, control first, without taking them."""
        with self._lock:
            first = itertools.islice((entry[0] for entry in self._data), limit)
            waiting = [*(envelope.message for envelope in self._control), *first]
        return [message for message in waiting if isinstance(message, Message)][:limit]

    def wake(self) -> None:
        """Have each thread that waits in `get` check whether it has ended."""
        with self._lock:
            self._changed.notify_all()

    def close(self, undeliverable: Undeliverable) -> list[Message]:
        """Accept no more messages and return those that waited; each later one goes to ``undeliverable``."""
        with self._lock:
            self._undeliverable = undeliverable
            self._held = self.suspended = False
            return [self._pop() for _ in range(len(self._data))]

    def __len__(self) -> int:
        return len(self._control) + len(self._data)

    def _pop(self) -> Message:
        entry = self._data.popleft()
        message = entry[0]
        if isinstance(message, Latest) and self._waiting.get(type(message)) is entry:
            del self._waiting[type(message)]
        return message
