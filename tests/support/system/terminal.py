"""A terminal in which the program runs, with its screen as a user sees it."""

from __future__ import annotations

import os
import re
import sys
import termios
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import pexpect
import pyte

ROOT = Path(__file__).parents[3]
HIDDEN, WRAPS, ALTERNATE = "?25", "?7", "?1049"


class Screen:
    """``run.py`` with these arguments in a terminal of this size.

    >>> with Screen("top", env=environment(home)) as screen:
    ...     screen.wait_for("equity")
    ...     assert screen.end("q") == 0
    """

    def __init__(self, *words: str, env: Mapping[str, str], columns: int = 80, lines: int = 24) -> None:
        self._pyte = pyte.Screen(columns, lines)
        self._stream = pyte.ByteStream(self._pyte)
        self.raw = b""
        self._child = pexpect.spawn(
            sys.executable,
            [str(ROOT / "run.py"), *words],
            env={**env, "TERM": "xterm-256color"},
            dimensions=(lines, columns),
            timeout=60,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._child.close(force=True)

    @property
    def lines(self) -> list[str]:
        """The lines of the screen."""
        return [line.rstrip() for line in self._pyte.display]

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    def wait_for(self, pattern: str, timeout: float = 60.0) -> re.Match[str]:
        """Wait until a pattern matches the screen; on failure, the message shows the screen."""
        deadline = time.monotonic() + timeout
        while (match := re.search(pattern, self.text)) is None:
            assert self._read(deadline), f"{pattern!r} is not on the screen:\n{self.text}"
        return match

    def resize(self, columns: int, lines: int) -> None:
        self._pyte.resize(lines, columns)
        self._pyte.reset()
        self._child.setwinsize(lines, columns)

    def send(self, keys: str) -> None:
        self._child.send(keys)

    def kill(self, number: int) -> None:
        os.kill(self._child.pid, number)

    def hang_up(self) -> None:
        """Close the terminal under the program, as when its window is closed or a connection breaks."""
        self._child.ptyproc.fileobj.close()

    def exit_code(self, timeout: float = 60.0) -> int | None:
        """Wait for the end without reading the terminal, and return the exit code; None after a signal."""
        deadline = time.monotonic() + timeout
        while self._child.ptyproc.isalive():
            assert time.monotonic() < deadline, f"it has not ended within {timeout:g} s"
            time.sleep(0.05)
        code: int | None = self._child.ptyproc.exitstatus
        return code

    def ended(self, timeout: float = 60.0) -> int | None:
        """Wait for the end, and return the exit code; None after a signal."""
        deadline = time.monotonic() + timeout
        while self._read(deadline):
            pass
        while self._child.isalive():  # its `wait` has no limit
            assert time.monotonic() < deadline, f"it has not ended within {timeout:g} s:\n{self.text}"
            time.sleep(0.02)
        code: int | None = self._child.exitstatus
        return code

    def mode(self, name: str) -> str | None:
        """Return the last setting of a private mode: ``h``, ``l``, or None where it was never set."""
        settings = re.findall(rb"\x1b\[" + re.escape(name.encode()) + rb"([hl])", self.raw)
        return settings[-1].decode() if settings else None

    def echoes(self) -> bool:
        """Return whether the terminal echoes input and reads whole lines, as a shell expects."""
        flags = termios.tcgetattr(self._child.child_fd)[3]
        return bool(flags & termios.ECHO and flags & termios.ICANON)

    def as_it_was(self) -> bool:
        """Return whether the modes of the terminal are restored."""
        modes = [self.mode(name) for name in (ALTERNATE, HIDDEN, WRAPS)]
        return modes == ["l", "h", "h"]

    def _read(self, deadline: float) -> bool:
        try:
            data = self._child.read_nonblocking(65536, timeout=max(deadline - time.monotonic(), 0.01))
        except (pexpect.EOF, pexpect.TIMEOUT):
            return False
        self.raw += data
        self._stream.feed(data)
        return True
