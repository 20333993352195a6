"""The demo in a terminal: the live view instead of scrolling lines."""

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
from console.demo.screen import Screen, exit_name
from console.display.format import document, signed
from console.live.layout import frame
from console.live.poller import ViewPoller
from console.live.state import ViewReader, ViewState
from console.live.terminal import Terminal, can_show
from console.signals import Stop

BAR_COLUMNS = 10
"""Width of the progress bar."""
INTERVAL_S = 0.5
"""Time between two readings of the state."""


def screen_for(seconds: float, *, stderr: bool) -> Screen:
    """Return a live screen where stdout, or stderr, is a terminal; else one that prints lines."""
    paintable = can_show(sys.stderr if stderr else sys.stdout)
    return LiveScreen(seconds, stderr=stderr) if paintable else Screen(seconds, stderr=stderr)


class LiveScreen(Screen):
    """A screen with the live view between `__enter__` and `__exit__`, and with lines before and after."""

    def __init__(self, seconds: float, *, stderr: bool) -> None:
        super().__init__(seconds, stderr=stderr)
        self._stream = sys.stderr if stderr else sys.stdout
        self._seconds = seconds
        self._undo = ExitStack()
        self._system: TradingSystem | None = None
        self._poller: ViewPoller | None = None
        self._terminal: Terminal | None = None
        self._painted: tuple[ViewState, str, object] | None = None
        self._note = ""
        self._last_exit = ""

    def heading(self, system: TradingSystem) -> None:
        """Keep the system whose state the view shows."""
        self._system = system

    def __enter__(self) -> Self:
        system = self._system
        assert system is not None
        reader = ViewReader(
            lambda: contextlib.nullcontext(system.database_url),
            lambda: json.loads(document(system.status())),
            system.clock,
        )
        with ExitStack() as undo:
            self._poller = undo.enter_context(ViewPoller(reader, INTERVAL_S, lambda: None))
            self._terminal = undo.enter_context(Terminal(self._stream))
            self._undo = undo.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._terminal = None
        self._undo.close()

    def ended(self, elapsed: float, row: Mapping[str, Any]) -> None:
        """Do nothing: the view reads the decisions itself."""

    def exit_filled(self, elapsed: float, row: Mapping[str, Any]) -> None:  # noqa: ARG002 - of the base class
        """Keep the last stop or target that was filled for the bottom of the view, which lists decisions alone."""
        self._last_exit = f"#{row['id']} {exit_name(row)} net {signed(row['net_pnl'])}"

    def equity(self, elapsed: float, rows: Sequence[Mapping[str, Any]]) -> None:
        """Do nothing: the view draws the curve itself."""

    def line(self, text: str, style: str = "", *, soft: bool = False) -> None:
        """Print a line, or show it at the bottom of the view."""
        if self._terminal is None:
            super().line(text, style, soft=soft)
        else:
            self._note = text

    def progress(self, elapsed: float, message: str) -> None:
        """Draw the view again if anything has changed.

        Raises:
            Stop: the key q was pressed.
        """
        assert self._poller is not None
        assert self._terminal is not None
        if self._poller.failure is not None:
            raise self._poller.failure
        # During the stop, keys have no effect.
        if "q" in self._terminal.pressed().lower() and not self._note:
            raise Stop
        foot, size = self._foot(elapsed, message.partition(",")[0]), self._terminal.size
        picture = (self._poller.newest, foot, size)
        if picture != self._painted:
            self._painted = None
            self._terminal.paint(frame(self._poller.newest, *size, Text(foot, style="bold", end="")), size)
            self._painted = picture

    def _foot(self, elapsed: float, sent: str) -> str:
        share = min(elapsed / self._seconds, 1.0) if self._seconds > 0 else 1.0
        bar = "━" * round(share * BAR_COLUMNS) + "─" * (BAR_COLUMNS - round(share * BAR_COLUMNS))
        parts = f"{min(elapsed, self._seconds):.0f} of {self._seconds:.0f} s", sent
        notes = [self._note] if self._note else ["q ends the demo early", *filter(None, [self._last_exit])]
        return f"{bar} {' · '.join([*parts, *notes])}"
