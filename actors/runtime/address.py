"""Stable addresses: an address outlives the actor's restarts, and sending to it does not fail.

The one exception is a sender that was replaced: its sending raises `Abandoned`, which ends its thread's work.
"""

from __future__ import annotations

import threading
from typing import Protocol

from actors.runtime.mailbox import Mailbox
from actors.runtime.pykka_adapter import Envelope
from domain import failpoints


class Sender(Protocol):
    """The cell that handles messages in the present thread.

    Attributes:
        abandoned: whether a replacement does its work.
    """

    name: str
    abandoned: bool


class Abandoned(BaseException):
    """Ends the work of a thread that was replaced; nothing that it sends is delivered."""


class _CurrentThread(threading.local):
    sender: Sender | None = None


CURRENT = _CurrentThread()
"""The sender of the present thread."""


def require_current() -> None:
    """Check that the sender of this thread was not replaced.

    Raises:
        Abandoned: it was.
    """
    sender = CURRENT.sender
    if sender is not None and sender.abandoned:
        raise Abandoned(sender.name)


class MailAddress:
    """Address of a mailbox."""

    def __init__(self, mailbox: Mailbox) -> None:
        self._mailbox = mailbox

    def tell(self, message: object, /) -> None:
        """Put ``message`` into the mailbox, whatever the state of the receiver.

        Raises:
            Abandoned: the sender was replaced.
        """
        if failpoints.hook is not None:  # asked here, because a call for each message shows in the rate
            failpoints.reach("sends", type(message).__name__)
        require_current()
        self._mailbox.put(Envelope(message))
        if failpoints.hook is not None:
            failpoints.reach("sent", type(message).__name__)
