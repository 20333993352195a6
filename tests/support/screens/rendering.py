"""A command that runs in this process, on a terminal of any size."""

from __future__ import annotations

import contextlib
import io
import re
from typing import NamedTuple

import pytest

from console.cli import main

ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class FakeTerminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        """Return True."""
        return True


class Rendered(NamedTuple):
    """What a command has printed.

    Attributes:
        code: the exit code.
        out: what stood on stdout.
        err: what stood on stderr.
    """

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        """The lines of both streams, without colours."""
        return [ESCAPES.sub("", line) for line in (*self.out.splitlines(), *self.err.splitlines())]


def rendered(*words: str, columns: int, lines: int = 24, term: str = "dumb") -> Rendered:
    """Run a command on a terminal.

    Args:
        words: the command line.
        columns: width of the terminal.
        lines: its height.
        term: its kind; a dumb one has no colours, and `top` prints one frame there.
    """
    out, err = FakeTerminal(), FakeTerminal()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        for name, value in (("COLUMNS", str(columns)), ("LINES", str(lines)), ("TERM", term)):
            patch.setenv(name, value)
        code = main(list(words))
    return Rendered(code, out.getvalue(), err.getvalue())
