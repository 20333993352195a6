"""Where messages are sent: an address outlives the actor's restarts, and never raises in a sender that is in office."""

from __future__ import annotations

import threading
from typing import Protocol

from actors.runtime.mailbox import Mailbox
from actors.runtime.pykka_adapter import Envelope
from domain import failpoints


class Sender(Protocol):
    """Whoever handles messages in the present thread.

    Attributes:
        abandoned: a successor does its work.
    """

    name: str
    abandoned: bool


class Abandoned(BaseException):
    """Ends what a thread is still doing that was given up: nobody hears it any more."""


class _Present(threading.local):
    sender: Sender | None = None


PRESENT = _Present()
"""Who handles messages in this thread."""


def require_current() -> None:
    """Go on only where whoever handles messages in this thread has no successor.

    Raises:
        Abandoned: he has.
    """
    sender = PRESENT.sender
    if sender is not None and sender.abandoned:
        raise Abandoned(sender.name)


class MailAddress:
    """Puts messages into a mailbox."""

    def __init__(self, mailbox: Mailbox) -> None:
        self._mailbox = mailbox

    def tell(self, message: object, /) -> None:
        """Put ``message`` into the mailbox; never raises, whatever the receiver's state.

        Raises:
            Abandoned: the sender itself was given up, and has a successor.
        """
        if failpoints.hook is not None:
            failpoints.reach("sends", type(message).__name__)
        require_current()
        self._mailbox.put(Envelope(message))
        if failpoints.hook is not None:
            failpoints.reach("sent", type(message).__name__)
