"""A command that runs in this process, on a terminal of any size."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import NamedTuple

import pytest
from rich.cells import cell_len

from console.cli import main
from console.display.table import MAX_WORD_COLUMNS

WIDTHS = (45, 60, 80, 120)
UNLIMITED = 400
"""Columns of a terminal on which nothing needs to be wrapped or left out."""
NOTE = {"too", "narrow", "for"}
"""Words below a table from which columns were left out."""
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


@contextmanager
def terminal_of(columns: int, lines: int = 24, term: str = "dumb") -> Iterator[tuple[FakeTerminal, FakeTerminal]]:
    """Have stdout and stderr be a terminal, and yield what is written there.

    Args:
        columns: its width.
        lines: its height.
        term: its kind; a dumb one has no colours, and `top` prints one frame there.
    """
    out, err = FakeTerminal(), FakeTerminal()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        for name, value in (("COLUMNS", str(columns)), ("LINES", str(lines)), ("TERM", term)):
            patch.setenv(name, value)
        yield out, err


def rendered(*arguments: str, columns: int, lines: int = 24, term: str = "dumb") -> Rendered:
    """Run a command on a terminal; see `terminal_of`."""
    with terminal_of(columns, lines, term) as (out, err):
        code = main(list(arguments))
    return Rendered(code, out.getvalue(), err.getvalue())


def words(lines: Iterable[str]) -> set[str]:
    """Return the words of an output without the signs around them; lines of charts have none."""
    parts = {part.strip(".,:;…()'\"`┤│─└├") for line in lines for part in line.split()}
    return {part for part in parts if re.search(r"\w", part)}


def cut_words(reference: Iterable[str], lines: Iterable[str], columns: int) -> set[str]:
    """Return the words that are in no line of a reference, which is as wide as it has to be.

    Numbers may differ, such as that of a request. Of a word that is nearly as long as a line, such as a path, there may
    be parts.
    """
    vocabulary = words(reference)
    known_forms = {re.sub(r"\d+", "0", name) for name in vocabulary}
    long = [re.sub(r"\d", "0", name) for name in vocabulary if len(name) > min(columns - 12, MAX_WORD_COLUMNS)]
    others = {part for part in words(lines) if re.sub(r"\d+", "0", part) not in known_forms}
    return {part for part in others if not any(re.sub(r"\d", "0", part) in name for name in long)} - NOTE


def too_long(lines: Iterable[str], columns: int) -> list[str]:
    """Return the lines that are longer than a terminal; a single word, such as a URL, may be."""
    return [line for line in lines if cell_len(line) > columns and " " in line.strip()]
