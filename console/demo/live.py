"""The demo on a terminal: the live view in place of scrolling lines."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import Any, Self

from rich.text import Text

from actors.system import TradingSystem
from console.demo.screen import Screen
from console.display.format import document
from console.live.layout import frame
from console.live.poller import ViewPoller
from console.live.state import ViewReader, ViewState
from console.live.terminal import Terminal, can_show
from console.signals import Stop

BAR = 20
"""Characters of the bar that tells how long it still lasts."""
EVERY = 0.5
"""Seconds between two looks: half of the second in which somebody expects to see what has happened."""


def screen_for(seconds: float, *, stderr: bool) -> Screen:
    """Return the screen for what stdout, or stderr, is: a terminal to paint on, or something to print lines to."""
    paintable = can_show(sys.stderr if stderr else sys.stdout)
    return LiveScreen(seconds, stderr=stderr) if paintable else Screen(seconds, stderr=stderr)


class LiveScreen(Screen):
    """Shows the live view from `__enter__` to `__exit__`, and prints lines before and after."""

    def __init__(self, seconds: float, *, stderr: bool) -> None:
        super().__init__(seconds, stderr=stderr)
        self._stream = sys.stderr if stderr else sys.stdout
        self._seconds = seconds
        self._undo = ExitStack()
        self._system: TradingSystem | None = None
        self._watch: ViewPoller | None = None
        self._terminal: Terminal | None = None
        self._shown: tuple[ViewState, str, object] | None = None
        self._note = ""

    def heading(self, system: TradingSystem) -> None:
        """Remember the system that is shown."""
        self._system = system

    def __enter__(self) -> Self:
        system = self._system
        assert system is not None
        looker = ViewReader(
            lambda: contextlib.nullcontext(system.database_url), lambda: json.loads(document(system.status()))
        )
        with ExitStack() as undo:
            self._watch = undo.enter_context(ViewPoller(looker, EVERY, lambda: None))
            self._terminal = undo.enter_context(Terminal(self._stream))
            self._undo = undo.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._terminal = None
        self._undo.close()

    def ended(self, elapsed: float, row: Mapping[str, Any]) -> None:
        """Leave it to the view, which reads the decisions itself."""

    def equity(self, elapsed: float, rows: Sequence[Mapping[str, Any]]) -> None:
        """Leave it to the view, which draws the curve."""

    def line(self, text: str, style: str = "", *, soft: bool = False) -> None:
        """Print a line, or show it at the bottom of the view."""
        if self._terminal is None:
            super().line(text, style, soft=soft)
        else:
            self._note = text

    def progress(self, elapsed: float, told: str) -> None:
        """Show what is new.

        Raises:
            Stop: somebody pressed q.
        """
        assert self._watch is not None
        assert self._terminal is not None
        if self._watch.failure is not None:
            raise self._watch.failure
        # Once the stop has begun, a key changes nothing.
        if "q" in self._terminal.pressed().lower() and not self._note:
            raise Stop
        foot, size = self._foot(elapsed, told.partition(",")[0]), self._terminal.size
        shown = (self._watch.newest, foot, size)
        if shown != self._shown:
            self._shown = None
            self._terminal.paint(frame(self._watch.newest, *size, Text(foot, style="bold", end="")), size)
            self._shown = shown

    def _foot(self, elapsed: float, sent: str) -> str:
        share = min(elapsed / self._seconds, 1.0) if self._seconds > 0 else 1.0
        bar = "━" * round(share * BAR) + "─" * (BAR - round(share * BAR))
        note = self._note or "q ends the demo early"
        return f"{bar} {min(elapsed, self._seconds):.0f} of {self._seconds:.0f} s · {sent} · {note}"
