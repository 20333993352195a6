"""What somebody outside may see of the actors, and do to them: behind the debug console.

Nothing here waits for an actor longer than `actors.introspection.status.DESCRIBED_WITHIN`; what changes something goes
through the Supervisor, or through the mailbox as any message does.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from actors.introspection.status import ActorStatus, described, status_of
from actors.messages import Crash, Message, Subscribe, Tick, Wake
from actors.runtime.host import ActorHost
from actors.runtime.tracing import text_of
from actors.supervision.messages import Replace
from actors.wiring import Wiring
from domain.errors import InvalidRequest
from domain.types import Symbol

SENDABLE: Mapping[str, type[Message]] = {kind.__name__: kind for kind in (Wake, Tick, Subscribe)}
"""What may be sent by hand: messages that ask for a look, which no actor can be hurt by."""


class Inspector:
    """Looks into the actors of a running system.

    Args:
        wiring: the actors.
    """

    def __init__(self, wiring: Wiring) -> None:
        self._wiring = wiring

    @property
    def names(self) -> list[str]:
        """The actors, in the order in which they start; the Supervisor is the last."""
        return list(self._wiring.posts)

    def actors(self) -> list[ActorStatus]:
        """Return what each actor does now."""
        return [status_of(post) for post in self._wiring.posts.values()]

    def state(self, actor: str) -> Mapping[str, Any]:
        """Return what an actor has in memory; what it is busy with, where it does not tell in time."""
        post = self._post(actor)
        told = described([post])[post.name]
        return told if told is not None else {"busy": busy_with(post)}

    def inbox(self, actor: str, limit: int) -> dict[str, Any]:
        """Return what waits in an actor's mailbox, the first first; it stays there."""
        mailbox = self._post(actor).mailbox
        first = [{"message": type(message).__name__, "text": text_of(message)} for message in mailbox.peek(limit)]
        return {"waiting": len(mailbox), "most": mailbox.most, "suspended": mailbox.suspended, "first": first}

    def stack(self, actor: str) -> str:
        """Return where an actor's thread is now."""
        return self._post(actor).stack

    def suspend(self, actor: str, *, suspended: bool) -> None:
        """Let an actor's data wait, or go on; control is still answered."""
        post = self._post(actor)
        if suspended and post.name == "Supervisor":
            raise InvalidRequest("the Supervisor cannot be suspended: nobody would bring back what crashes meanwhile")
        post.mailbox.suspend(suspended=suspended)

    def crash(self, actor: str) -> None:
        """Have an actor crash at its next message."""
        self._post(actor).address.tell(Crash())

    def replace(self, actor: str) -> None:
        """Have the Supervisor give up an actor's thread, whatever it does, and start a successor."""
        post = self._post(actor)
        if post.name == "Supervisor":
            raise InvalidRequest("the Supervisor cannot be replaced: it is who replaces; restart the process")
        self._wiring.address("Supervisor").tell(Replace(post.name))

    def send(self, actor: str, kind: str, given: Mapping[str, Any]) -> None:
        """Send a message by hand.

        Raises:
            InvalidRequest: it cannot be sent by hand, or lacks something.
        """
        post = self._post(actor)
        message = SENDABLE[nearest(kind, SENDABLE, "message that can be sent by hand")]
        try:
            built = message(**{name: Symbol(str(value)) for name, value in given.items()})
        except TypeError as error:
            raise InvalidRequest(f"{kind} cannot be made of that: {error}") from None
        post.address.tell(built)

    def _post(self, actor: str) -> ActorHost:
        return self._wiring.posts[nearest(actor, self._wiring.posts, "actor")]


def nearest(name: str, known: Iterable[str], what: str) -> str:
    """Return the known name that is meant, whatever its case, or a beginning that is one's alone.

    Raises:
        InvalidRequest: none is meant; the sentence has the nearest.
    """
    names: Sequence[str] = list(known)
    folded = [each for each in names if each.casefold() == name.casefold()]
    begun = [each for each in names if name and each.casefold().startswith(name.casefold())]
    meant = folded or begun
    if len(meant) == 1:
        return meant[0]
    near = difflib.get_close_matches(name.casefold(), [each.casefold() for each in names], n=1)
    hints = [each for each in names if each.casefold() in near] or names
    raise InvalidRequest(
        f"there is no {what} {name[:50]!r}; {'did you mean' if near else 'there are'} {', '.join(hints)}"
    )


def busy_with(post: ActorHost) -> str:
    """Return what an actor is busy with: ``busy with Filled for 3.2 s in persistence/stores/ledger.py:120``."""
    status = status_of(post)
    frames = [line.strip() for line in post.stack.splitlines() if line.startswith("  File")]
    where = f" in {frames[-1].removeprefix('File ')}" if frames else ""
    if status.doing is None:
        return f"it does not answer{where}"
    return f"busy with {status.doing} for {status.busy_for or 0:.1f} s{where}"
