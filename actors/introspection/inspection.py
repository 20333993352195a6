"""Inspection and control of the actors from outside, for the debug console.

No method waits for an actor longer than `actors.introspection.status.DESCRIBE_TIMEOUT_S`. A change goes through the
Supervisor, or through the mailbox like any message.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from actors.introspection.status import ActorStatus, state_of, status_of
from actors.messages import AcceptPrice, Crash, Message, Subscribe, Tick, Wake
from actors.runtime.host import ActorHost
from actors.runtime.tracing import text_of
from actors.supervision.messages import Replace
from actors.wiring import Wiring
from domain.errors import InvalidRequest
from domain.types import Symbol
from domain.wording import did_you_mean

SENDABLE: Mapping[str, type[Message]] = {kind.__name__: kind for kind in (Wake, Tick, Subscribe)}
"""Messages that may be sent by hand: each has an actor check for work, and can do no harm."""


class Inspector:
    """Inspector of the actors of a running system.

    Args:
        wiring: the actors.
    """

    def __init__(self, wiring: Wiring) -> None:
        self._wiring = wiring

    @property
    def names(self) -> list[str]:
        """Names of the actors, in the order in which they start; the Supervisor is the last."""
        return list(self._wiring.hosts)

    def actors(self) -> list[ActorStatus]:
        """Return the status of each actor."""
        return [status_of(host) for host in self._wiring.hosts.values()]

    def state(self, actor: str) -> Mapping[str, Any]:
        """Return an actor's state in memory; if it does not answer in time, what it is busy with."""
        host = self._host(actor)
        state = state_of(host)
        return state if state is not None else {"busy": busy_with(host)}

    def inbox(self, actor: str, limit: int) -> dict[str, Any]:
        """Return the messages that wait in an actor's mailbox, oldest first, without taking them."""
        mailbox = self._host(actor).mailbox
        first = [{"message": type(message).__name__, "text": text_of(message)} for message in mailbox.peek(limit)]
        return {"waiting": len(mailbox), "most": mailbox.max_waiting, "suspended": mailbox.suspended, "first": first}

    def stack(self, actor: str) -> str:
        """Return the stack of an actor's thread."""
        return self._host(actor).stack

    def suspend(self, actor: str, *, suspended: bool) -> None:
        """Hold back the data of an actor, or release it; control is still served."""
        host = self._host(actor)
        if suspended and host.name == "Supervisor":
            raise InvalidRequest("the Supervisor cannot be suspended: crashed actors would not be restarted")
        host.mailbox.suspend(suspended=suspended)

    def accept_price(self, symbol: str) -> None:
        """Let the price of a symbol count that is held back because it looks like a split.

        Raises:
            InvalidRequest: no price of this symbol is held back.
        """
        held = self.state("PriceTracker").get("held_back", {})
        if not held:
            raise InvalidRequest("no price is held back")
        name = Symbol(nearest(symbol, held, "price held back of"))
        self._host("PriceTracker").address.tell(AcceptPrice(name))

    def crash(self, actor: str) -> None:
        """Have an actor crash at its next message."""
        self._host(actor).address.tell(Crash())

    def replace(self, actor: str) -> None:
        """Have the Supervisor abandon an actor's thread, whatever it does, and start a replacement."""
        host = self._host(actor)
        if host.name == "Supervisor":
            raise InvalidRequest("the Supervisor cannot be replaced: it replaces the others; restart the process")
        self._wiring.address("Supervisor").tell(Replace(host.name))

    def send(self, actor: str, kind: str, content: Mapping[str, Any]) -> None:
        """Send a message by hand.

        Raises:
            InvalidRequest: messages of this kind cannot be sent by hand, or the content does not fit.
        """
        host = self._host(actor)
        message_type = SENDABLE[nearest(kind, SENDABLE, "message that can be sent by hand")]
        try:
            message = message_type(**{name: Symbol(str(value)) for name, value in content.items()})
        except TypeError as error:
            raise InvalidRequest(f"cannot make a {kind} of that content: {error}") from None
        host.address.tell(message)

    def _host(self, actor: str) -> ActorHost:
        return self._wiring.hosts[nearest(actor, self._wiring.hosts, "actor")]


def nearest(name: str, candidates: Iterable[str], what: str) -> str:
    """Return the candidate that equals ``name`` in any case, or else the only one that begins with it.

    Args:
        name: name as a person typed it.
        candidates: names that exist.
        what: noun for the error's message.

    Raises:
        InvalidRequest: no candidate, or more than one, fits; the message names the nearest.
    """
    names: Sequence[str] = list(candidates)
    equal = [candidate for candidate in names if candidate.casefold() == name.casefold()]
    prefixed = [candidate for candidate in names if name and candidate.casefold().startswith(name.casefold())]
    matches = equal or prefixed
    if len(matches) == 1:
        return matches[0]
    hint = did_you_mean(name, names) or f"; there are {', '.join(names)}"
    raise InvalidRequest(f"there is no {what} {name[:50]!r}{hint}")


def busy_with(host: ActorHost) -> str:
    """Return what an actor is busy with: ``busy with Record for 3.2 s in persistence/stores/ledger.py:120``."""
    status = status_of(host)
    frames = [line.strip() for line in host.stack.splitlines() if line.startswith("  File")]
    where = f" in {frames[-1].removeprefix('File ')}" if frames else ""
    if status.doing is None:
        return f"it does not answer{where}"
    return f"busy with {status.doing} for {status.busy_for or 0:.1f} s{where}"
