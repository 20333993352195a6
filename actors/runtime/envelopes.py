"""What mailbox and cell make of messages: one whose sender waits for the answer, one that is tried again."""

from __future__ import annotations

import queue
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from actors.messages import Message
from actors.runtime.pykka_adapter import Future


@dataclass(frozen=True, slots=True)
class AskEnvelope(Message):
    """A message whose sender waits for the answer: handled alone, and tried once."""

    message: Message
    reply: Future[Any]

    def answer(self, value: object) -> None:
        """Give the sender its answer, unless it has one."""
        with suppress(queue.Full):
            self.reply.set(value)

    def abandon(self, error: BaseException) -> None:
        """Raise ``error`` in the sender, unless it has its answer."""
        with suppress(queue.Full):
            self.reply.set_exception((type(error), error, error.__traceback__))


@dataclass(frozen=True, slots=True)
class Redelivery(Message):
    """A message that its actor crashed on, or in whose group: tried once more, alone."""

    message: Message

    def abandon(self, error: BaseException) -> None:
        """Tell whoever waits for an answer."""
        self.message.abandon(error)
