"""A mailbox with two lanes, which outlives the behaviour that reads it.

Control overtakes data. While the actor is being rebuilt, data waits and control goes on. Messages of kind `Latest`
coalesce with one of their kind that waits already, so prices and wake-ups never pile up.
"""

from __future__ import annotations

from collections import deque
from threading import Condition
from typing import Any

from pykka._envelope import Envelope

from actors.messages import Control, Latest, Message


class Mailbox:
    """What pykka asks of an inbox (``put``, ``get``, ``empty``), and more."""

    def __init__(self) -> None:
        self._changed = Condition()
        self._control: deque[Envelope[Any]] = deque()
        # Each entry is a list of one, so that a later message can take the place of one that waits.
        self._data: deque[list[Envelope[Any]]] = deque()
        self._waiting: dict[type[Latest], list[Envelope[Any]]] = {}
        self._held = False

    def put(self, envelope: Envelope[Any], /) -> None:
        """Add a message at the end of its lane."""
        message = envelope.message
        with self._changed:
            if isinstance(message, Control) or not isinstance(message, Message):
                self._control.append(envelope)
            elif isinstance(message, Latest) and type(message) in self._waiting:
                entry = self._waiting[type(message)]
                entry[0] = Envelope(entry[0].message.merged(message))
                return
            else:
                entry = [envelope]
                self._data.append(entry)
                if isinstance(message, Latest):
                    self._waiting[type(message)] = entry
            self._changed.notify()

    def get(self) -> Envelope[Any]:
        """Return the next message, control first; waits for one."""
        with self._changed:
            while not self.deliverable:
                self._changed.wait()
            return self._control.popleft() if self._control else self._pop()

    def empty(self) -> bool:
        """Say whether nothing waits in either lane."""
        return not self._control and not self._data

    @property
    def deliverable(self) -> bool:
        """Whether `get` would return at once."""
        return bool(self._control) or (bool(self._data) and not self._held)

    def take(self, limit: int, stop_at: type[Message] | None = None) -> list[Message]:
        """Take up to ``limit`` data messages that wait now, none from the first ``stop_at`` on; never waits."""
        taken: list[Message] = []
        with self._changed:
            while self._data and len(taken) < limit:
                if stop_at is not None and isinstance(self._data[0][0].message, stop_at):
                    break
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

    def __len__(self) -> int:
        return len(self._control) + len(self._data)

    def _pop(self) -> Envelope[Any]:
        entry = self._data.popleft()
        message = entry[0].message
        if isinstance(message, Latest) and self._waiting.get(type(message)) is entry:
            del self._waiting[type(message)]
        return entry[0]
