"""Queries that the running service answers: they read and change nothing."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any

from actors.introspection.inspection import Inspector, nearest
from actors.messages import Audit
from actors.runtime import tracing
from actors.system import TradingSystem
from console.service.explanation import explained
from console.service.requests import Arguments, Command, bounded_integer, optional_text, required_text
from domain.errors import DatabaseError, InvalidRequest, WriteRefused
from domain.types import OutcomeStatus
from persistence.queries.decision_chain import chain
from persistence.queries.evidence import evidence
from persistence.queries.open_orders import open_orders
from persistence.version import version

DEFAULT_ROWS, MAX_ROWS = 20, 1_000
MAX_TRACE_S = 600
MAX_TRACED_MESSAGES = 10_000
MAX_KEPT_MESSAGES = 5_000
AUDIT_TIMEOUT_S = 10.0
STUCK_AFTER_S = 1.0
"""Age of an actor's database call from which the database counts as unreachable."""


class ServiceQueries:
    """Commands that change nothing.

    Args:
        system: the running system.
        allow_repl: whether the service was started with ``--allow-repl``.
    """

    def __init__(self, system: TradingSystem, *, allow_repl: bool = False) -> None:
        self._system = system
        self._allow_repl = allow_repl
        self._inspector: Inspector = system.inspector
        self._traced: deque[tracing.TracedMessage] = deque(maxlen=MAX_KEPT_MESSAGES)
        self._begun = system.clock.now()

    @property
    def commands(self) -> dict[str, Command]:
        """Commands by the name that a request gives."""
        return {
            "hello": self._hello,
            "status": lambda _: self._system.status(),
            "ps": self._ps,
            "tree": self._tree,
            "state": self._state,
            "inbox": lambda args: self._inspector.inbox(required_text(args, "actor"), _limit(args)),
            "stack": lambda args: {"stack": self._inspector.stack(required_text(args, "actor"))},
            "trace": self._trace,
            "chain": self._chain,
            "explain": self._explain,
            "failures": lambda args: list(self._system.status().failures)[-_limit(args) :],
            "dead": self._dead,
            "quarantine": lambda args: self._system.ledger_reader.quarantine(_limit(args)),
            "positions": lambda args: self._system.positions(optional_text(args, "portfolio")),
            "orders": lambda args: self._system.ledger_reader.orders(optional_text(args, "portfolio"), _limit(args)),
            "open-orders": lambda args: open_orders(self._system.ledger_reader, optional_text(args, "portfolio")),
            "decisions": lambda args: self._system.ledger_reader.decisions(_limit(args)),
            "portfolio": lambda _: self._system.ledger_reader.portfolios(),
            "prices": self._prices,
            "lease": self._lease,
            "audit": self._audit,
        }

    def _hello(self, _: Arguments) -> dict[str, Any]:
        """Return facts about the process and the names that a console completes."""
        quotes = self._inspector.state("Sizer").get("quotes", {})
        decisions, portfolios = self._completions()
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

    def _completions(self) -> tuple[list[str], list[str]]:
        """Return ids of decisions and names of portfolios; none while the database is unreachable.

        The console must open without delay in that case, because people need it then.
        """
        waiting = [actor for actor in self._inspector.actors() if actor.state == "waiting"]
        if any(actor.waiting_since is not None or (actor.busy_for or 0.0) > STUCK_AFTER_S for actor in waiting):
            return [], []
        try:
            ledger_reader = self._system.ledger_reader
            return [str(row["id"]) for row in ledger_reader.decisions(50)], [
                row["portfolio"] for row in ledger_reader.portfolios()
            ]
        except DatabaseError:
            return [], []

    def _ps(self, _: Arguments) -> dict[str, Any]:
        return {"at": time.monotonic(), "actors": self._inspector.actors()}

    def _tree(self, _: Arguments) -> dict[str, Any]:
        return {"supervisor": self._inspector.state("Supervisor"), "actors": self._inspector.actors()}

    def _state(self, arguments: Arguments) -> Any:
        """Return an actor's state, or the part that ``path`` names: ``projections.default.cash``."""
        value: Any = self._inspector.state(required_text(arguments, "actor"))
        # Dots separate the parts of a path; a name such as a symbol may itself hold a dot.
        rest = str(arguments.get("path") or "")
        while rest:
            if not isinstance(value, Mapping):
                raise InvalidRequest(f"the path goes too far: {value} has no parts")
            names = {str(name): name for name in value}
            longest_match = max((n for n in names if rest == n or rest.startswith(f"{n}.")), key=len, default=None)
            name = longest_match or nearest(rest.partition(".")[0], names, "part")
            value = value[names[name]]
            rest = rest[len(name) + 1 :] if longest_match else rest.partition(".")[2]
        return value

    def _trace(self, arguments: Arguments) -> Iterator[Any]:
        of = str(arguments.get("of") or "")
        kinds = {kind for kind in of.split() if kind[:1].isupper() and kind not in self._inspector.names}
        tap = tracing.Tap(
            self._system.clock,
            actor=of if of in self._inspector.names else None,
            kind=next(iter(kinds), None),
            decision=of if of and of not in self._inspector.names and not kinds else None,
            max_messages=bounded_integer(arguments, "max", 100, MAX_TRACED_MESSAGES),
            max_per_second=bounded_integer(arguments, "rate", 100, 1_000),
        )
        end = time.monotonic() + bounded_integer(arguments, "seconds", 60, MAX_TRACE_S)
        tracing.open_tap(tap)
        try:
            while not tap.done and (left := end - time.monotonic()) > 0:
                passed = tap.next(min(left, 1.0))
                if passed is not None:
                    self._traced.append(passed)
                yield passed
        finally:
            tracing.close_tap(tap)

    def _chain(self, arguments: Arguments) -> dict[str, Any]:
        id_ = required_text(arguments, "id")
        try:
            events = chain(self._system.ledger_reader, id_)
        except WriteRefused:
            # An adopted table has ids of any type; the database says which texts cannot be an id.
            raise InvalidRequest(f"there is no decision {id_!r}, and it cannot be an id of this table") from None
        messages = [passed for passed in list(self._traced) if id_ in map(str, passed.decisions)]
        now = None
        if events["decision"]["processed_at"] is None and events["decision"]["status"] != OutcomeStatus.OPEN:
            now = _current_place(id_, self._inspector)
        return {**events, "messages": messages, "now": now}

    def _explain(self, arguments: Arguments) -> dict[str, Any]:
        rows = evidence(self._system.ledger_reader, required_text(arguments, "id"))
        place = None
        if rows["waiting"] is not None:
            place = _current_place(str(rows["decision"]["id"]), self._inspector)
        return explained(rows, place)

    def _dead(self, _: Arguments) -> dict[str, Any]:
        letters = self._system.dead_letters
        return {"count": letters.count, "last": list(letters.last)}

    def _prices(self, _: Arguments) -> dict[str, Any]:
        quotes = self._inspector.state("Sizer").get("quotes", {})
        return {"now": self._system.clock.now(), "source": self._inspector.state("PriceTracker"), "quotes": quotes}

    def _lease(self, _: Arguments) -> dict[str, Any]:
        return {**self._system.ledger_reader.served(), "connection_held": self._system.status().lease_held}

    def _audit(self, _: Arguments) -> dict[str, Any]:
        """Compare memory with the database, and the books with the fills."""
        differences: SimpleQueue[tuple[str, ...]] = SimpleQueue()
        self._system.tell("PositionKeeper", Audit(differences.put))
        memory: list[str] | None = None
        with suppress(Empty):  # the database is unreachable, or the PositionKeeper is busy
            memory = list(differences.get(timeout=AUDIT_TIMEOUT_S))
        ledger = [row["difference"] for row in self._system.ledger_reader.ledger_differences()]
        return {"memory": memory, "books": ledger, "sound": memory == [] and ledger == []}


def _limit(arguments: Arguments) -> int:
    return bounded_integer(arguments, "n", DEFAULT_ROWS, MAX_ROWS)


def _current_place(id_: str, inspector: Inspector) -> str:
    """Return where a decision without an outcome waits, as the end of a sentence."""
    sizer, watcher = inspector.state("Sizer"), inspector.state("DecisionWatcher")
    for symbol, ids in sizer.get("waiting_for_price", {}).items():
        if id_ in map(str, ids):
            return f"waits in the Sizer for a price of {symbol}"
    for name, projection in sizer.get("projections", {}).items():
        if id_ in map(str, projection["ready"]):
            return f"waits in the Sizer for its turn in portfolio {name}"
    if id_ in map(str, watcher.get("under_way", [])):
        return "is under way between DecisionWatcher and PositionKeeper"
    return "waits in the table for the DecisionWatcher"
