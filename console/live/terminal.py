"""Full-screen output: takes over the terminal, and restores it however the program ends.

Unchanged lines are not sent again, so the screen does not flicker and a slow connection is enough. Each line is
padded to the width of the screen, so nothing has to be erased.
"""

from __future__ import annotations

import contextlib
import io
import os
import select
import signal
import sys
import termios
import tty
from collections.abc import Sequence
from types import FrameType, TracebackType
from typing import Self, TextIO

from rich.console import Console
from rich.text import Text

from console.display.format import printable_text

ENTER = "\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[2J"
"""Alternate screen, no cursor, no wrapping (xterm's control sequences, which every terminal of today knows)."""
LEAVE = "\x1b[0m\x1b[2J\x1b[H\x1b[?7h\x1b[?25h\x1b[?1049l"
"""Clears the screen first: after a resize, some terminals mix old and new content."""
CLEAR = "\x1b[0m\x1b[2J"
DEFAULT_SIZE = os.terminal_size((80, 24))


def can_show(stream: TextIO) -> bool:
    """Return whether a stream is a terminal that can show full-screen output, with this process in the foreground."""
    if not stream.isatty() or os.environ.get("TERM", "") in {"", "dumb", "unknown"}:
        return False
    try:
        return os.tcgetpgrp(stream.fileno()) == os.getpgrp()
    except OSError:
        return True  # not the terminal of this session: no foreground process to disturb


class Terminal:
    """The terminal, taken over between `__enter__` and `__exit__`. For use by the main thread.

    Output to stderr meanwhile is kept, and written after the terminal has been restored.

    Args:
        stream: stdout or stderr, if `can_show` accepts it.
    """

    def __init__(self, stream: TextIO) -> None:
        self._fd = stream.fileno()
        self._console = Console(file=stream, highlight=False, markup=False)
        self._keys = sys.stdin.fileno() if sys.stdin is not None and sys.stdin.isatty() else None
        self._keys_before: list[object] | None = None
        self._painted: list[str] | None = None
        self._painted_size = DEFAULT_SIZE
        self._stderr_text = io.StringIO()
        self._stderr = contextlib.redirect_stderr(self._stderr_text)
        self._suspend_before: object = None
        self._taken = False

    def __enter__(self) -> Self:
        self._stderr.__enter__()
        self._suspend_before = signal.signal(signal.SIGTSTP, self._suspend)
        self._take_over()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._restore()
        signal.signal(signal.SIGTSTP, self._suspend_before)  # type: ignore[arg-type]
        self._stderr.__exit__(kind, error, at)
        if text := self._stderr_text.getvalue():  # lines of the log, which are printable
            sys.stderr.write(text)

    @property
    def size(self) -> os.terminal_size:
        """Current number of columns and lines."""
        with contextlib.suppress(OSError):
            size = os.get_terminal_size(self._fd)
            if size.columns > 0 and size.lines > 0:
                return size
        return DEFAULT_SIZE

    @property
    def keys(self) -> int | None:
        """File descriptor for reading keys; None where stdin is no terminal."""
        return self._keys

    def pressed(self) -> str:
        """Return the keys typed since the last call, without waiting."""
        if self._keys is None or not select.select([self._keys], [], [], 0)[0]:
            return ""
        with contextlib.suppress(OSError):
            if typed := os.read(self._keys, 1024):
                return typed.decode(errors="replace")
        self._keys = None  # the terminal is gone
        return ""

    def paint(self, lines: Sequence[Text], size: os.terminal_size) -> None:
        """Show lines that were drawn for a size; the rest of the screen is empty."""
        rows = self._styled(lines, size)
        before, self._painted = self._painted, None
        full = before is None or size != self._painted_size
        changed = [
            f"\x1b[{row};1H{line}"
            for row, line in enumerate(rows, 1)
            if full or before is None or line != before[row - 1]
        ]
        if changed:
            self._write((CLEAR if full else "") + "".join(changed))
        self._painted, self._painted_size = rows, size

    def _styled(self, lines: Sequence[Text], size: os.terminal_size) -> list[str]:
        with self._console.capture() as captured:
            for drawn in [*lines[: size.lines], *[Text()] * (size.lines - len(lines))]:
                line = printable_text(drawn, keep="")
                row = Text.assemble(line, " " * max(size.columns - line.cell_len, 0), no_wrap=True, end="")
                self._console.print(row, soft_wrap=True, end="\n")
        return captured.get().split("\n")[: size.lines]

    def _take_over(self) -> None:
        self._taken = True
        if self._keys is not None:
            self._keys_before = termios.tcgetattr(self._keys)
            tty.setcbreak(self._keys, termios.TCSANOW)
        self._painted = None
        self._write(ENTER)

    def _restore(self) -> None:
        if not self._taken:
            return
        self._taken = False
        self._painted = None
        self._write(LEAVE)
        if self._keys is not None and self._keys_before is not None:
            with contextlib.suppress(termios.error):
                termios.tcsetattr(self._keys, termios.TCSANOW, self._keys_before)  # type: ignore[arg-type]

    def _suspend(self, _number: int, _frame: FrameType | None) -> None:
        """Handle Ctrl-Z: restore the terminal, stop, and take the terminal over again after ``fg``."""
        self._restore()
        signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTSTP)
        signal.signal(signal.SIGTSTP, self._suspend)
        self._take_over()

    def _write(self, text: str) -> None:
        # Without Python's buffers: a signal may interrupt this anywhere, and the rest must not be written later.
        data = text.encode(self._console.encoding, errors="replace")
        with contextlib.suppress(OSError):  # the terminal is gone
            while data:
                data = data[os.write(self._fd, data) :]
