"""A terminal that is taken over for a picture that changes, and given back as it was, however that ends.

What is not the terminal's own doing: lines that stay the same are not sent again, so that nothing flickers and a slow
line is enough; and each line is as wide as the screen, so that nothing has to be erased first.
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

ENTER = "\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[2J"
"""Alternate screen, no cursor, no wrapping (xterm's control sequences, which every terminal of today knows)."""
LEAVE = "\x1b[0m\x1b[2J\x1b[H\x1b[?7h\x1b[?25h\x1b[?1049l"
"""Emptied first: a terminal that was resized meanwhile may mix what it had before with what is there."""
CLEAR = "\x1b[0m\x1b[2J"
USUAL = os.terminal_size((80, 24))


def can_show(stream: TextIO) -> bool:
    """Say whether a stream is a terminal that can be painted on; in the background it is somebody else's."""
    if not stream.isatty() or os.environ.get("TERM", "") in {"", "dumb", "unknown"}:
        return False
    try:
        return os.tcgetpgrp(stream.fileno()) == os.getpgrp()
    except OSError:
        return True  # no terminal of this session: nobody else works in it


class Terminal:
    """A terminal between `__enter__` and `__exit__`; for the main thread.

    What anybody writes to stderr meanwhile is kept, and said when the terminal is itself again.

    Args:
        stream: stdout or stderr, as far as `can_show` says yes.
    """

    def __init__(self, stream: TextIO) -> None:
        self._fd = stream.fileno()
        self._console = Console(file=stream, highlight=False, markup=False)
        self._keys = sys.stdin.fileno() if sys.stdin is not None and sys.stdin.isatty() else None
        self._keys_before: list[object] | None = None
        self._painted: list[str] | None = None
        self._painted_size = USUAL
        self._said = io.StringIO()
        self._stderr = contextlib.redirect_stderr(self._said)
        self._suspend_before: object = None
        self._taken = False

    def __enter__(self) -> Self:
        self._stderr.__enter__()
        self._suspend_before = signal.signal(signal.SIGTSTP, self._suspend)
        self._take()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._give_back()
        signal.signal(signal.SIGTSTP, self._suspend_before)  # type: ignore[arg-type]
        self._stderr.__exit__(kind, error, at)
        if said := self._said.getvalue():
            sys.stderr.write(said)

    @property
    def size(self) -> os.terminal_size:
        """Columns and lines, as they are now."""
        with contextlib.suppress(OSError):
            found = os.get_terminal_size(self._fd)
            if found.columns > 0 and found.lines > 0:
                return found
        return USUAL

    @property
    def keys(self) -> int | None:
        """The file descriptor from which keys can be read, None without."""
        return self._keys

    def pressed(self) -> str:
        """Return what was typed since it was asked last; never waits."""
        if self._keys is None or not select.select([self._keys], [], [], 0)[0]:
            return ""
        with contextlib.suppress(OSError):
            if typed := os.read(self._keys, 1024):
                return typed.decode(errors="replace")
        self._keys = None  # the terminal is gone
        return ""

    def paint(self, lines: Sequence[Text], size: os.terminal_size) -> None:
        """Show lines that were made for a size; what is below them is empty."""
        shown = self._styled(lines, size)
        before, self._painted = self._painted, None
        whole = before is None or size != self._painted_size
        changed = [
            f"\x1b[{row};1H{line}"
            for row, line in enumerate(shown, 1)
            if whole or before is None or line != before[row - 1]
        ]
        if changed:
            self._write((CLEAR if whole else "") + "".join(changed))
        self._painted, self._painted_size = shown, size

    def _styled(self, lines: Sequence[Text], size: os.terminal_size) -> list[str]:
        filled = []
        for line in [*lines[: size.lines], *[Text()] * (size.lines - len(lines))]:
            whole = Text(no_wrap=True, end="")
            whole.append_text(line)
            whole.append(" " * max(size.columns - line.cell_len, 0))
            filled.append(whole)
        with self._console.capture() as captured:
            for line in filled:
                self._console.print(line, soft_wrap=True, end="\n")
        return captured.get().split("\n")[: size.lines]

    def _take(self) -> None:
        self._taken = True
        if self._keys is not None:
            self._keys_before = termios.tcgetattr(self._keys)
            tty.setcbreak(self._keys, termios.TCSANOW)
        self._painted = None
        self._write(ENTER)

    def _give_back(self) -> None:
        if not self._taken:
            return
        self._taken = False
        self._painted = None
        self._write(LEAVE)
        if self._keys is not None and self._keys_before is not None:
            with contextlib.suppress(termios.error):
                termios.tcsetattr(self._keys, termios.TCSANOW, self._keys_before)  # type: ignore[arg-type]

    def _suspend(self, _number: int, _frame: FrameType | None) -> None:
        """Stop as Ctrl-Z asks, with the terminal as it was; go on where ``fg`` does."""
        self._give_back()
        signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTSTP)
        signal.signal(signal.SIGTSTP, self._suspend)
        self._take()

    def _write(self, text: str) -> None:
        # Past Python's buffers: a signal may end this anywhere, and what was half written must not be written later.
        data = text.encode(self._console.encoding, errors="replace")
        with contextlib.suppress(OSError):  # the terminal is gone: there is nobody to show anything to
            while data:
                data = data[os.write(self._fd, data) :]
