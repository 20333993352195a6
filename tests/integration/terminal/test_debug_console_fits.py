"""Every command of the debug console that only shows something, on terminals of 45 to 120 columns."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from console.debug.command_spec import COMMAND_SPECS, parse
from console.debug.render import render
from console.display.format import terminal
from tests.support.screens.rendering import UNLIMITED, WIDTHS, cut_words, terminal_of, too_long
from tests.support.system.console_sessions import buy, console_session

LINES: Mapping[str, tuple[str, ...]] = {
    "ps": ("ps",),
    "tree": ("tree",),
    "state": ("state Sizer projections.default", "state PositionKeeper"),
    "inbox": ("inbox Sizer",),
    "chain": ("chain 1",),
    "explain": ("explain 1",),
    "failures": ("failures",),
    "dead": ("dead",),
    "quarantine": ("quarantine",),
    "positions": ("positions",),
    "orders": ("orders",),
    "open-orders": ("open-orders",),
    "decisions": ("decisions",),
    "prices": ("prices",),
    "portfolio": ("portfolio",),
    "lease": ("lease",),
    "audit": ("audit",),
    "status": ("status",),
}
"""Command lines of each command."""
ELSEWHERE = {
    "top": "the table of ps", "trace": "lines of messages", "stack": "lines of Python's source",
    "trades": "as run.py trades", "report": "as run.py report", "repl": "Python's output", "help": "see below",
    "exit": "shows nothing",
}  # fmt: skip


def test_each_command_is_rendered() -> None:
    assert {name for name, spec in COMMAND_SPECS.items() if not spec.changes} == {*LINES, *ELSEWHERE}


def test_no_line_is_longer_than_the_terminal_and_no_word_is_cut(embedded_url: str, tmp_path: Path) -> None:
    with console_session(embedded_url, tmp_path) as talk:
        buy(talk.system, stop_loss_pct="0.05", take_profit_pct="0.1")
        buy(talk.system, symbol="ETH/USDT", quantity="0.1")
        for name, lines in LINES.items():
            for typed in lines:
                assert_fits(name, talk.session.connection.ask(name, **parse(typed).arguments))


def assert_fits(name: str, result: Any) -> None:
    def at(columns: int) -> list[str]:
        with terminal_of(columns) as (out, _):
            render(name, result, terminal())
        return out.getvalue().splitlines()

    reference = at(UNLIMITED)
    for columns in WIDTHS:
        lines = at(columns)
        assert ([], set()) == (too_long(lines, columns), cut_words(reference, lines, columns)), f"{name} at {columns}"
