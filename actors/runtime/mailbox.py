"""A mailbox with two lanes, which outlives the behaviour and the thread that read it.

Control overtakes data. While the actor is being rebuilt, data waits and control goes on.

What keeps it small, by kind of message:

========================  ============================================================================================
prices, wake-ups, states  `Latest`: one that waits is replaced by the next of its kind, so they never pile up
decisions                 taken in at most 1 000 at a time, so at most that many messages are on their way for each step
submitted decisions       each has a caller's thread that waits for its answer
results                   never dropped, never more than there are decisions under way
========================  ============================================================================================
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable
from threading import Condition
from typing import Any

from actors.messages import Control, Latest, Message
from actors.runtime.envelopes import AskEnvelope
from actors.runtime.pykka_adapter import Envelope

Undeliverable = Callable[[object], None]


class Mailbox:
    """Two lanes of messages.

    Attributes:
        most: as many as ever waited at once.
        suspended: somebody has data wait until he lets it through again.
    """

    def __init__(self) -> None:
        self.most = 0
        self.suspended = False
        self._changed = Condition()
        self._control: deque[Envelope[Any]] = deque()
        # Each entry is a list of one, so that a later message can take the place of one that waits.
        self._data: deque[list[Envelope[Any]]] = deque()
        self._waiting: dict[type[Latest], list[Envelope[Any]]] = {}
        self._held = False
        self._undeliverable: Undeliverable | None = None

    def put(self, envelope: Envelope[Any], /) -> None:
        """Add a message at the end of its lane; one to an actor that has ended is a dead letter."""
        message = envelope.message
        with self._changed:
            if self._undeliverable is None or not isinstance(message, Message):
                self._add(message, envelope)
                return
            undeliverable = self._undeliverable
        undeliverable(message)

    def _add(self, message: object, envelope: Envelope[Any]) -> None:
        if isinstance(message, Control) or not isinstance(message, Message):
            self._control.append(envelope)
        elif isinstance(message, Latest) and type(message) in self._waiting:
            entry = self._waiting[type(message)]
            entry[0] = Envelope(entry[0].message.merged(message))
            return
        else:
            # The cell answers what was asked, also when it is handled in a group, or after a rebuild.
            reply = envelope.reply_to
            entry = [envelope if reply is None else Envelope(AskEnvelope(message, reply))]
            self._data.append(entry)
            if isinstance(message, Latest) and reply is None:
                self._waiting[type(message)] = entry
            self.most = max(self.most, len(self._data))
        self._changed.notify()

    def get(self, ended: Callable[[], bool] = lambda: False) -> Envelope[Any] | None:
        """Return the next message, control first; waits for one. None once ``ended`` says so."""
        with self._changed:
            while not ended():
                if self.deliverable:
                    return self._control.popleft() if self._control else self._pop()
                self._changed.wait()
        return None

    @property
    def closed(self) -> bool:
        """Whether it takes nothing in any more."""
        return self._undeliverable is not None

    @property
    def deliverable(self) -> bool:
        """Whether `get` would return at once."""
        return bool(self._control) or (bool(self._data) and not self._held and not self.suspended)

    def take(self, limit: int, alone: Callable[[Message], bool] = lambda _: False) -> list[Message]:
        """Take up to ``limit`` data messages that wait now, none from the first on that is to be handled alone."""
        taken: list[Message] = []
        with self._changed:
            while self._data and len(taken) < limit and not alone(self._data[0][0].message):
                taken.append(self._pop().message)
        return taken

    def give_back(self, messages: list[Message]) -> None:
        """Put messages back to the front of the data lane, in their order."""
        with self._changed:
            self._data.extendleft([Envelope(message)] for message in reversed(messages))
            self._changed.notify()

    def hold(self) -> None:
        """Let data wait until `release`."""
        with self._changed:
            self._held = True

    def release(self) -> None:
        """Let data through again."""
        with self._changed:
            self._held = False
            self._changed.notify()

    def suspend(self, *, suspended: bool) -> None:
        """Let data wait, or let it through again; control goes on."""
        with self._changed:
            self.suspended = suspended
            self._changed.notify()

    def peek(self, limit: int) -> list[Message]:
        """Return the first messages that wait, control first; they stay where they are."""
        with self._changed:
            first = itertools.islice((entry[0] for entry in self._data), limit)
            waiting = [envelope.message for envelope in (*self._control, *first)]
        return [message for message in waiting if isinstance(message, Message)][:limit]

    def wake(self) -> None:
        """Have everybody who waits in `get` look whether it has ended."""
        with self._changed:
            self._changed.notify_all()

    def close(self, undeliverable: Undeliverable) -> list[Message]:
        """Take nothing more in: from now on each message is told to ``undeliverable``; return what still waited."""
        with self._changed:
            self._undeliverable = undeliverable
            self._held = self.suspended = False
            return [self._pop().message for _ in range(len(self._data))]

    def __len__(self) -> int:
        return len(self._control) + len(self._data)

    def _pop(self) -> Envelope[Any]:
        entry = self._data.popleft()
        message = entry[0].message
        if isinstance(message, Latest) and self._waiting.get(type(message)) is entry:
            del self._waiting[type(message)]
        return entry[0]
