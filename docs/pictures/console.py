"""The debug console on a running system: the same decisions each time; times are those of the day."""

from __future__ import annotations

import io
import tempfile
from pathlib import Path

from rich.console import Console
from rich.text import Text

from actors import Decision, Settings, TradingSystem
from console.debug.client import Session
from console.debug.command_spec import parse
from console.debug.protocol import ConsoleConnection
from console.debug.server import ConsoleServer
from console.service.actions import service_commands
from docs.pictures.svg import svg

WIDTH = 124
LINES = ("ps", "chain 2", "state Sizer projections.default.positions", "audit")


def draw() -> str:
    """Run a system, execute the commands of `LINES`, and return the picture of the answers."""
    output = io.StringIO()
    out = Console(file=output, width=WIDTH, highlight=False, markup=False, force_terminal=True, color_system="standard")
    with tempfile.TemporaryDirectory() as home:
        settings = Settings.isolated(home=home, prices="simulated")
        with TradingSystem.start(settings) as system:
            for symbol, confidence in (("BTC/USDT", "0.8"), ("ETH/USDT", "0.75")):
                system.submit(Decision(symbol=symbol, decision="BUY", confidence=confidence)).get(timeout=10)
            path = Path(home) / "console.sock"
            with ConsoleServer(path, service_commands(system, settings)), ConsoleConnection(path) as line:
                session = Session(line, out)
                for command in LINES:
                    out.print(f"[bold]paper>[/bold] {command}", markup=True)
                    session.do(parse(command))
                    out.print()
    lines = [Text.from_ansi(line) for line in output.getvalue().rstrip().splitlines()]
    return svg(lines, WIDTH, "run.py console")
