"""What the running process answers to a console that looks in."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from queue import Empty, SimpleQueue
from typing import Any

from actors.introspection.inspection import Inspector, nearest
from actors.messages import Audit
from actors.runtime import tracing
from actors.settings import Settings
from actors.system import TradingSystem
from console.debug.server import Command
from domain.errors import DatabaseError, InvalidRequest, WriteRefused
from persistence.queries.decision_chain import chain
from persistence.version import version

Given = Mapping[str, Any]
LONGEST_TRACE = 600
"""Seconds."""
MOST_TRACED = 10_000
KEPT_MESSAGES = 5_000
AUDIT_WITHIN = 10.0
STUCK = 1.0
"""Seconds that a call to the database takes where it does not answer."""


class ServiceQueries:
    """Commands that change nothing.

    Args:
        system: that runs.
        settings: that it runs with.
        allow_repl: whether it was started so.
    """

    def __init__(self, system: TradingSystem, settings: Settings, *, allow_repl: bool = False) -> None:
        self._system = system
        self._settings = settings
        self._allow_repl = allow_repl
        self._inspector: Inspector = system.inspector
        self._traced: deque[tracing.TracedMessage] = deque(maxlen=KEPT_MESSAGES)
        self._begun = datetime.now(UTC)

    @property
    def commands(self) -> dict[str, Command]:
        """By the name that a request has."""
        return {
            "hello": self._hello,
            "status": lambda _: self._system.status(),
            "ps": self._ps,
            "tree": self._tree,
            "state": self._state,
            "inbox": lambda g: self._inspector.inbox(text(g, "actor"), whole(g, "n", 20, 1_000)),
            "stack": lambda g: {"stack": self._inspector.stack(text(g, "actor"))},
            "trace": self._trace,
            "chain": self._chain,
            "failures": lambda g: list(self._system.status().failures)[-whole(g, "n", 20, 1_000) :],
            "dead": self._dead,
            "quarantine": self._quarantine,
            "positions": lambda g: self._system.positions(given(g, "portfolio")),
            "orders": lambda g: self._system.ledger_reader.orders(given(g, "portfolio"), whole(g, "n", 20, 1_000)),
            "decisions": lambda g: self._system.ledger_reader.decisions(whole(g, "n", 20, 1_000)),
            "portfolio": lambda _: self._system.ledger_reader.portfolios(),
            "prices": self._prices,
            "lease": self._lease,
            "audit": self._audit,
        }

    def _hello(self, _: Given) -> dict[str, Any]:
        """What a console needs to know: who this is, and the names that it completes, as far as they are at hand."""
        quotes = self._inspector.state("Sizer").get("quotes", {})
        decisions, portfolios = self._known()
        return {
            "version": version(),
            "pid": os.getpid(),
            "begun": self._begun,
            "database": self._system.facts.database,
            "prices": self._system.facts.price_source,
            "real_prices": self._system.facts.real_prices,
            "actors": self._inspector.names,
            "symbols": sorted(quotes),
            "decisions": decisions,
            "portfolios": portfolios,
            "allow_repl": self._allow_repl,
        }

    def _known(self) -> tuple[list[str], list[str]]:
        """Ids and names to complete; none while the database is away, which is when people want to look in."""
        waiting = [actor for actor in self._inspector.actors() if actor.state == "waiting"]
        if any(actor.waiting_since is not None or (actor.busy_for or 0.0) > STUCK for actor in waiting):
            return [], []
        try:
            ledger_reader = self._system.ledger_reader
            return [str(row["id"]) for row in ledger_reader.decisions(50)], [
                row["portfolio"] for row in ledger_reader.portfolios()
            ]
        except DatabaseError:
            return [], []

    def _ps(self, _: Given) -> dict[str, Any]:
        return {"at": time.monotonic(), "actors": self._inspector.actors()}

    def _tree(self, _: Given) -> dict[str, Any]:
        return {"supervisor": self._inspector.state("Supervisor"), "actors": self._inspector.actors()}

    def _state(self, given: Given) -> Any:
        """An actor's memory, or the part of it that ``path`` names: ``projections.default.cash``."""
        found: Any = self._inspector.state(text(given, "actor"))
        # Dots divide, but for those in a name such as a symbol's.
        rest = str(given.get("path") or "")
        while rest:
            if not isinstance(found, Mapping):
                raise InvalidRequest(f"there is nothing below that; it is {found}")
            names = {str(name): name for name in found}
            whole_name = max((n for n in names if rest == n or rest.startswith(f"{n}.")), key=len, default=None)
            name = whole_name or nearest(rest.partition(".")[0], names, "part")
            found = found[names[name]]
            rest = rest[len(name) + 1 :] if whole_name else rest.partition(".")[2]
        return found

    def _trace(self, given: Given) -> Iterator[Any]:
        of = str(given.get("of") or "")
        kinds = {kind for kind in of.split() if kind[:1].isupper() and kind not in self._inspector.names}
        tap = tracing.Tap(
            actor=of if of in self._inspector.names else None,
            kind=next(iter(kinds), None),
            decision=of if of and of not in self._inspector.names and not kinds else None,
            max_messages=whole(given, "max", 100, MOST_TRACED),
            max_per_second=whole(given, "rate", 100, 1_000),
        )
        end = time.monotonic() + whole(given, "seconds", 60, LONGEST_TRACE)
        tracing.open_tap(tap)
        try:
            while not tap.done and (left := end - time.monotonic()) > 0:
                passed = tap.next(min(left, 1.0))
                if passed is not None:
                    self._traced.append(passed)
                yield passed
        finally:
            tracing.close_tap(tap)

    def _chain(self, given: Given) -> dict[str, Any]:
        id_ = text(given, "id")
        try:
            found = chain(self._system.ledger_reader, id_)
        except WriteRefused:
            # Ids are whatever the table that was adopted has: its own column knows what is none.
            raise InvalidRequest(f"there is no decision {id_!r}, and no id looks like that") from None
        messages = [passed for passed in list(self._traced) if id_ in map(str, passed.decisions)]
        now = None
        if found["decision"]["processed_at"] is None:
            now = _whereabouts(id_, self._inspector)
        return {**found, "messages": messages, "now": now}

    def _dead(self, _: Given) -> dict[str, Any]:
        letters = self._system.dead_letters
        return {"count": letters.count, "last": list(letters.last)}

    def _quarantine(self, given: Given) -> list[dict[str, Any]]:
        return self._system.ledger_reader.quarantine(whole(given, "n", 20, 1_000))

    def _prices(self, _: Given) -> dict[str, Any]:
        quotes = self._inspector.state("Sizer").get("quotes", {})
        return {"now": datetime.now(UTC), "source": self._inspector.state("PriceTracker"), "quotes": quotes}

    def _lease(self, _: Given) -> dict[str, Any]:
        return {**self._system.ledger_reader.served(), "connection_held": self._system.status().lease_held}

    def _audit(self, _: Given) -> dict[str, Any]:
        """Compare memory with the database, and the books with the fills."""
        told: SimpleQueue[tuple[str, ...]] = SimpleQueue()
        self._system.tell("PositionKeeper", Audit(told.put))
        memory: list[str] | None = None
        with suppress(Empty):  # the database is away, or the PositionKeeper is busy
            memory = list(told.get(timeout=AUDIT_WITHIN))
        ledger = [row["difference"] for row in self._system.ledger_reader.ledger_differences()]
        return {"memory": memory, "books": ledger, "sound": memory == [] and ledger == []}


def _whereabouts(id_: str, inspector: Inspector) -> str:
    sizer, watcher = inspector.state("Sizer"), inspector.state("DecisionWatcher")
    for symbol, ids in sizer.get("waiting_for_price", {}).items():
        if id_ in map(str, ids):
            return f"waits in the Sizer for a price of {symbol}"
    for name, projection in sizer.get("projections", {}).items():
        if id_ in map(str, projection["ready"]):
            return f"waits in the Sizer for its turn in portfolio {name}"
    if id_ in map(str, watcher.get("under_way", [])):
        return "is under way between DecisionWatcher and PositionKeeper"
    return "waits in the table to be taken in"


def text(given: Given, name: str) -> str:
    """Return what a request must have.

    Raises:
        InvalidRequest: it has not.
    """
    value = given.get(name)
    if not isinstance(value, str | int) or value == "":
        raise InvalidRequest(f"{name} is missing")
    return str(value)


def given(request: Given, name: str) -> str | None:
    """Return what a request may have."""
    value = request.get(name)
    return None if value is None else str(value)


def whole(request: Given, name: str, default: int, most: int) -> int:
    """Return a number of 1 to ``most``.

    Raises:
        InvalidRequest: it is none.
    """
    value = request.get(name)
    try:
        number = default if value is None else int(str(value))
    except ValueError:
        number = 0
    if not 1 <= number <= most:
        raise InvalidRequest(f"{name} must be a whole number from 1 to {most}")
    return number
