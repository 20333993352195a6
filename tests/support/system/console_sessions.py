"""A debug console attached to a real system."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console

from actors import Decision, TradingSystem
from actors.settings import Settings
from console.commands.console import local_commands
from console.debug.client import Session
from console.debug.command_spec import parse
from console.debug.protocol import ConsoleConnection
from console.debug.server import ConsoleServer
from console.service.actions import service_commands
from tests.support.system.running_system import isolated_settings, running_system


class ConsoleSession:
    """A debug console attached to a system.

    Attributes:
        output: text that the last command wrote.
    """

    def __init__(self, system: TradingSystem, path: Path, settings: Settings) -> None:
        self.system = system
        self.path = path
        self.output = io.StringIO()
        screen = Console(file=self.output, width=160, highlight=False, markup=False)
        self.session = Session(ConsoleConnection(path), screen, yes=True, local_commands=local_commands(settings))

    def do(self, line: str) -> str:
        """Run a command line and return the text that it writes."""
        self.output.seek(0)
        self.output.truncate()
        self.session.do(parse(line))
        return self.output.getvalue()

    def json(self, line: str) -> Any:
        return json.loads(self.do(f"{line} --json"))


@contextmanager
def console_session(url: str, tmp_path: Path, **changes: Any) -> Iterator[ConsoleSession]:
    allow_repl = changes.pop("allow_repl", False)
    with running_system(url, home=tmp_path, **changes) as system:
        settings = isolated_settings(url, home=tmp_path)
        commands = service_commands(system, settings, allow_repl=allow_repl)
        with ConsoleServer(tmp_path / "console.sock", commands):
            console = ConsoleSession(system, tmp_path / "console.sock", settings)
            with console.session.connection:
                yield console


def buy(system: TradingSystem, **changes: Any) -> int:
    """Submit a BUY, wait for its outcome and return the decision's id."""
    fields = {"symbol": "BTC/USDT", "decision": "BUY", "confidence": 1, "quantity": "0.001", **changes}
    outcome = system.submit(Decision(**fields)).get(timeout=10)
    assert isinstance(outcome.decision_id, int)
    return outcome.decision_id
