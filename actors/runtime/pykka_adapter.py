"""The only importer of pykka: its public names that the program uses, and the private ones, under names of our own.

The runtime puts its own mailbox in the place of pykka's inbox, which pykka 4.5 allows through private names only.
`tests/unit/runtime/test_pykka_adapter.py` states how the program relies on each of them: a pykka that changes one fails
there first. Version 5 changes several, so pyproject.toml excludes it.
"""

from __future__ import annotations

import queue
from abc import abstractmethod
from contextlib import suppress
from typing import Any, Protocol

from pykka import ActorDeadError, ActorRef, ActorRegistry, Future, ThreadingActor, ThreadingFuture, Timeout

# What an inbox holds: a message and, for an `ask`, the future of its reply. Mailboxes create and take them themselves.
from pykka._envelope import Envelope

# The message that ends an actor's loop. A replaced thread must end without a message from its mailbox.
from pykka.messages import _ActorStop as StopMessage

__all__ = [
    "ActorDeadError",
    "ActorRef",
    "ActorRegistry",
    "Envelope",
    "Future",
    "Inbox",
    "InboxActor",
    "StopMessage",
    "ThreadingActor",
    "ThreadingFuture",
    "Timeout",
    "detach",
    "settle",
]


class Inbox(Protocol):
    """What an actor's loop calls on its inbox (pykka's private `ActorInbox`)."""

    def put(self, envelope: Envelope[Any], /) -> None:
        """Add an envelope; called by `ActorRef.tell`, `ask` and `stop`."""

    def get(self) -> Envelope[Any]:
        """Wait for the next envelope and return it; called by the loop."""

    def empty(self) -> bool:
        """Return whether nothing is left; after the end, the loop takes what is left and refuses it."""


class InboxActor(ThreadingActor):
    """A pykka actor on a daemon thread, with an inbox of its subclass's making."""

    use_daemon_thread = True

    @abstractmethod
    def create_inbox(self) -> Inbox:
        """Return the inbox; called once, by pykka's constructor."""

    # The hook through which pykka creates its queue. It is a static method there, but called on the instance.
    def _create_actor_inbox(self) -> Inbox:  # type: ignore[override]
        return self.create_inbox()


def settle(future: Future[Any], answer: object) -> None:
    """Answer a future, unless it has its answer; an exception is raised in the caller, without the traceback here."""
    with suppress(queue.Full):
        if isinstance(answer, BaseException):
            future.set_exception((type(answer), answer, None))
        else:
            future.set(answer)


def detach(ref: ActorRef[Any]) -> None:
    """Unregister a running actor and have its loop end after the message in hand.

    Pykka's `stop` cannot do this: it puts a message into the inbox, and a thread that hangs never takes it.
    """
    ref.actor_stopped.set()
    ActorRegistry.unregister(ref)
