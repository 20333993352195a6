"""Messages around messages: one whose sender waits for the answer, and one that is handled a second time."""

from __future__ import annotations

import queue
from contextlib import suppress
from typing import Any

from actors.messages import Message
from actors.runtime.pykka_adapter import Future


class AskEnvelope(Message):
    """A message whose sender waits for the answer; it is handled alone, and only once."""

    message: Message
    reply: Future[Any]

    def answer(self, value: object) -> None:
        """Answer the sender, unless it has its answer."""
        with suppress(queue.Full):
            self.reply.set(value)

    def abandon(self, error: BaseException) -> None:
        """Raise ``error`` in the sender, unless it has its answer."""
        with suppress(queue.Full):
            self.reply.set_exception((type(error), error, error.__traceback__))


class Redelivery(Message):
    """A message that was in hand at a crash of its actor; it is handled once more, alone."""

    message: Message

    def abandon(self, error: BaseException) -> None:
        """Raise ``error`` in the sender of the message, where it waits for an answer."""
        self.message.abandon(error)
