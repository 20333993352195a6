"""Actions of the running service: commands that change something; an audit log records each with user and time."""

from __future__ import annotations

import code
import io
import json
import os
import threading
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

from loguru import logger

from actors import Decision
from actors.runtime.pykka_adapter import Timeout
from actors.settings import Settings
from actors.system import TradingSystem
from console import logs
from console.service.queries import ServiceQueries
from console.service.requests import Arguments, Command, optional_text, required_text
from domain.errors import DatabaseError, DecisionGone, InvalidRequest
from domain.files.private_files import make_private_folder, open_own_file
from domain.redaction.mask import mask
from domain.trading.open_orders.terms import AMENDABLE, ANY_SYMBOL, EXIT_FIELDS
from domain.types import DEFAULT_PORTFOLIO, Clock
from persistence.queries.references import portfolio_of_target
from persistence.stores import halts, retries

AUDIT_LOG = "console.jsonl"
DECISION_TIMEOUT_S = 30.0
"""Longest wait for the outcome of a committed decision."""


def service_commands(system: TradingSystem, settings: Settings, *, allow_repl: bool = False) -> dict[str, Command]:
    """Return every query and action of a running service, by the name that a request gives."""
    queries = ServiceQueries(system, allow_repl=allow_repl)
    return {**queries.commands, **ServiceActions(system, settings.home, allow_repl=allow_repl).commands}


class ServiceActions:
    """Commands that change something.

    Args:
        system: the running system.
        home: its folder of logs.
        allow_repl: whether the service was started with ``--allow-repl``.
    """

    def __init__(self, system: TradingSystem, home: Path, *, allow_repl: bool) -> None:
        self._system = system
        self._home = home
        self._inspector = system.inspector
        self._log = AuditLog(home / "logs" / AUDIT_LOG, system.clock)
        self._repl = Repl({"system": system, "inspector": self._inspector}) if allow_repl else None

    @property
    def commands(self) -> dict[str, Command]:
        """Commands by the name that a request gives."""
        actions: dict[str, Command] = {
            "suspend": lambda args: self._inspector.suspend(required_text(args, "actor"), suspended=True),
            "resume-actor": lambda args: self._inspector.suspend(required_text(args, "actor"), suspended=False),
            "crash": lambda args: self._inspector.crash(required_text(args, "actor")),
            "restart": lambda args: self._inspector.replace(required_text(args, "actor")),
            "send": self._send,
            "accept-price": lambda args: self._inspector.accept_price(required_text(args, "symbol")),
            "retry": lambda args: {"decision_id": retries.retry(self._system.database_url, required_text(args, "id"))},
            "decide": self._decide,
            "cancel": self._cancel,
            "amend": self._amend,
            "protect": self._protect,
            "halt": lambda args: self._halt(args, halted=True),
            "resume": lambda args: self._halt(args, halted=False),
            "loglevel": self._loglevel,
            "repl": self._python,
        }
        return {name: self._log.recorded(name, command) for name, command in actions.items()}

    def _send(self, arguments: Arguments) -> None:
        try:
            content = json.loads(str(arguments.get("json") or "{}"))
        except ValueError:
            content = None
        if not isinstance(content, dict):
            raise InvalidRequest('the message must be a JSON object, such as {"symbol": "BTC/USDT"}')
        self._inspector.send(required_text(arguments, "actor"), required_text(arguments, "type"), content)

    def _decide(self, arguments: Arguments) -> dict[str, Any]:
        names = [name for name in Decision.model_fields if arguments.get(name) is not None]
        return self._submit(Decision(**{name: arguments[name] for name in names}))

    def _cancel(self, arguments: Arguments) -> dict[str, Any]:
        """Cancel what ``target`` names, or all orders of ``symbol``."""
        target, symbol = optional_text(arguments, "target"), optional_text(arguments, "symbol")
        if (target is None) is (symbol is None):
            raise InvalidRequest("cancel needs a target or --symbol, and not both")
        reader = self._system.ledger_reader
        owner = portfolio_of_target(reader, target) if target is not None else None
        return self._submit(
            Decision(
                decision="CANCEL",
                symbol=symbol or ANY_SYMBOL,
                confidence=1,
                target=target or "symbol",
                portfolio=optional_text(arguments, "portfolio") or owner or DEFAULT_PORTFOLIO,
                strategy="manual",
            )
        )

    def _amend(self, arguments: Arguments) -> dict[str, Any]:
        """Give the order that ``target`` names new values."""
        target = required_text(arguments, "target")
        owner = portfolio_of_target(self._system.ledger_reader, target)
        values = {name: arguments[name] for name in AMENDABLE if arguments.get(name) is not None}
        portfolio = optional_text(arguments, "portfolio") or owner or DEFAULT_PORTFOLIO
        return self._submit(Decision(decision="AMEND", target=target, portfolio=portfolio, strategy="manual", **values))

    def _protect(self, arguments: Arguments) -> dict[str, Any]:
        """Give the position in ``symbol`` exits."""
        portfolio = optional_text(arguments, "portfolio") or DEFAULT_PORTFOLIO
        exits = {name: arguments[name] for name in EXIT_FIELDS if arguments.get(name) is not None}
        symbol = required_text(arguments, "symbol")
        return self._submit(
            Decision(decision="PROTECT", symbol=symbol, portfolio=portfolio, strategy="manual", **exits)
        )

    def _submit(self, decision: Decision) -> dict[str, Any]:
        """Submit a decision; return its outcome, or that its order rests."""
        future = self._system.submit(decision)
        try:
            outcome = future.get(timeout=DECISION_TIMEOUT_S)
        except Timeout:
            return self._pending(decision)
        return {"decision_id": outcome.decision_id, "outcome": outcome.status, "reason": outcome.reason}

    def _pending(self, decision: Decision) -> dict[str, Any]:
        """Return the answer for a committed decision without an outcome.

        If its row cannot be read, the answer has the uid in place of the id: the decision itself has not failed.
        """
        reason = f"committed, without an outcome after {DECISION_TIMEOUT_S:g} s"
        try:
            id_ = self._system.ledger_reader.decision_id(decision.uid)
        except (DatabaseError, DecisionGone):
            return {"decision_id": None, "outcome": "pending", "reason": f"{reason}; its uid is {decision.uid}"}
        return {"decision_id": id_, "outcome": "pending", "reason": f"{reason}; chain {id_} shows where it waits"}

    def _halt(self, arguments: Arguments, *, halted: bool) -> dict[str, Any]:
        portfolio, reason = optional_text(arguments, "portfolio"), required_text(arguments, "reason")
        halts.insert(self._system.database_url, portfolio, reason, required_text(arguments, "who"), halted=halted)
        return {"portfolio": portfolio, "halted": halted, "reason": reason}

    def _loglevel(self, arguments: Arguments) -> dict[str, Any]:
        level = required_text(arguments, "level").upper()
        if level not in {"TRACE", "DEBUG", "INFO", "WARNING", "ERROR"}:
            raise InvalidRequest("level must be TRACE, DEBUG, INFO, WARNING or ERROR")
        logs.set_level(self._home, level)
        return {"level": level}

    def _python(self, arguments: Arguments) -> dict[str, Any]:
        if self._repl is None:
            raise InvalidRequest(
                "the service was started without --allow-repl; a Python prompt could change everything in it, "
                "its database and its books included"
            )
        return self._repl.run(str(arguments.get("source") or ""))


class AuditLog:
    """Record of actions: a JSON line each, with user and time, in a file that only its owner may read."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path = path
        self._clock = clock
        self._lock = threading.Lock()

    def recorded(self, name: str, command: Command) -> Command:
        """Return ``command`` wrapped so that each call is recorded, also a failed one."""

        def run(request: Arguments) -> Any:
            arguments = {key: value for key, value in request.items() if key != "who"}
            at = self._clock.now().isoformat()
            entry = {"at": at, "who": request.get("who"), "command": name, "with": arguments}
            record, arguments_text = _texts(entry, arguments)
            try:
                result = command(request)
            except BaseException as error:  # such as a SystemExit that a Python prompt raises
                failed = {**entry, "failed": f"{type(error).__name__}: {error}"}
                self._write(json.dumps(failed, default=str, ensure_ascii=False))
                raise
            self._write(record)
            logger.warning("console: {} by {} {}", name, request.get("who"), arguments_text)
            return result if result is not None else {"done": name, **arguments}

        return run

    def _write(self, record: str) -> None:
        line = mask(record) + "\n"
        try:
            with self._lock:
                make_private_folder(self._path.parent)
                descriptor = open_own_file(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
                with os.fdopen(descriptor, "ab") as file:
                    # Half a character, which no encoding has, is written as its escape in JSON.
                    file.write(line.encode("utf-8", "backslashreplace"))
        except OSError as error:
            logger.error("console: cannot record an action in the audit log ({}): {}", error, line.strip())


def _texts(entry: Mapping[str, Any], arguments: Arguments) -> tuple[str, str]:
    """Return the record of an action and its arguments, as texts.

    They are made before anything is done: what cannot be recorded, because it is nested too deeply, is not done.

    Raises:
        InvalidRequest: they cannot be made.
    """
    try:
        return json.dumps(entry, default=str, ensure_ascii=False), str(arguments) if arguments else ""
    except (TypeError, ValueError, RecursionError):
        raise InvalidRequest("the request cannot be recorded, so it is not carried out") from None


class Repl:
    """Python prompt with the system's objects; runs one piece of source at a time."""

    def __init__(self, names: dict[str, Any]) -> None:
        self._interpreter = code.InteractiveInterpreter(names)
        self._lock = threading.Lock()

    def run(self, source: str) -> dict[str, Any]:
        """Run a piece of source; return its output, and whether it needs more lines."""
        printed = io.StringIO()
        with self._lock, redirect_stdout(printed), redirect_stderr(printed):
            try:
                more = self._interpreter.runsource(source)
            except SystemExit:
                raise InvalidRequest("exit() would not end the process; leave the prompt with an empty line") from None
        return {"output": printed.getvalue(), "more": more}
