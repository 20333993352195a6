"""A message around a message that is handled a second time."""

from __future__ import annotations

from actors.messages import Message


class Redelivery(Message):
    """A message that was in hand at a crash of its actor; it is handled once more, alone."""

    message: Message

    def abandon(self, error: BaseException) -> None:
        """Raise ``error`` in the sender of the message, where it waits for an answer."""
        self.message.abandon(error)
