"""What the running process does for a console that changes something: each is written down, with who and when."""

from __future__ import annotations

import code
import io
import json
import os
import threading
from collections.abc import Callable, Mapping
from contextlib import redirect_stderr, redirect_stdout
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from loguru import logger

from actors import Decision
from actors.runtime.pykka_adapter import Timeout
from actors.settings import Settings
from actors.system import TradingSystem
from console import logs
from console.debug.server import Command
from console.service.queries import Given, ServiceQueries, given, text
from domain.errors import DatabaseError, DecisionGone, InvalidRequest
from persistence.stores import halts, retries

AUDIT_LOG = "console.jsonl"
DECIDE_WITHIN = 30.0
"""Seconds that a decision's outcome is waited for once it is committed; then its row tells the rest."""


def answers(system: TradingSystem, settings: Settings, *, allow_repl: bool = False) -> dict[str, Command]:
    """Return everything that a console can ask, by the name that a request has."""
    looking = ServiceQueries(system, settings, allow_repl=allow_repl)
    return {**looking.commands, **ServiceActions(system, settings, allow_repl=allow_repl).commands}


class ServiceActions:
    """Commands that change something.

    Args:
        system: that runs.
        settings: that it runs with.
        allow_repl: whether it was started so.
    """

    def __init__(self, system: TradingSystem, settings: Settings, *, allow_repl: bool = False) -> None:
        self._system = system
        self._settings = settings
        self._inspector = system.inspector
        self._log = AuditLog(settings.home / "logs" / AUDIT_LOG)
        self._repl = Repl({"system": system, "inspector": self._inspector}) if allow_repl else None

    @property
    def commands(self) -> dict[str, Command]:
        """By the name that a request has."""
        done: dict[str, Callable[[Given], Any]] = {
            "suspend": lambda g: self._inspector.suspend(text(g, "actor"), suspended=True),
            "resume-actor": lambda g: self._inspector.suspend(text(g, "actor"), suspended=False),
            "crash": lambda g: self._inspector.crash(text(g, "actor")),
            "restart": lambda g: self._inspector.replace(text(g, "actor")),
            "send": self._send,
            "retry": self._retry,
            "decide": self._decide,
            "halt": lambda g: self._halt(g, halted=True),
            "resume": lambda g: self._halt(g, halted=False),
            "loglevel": self._loglevel,
            "repl": self._python,
        }
        return {name: self._log.written(name, command) for name, command in done.items()}

    def _send(self, given: Given) -> None:
        try:
            content = json.loads(str(given.get("json") or "{}"))
        except ValueError:
            content = None
        if not isinstance(content, dict):
            raise InvalidRequest('what is sent must be an object of JSON, such as {"symbol": "BTC/USDT"}')
        self._inspector.send(text(given, "actor"), text(given, "type"), content)

    def _retry(self, given: Given) -> dict[str, Any]:
        return {"decision_id": retries.retry(self._system.database_url, text(given, "id"))}

    def _decide(self, given: Given) -> dict[str, Any]:
        names = [name for name in Decision.model_fields if given.get(name) is not None]
        decision = Decision(**{name: given[name] for name in names})
        future = self._system.submit(decision)
        try:
            outcome = future.get(timeout=DECIDE_WITHIN)
        except Timeout:
            return self._waiting(decision)
        return {"decision_id": outcome.decision_id, "outcome": outcome.status, "reason": outcome.reason}

    def _waiting(self, decision: Decision) -> dict[str, Any]:
        """Return what is known of a decision that is committed; that it cannot be read does not make it a failure."""
        reason = f"committed, without an outcome after {DECIDE_WITHIN:g} s"
        try:
            id_ = self._system.ledger_reader.decision_id(decision.uid)
        except (DatabaseError, DecisionGone):
            return {"decision_id": None, "outcome": "pending", "reason": f"{reason}; its uid is {decision.uid}"}
        return {"decision_id": id_, "outcome": "pending", "reason": f"{reason}; chain {id_} shows where it waits"}

    def _halt(self, request: Given, *, halted: bool) -> dict[str, Any]:
        portfolio, reason = given(request, "portfolio"), text(request, "reason")
        halts.insert(self._system.database_url, portfolio, reason, text(request, "who"), halted=halted)
        return {"portfolio": portfolio, "halted": halted, "reason": reason}

    def _loglevel(self, given: Given) -> dict[str, Any]:
        level = text(given, "level").upper()
        if level not in {"TRACE", "DEBUG", "INFO", "WARNING", "ERROR"}:
            raise InvalidRequest("level must be TRACE, DEBUG, INFO, WARNING or ERROR")
        logs.set_level(self._settings.home, level)
        return {"level": level}

    def _python(self, given: Given) -> dict[str, Any]:
        if self._repl is None:
            raise InvalidRequest(
                "the service was started without --allow-repl: whoever gets a Python prompt in it can do anything "
                "that it can, its database and its books included"
            )
        return self._repl.run(str(given.get("source") or ""))


class AuditLog:
    """Who changed what, when: a JSON line each, in a file that only the owner reads."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()

    def written(self, name: str, command: Callable[[Given], Any]) -> Command:
        """Return ``command`` so that each call is written down, whatever comes of it."""

        def run(request: Given) -> Any:
            told = {key: value for key, value in request.items() if key != "who"}
            entry = {"at": datetime.now(UTC).isoformat(), "who": request.get("who"), "command": name, "with": told}
            try:
                result = command(request)
            except BaseException as error:  # such as what a Python prompt raises
                self._write({**entry, "failed": f"{type(error).__name__}: {error}"})
                raise
            self._write(entry)
            logger.warning("console: {} by {} {}", name, request.get("who"), told or "")
            return result if result is not None else {"done": name, **told}

        return run

    def _write(self, entry: Mapping[str, Any]) -> None:
        line = logs.secrets_hidden(json.dumps(entry, default=str, ensure_ascii=False)) + "\n"
        try:
            with self._lock:
                self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
                with os.fdopen(descriptor, "a", encoding="utf-8") as file:
                    file.write(line)
        except OSError as error:
            logger.error("console: what was done could not be written down ({}): {}", error, line.strip())


class Repl:
    """A Python prompt with the system's objects; one at a time."""

    def __init__(self, names: dict[str, Any]) -> None:
        self._interpreter = code.InteractiveInterpreter(names)
        self._lock = threading.Lock()

    def run(self, source: str) -> dict[str, Any]:
        """Run a piece of source; return what it printed, and whether more lines are needed."""
        printed = io.StringIO()
        with self._lock, redirect_stdout(printed), redirect_stderr(printed):
            try:
                more = self._interpreter.runsource(source)
            except SystemExit:
                raise InvalidRequest("exit() would end a thread here, not the process: an empty line leaves") from None
        return {"output": printed.getvalue(), "more": more}
