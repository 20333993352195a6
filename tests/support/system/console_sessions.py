"""A console attached to a real system, for tests."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console

from actors import Decision, TradingSystem
from console.debug.client import Session
from console.debug.command_spec import parse
from console.debug.protocol import ConsoleConnection
from console.debug.server import ConsoleServer
from console.service.actions import service_commands
from tests.support.system.running_system import running, settings


class Talk:
    """A console attached to a system."""

    def __init__(self, system: TradingSystem, path: Path) -> None:
        self.system = system
        self.path = path
        self.shown = io.StringIO()
        out = Console(file=self.shown, width=160, highlight=False, markup=False)
        self.session = Session(ConsoleConnection(path), out, yes=True)

    def do(self, line: str) -> str:
        """What a line shows."""
        self.shown.seek(0)
        self.shown.truncate()
        self.session.do(parse(line))
        return self.shown.getvalue()

    def json(self, line: str) -> Any:
        return json.loads(self.do(f"{line} --json"))


@contextmanager
def talking(url: str, tmp_path: Path, **changes: Any) -> Iterator[Talk]:
    allow_repl = changes.pop("allow_repl", False)
    with running(url, home=tmp_path, **changes) as system:
        commands = service_commands(system, settings(url, home=tmp_path), allow_repl=allow_repl)
        with ConsoleServer(tmp_path / "console.sock", commands):
            talk = Talk(system, tmp_path / "console.sock")
            with talk.session.connection:
                yield talk


def bought(system: TradingSystem, **changes: Any) -> int:
    given = {"symbol": "BTC/USDT", "decision": "BUY", "confidence": 1, "quantity": "0.001", **changes}
    outcome = system.submit(Decision(**given)).get(timeout=10)
    assert isinstance(outcome.decision_id, int)
    return outcome.decision_id
