"""Full-screen output: what is sent, and that the terminal is restored."""

from __future__ import annotations

import os
import pty
import select
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TextIO

import pyte
import pytest
from rich.text import Text

from console.live.terminal import Terminal, can_show

SIZE = os.terminal_size((20, 4))


@dataclass
class Tty:
    """Both ends of a terminal."""

    stream: TextIO
    outer: int
    screen: pyte.Screen

    def output(self) -> bytes:
        """Return the bytes since the last call, and draw them on the screen."""
        data = b""
        while select.select([self.outer], [], [], 0.05)[0]:  # a terminal passes data on in pieces
            data += os.read(self.outer, 65536)
        pyte.ByteStream(self.screen).feed(data)
        return data


@pytest.fixture
def tty(monkeypatch: pytest.MonkeyPatch) -> Iterator[Tty]:
    monkeypatch.setenv("TERM", "xterm")
    outer, inner = pty.openpty()
    with open(inner, "w", encoding="utf-8") as stream:  # noqa: PTH123
        yield Tty(stream, outer, pyte.Screen(20, 4))
    os.close(outer)


def lines(*texts: str) -> list[Text]:
    return [Text(text, end="") for text in texts]


def test_only_what_changed_is_sent(tty: Tty) -> None:
    with Terminal(tty.stream) as terminal:
        terminal.paint(lines("one", "two", "three"), SIZE)
        tty.output()
        assert ["one", "two", "three", ""] == [line.rstrip() for line in tty.screen.display]
        terminal.paint(lines("one", "2", "three"), SIZE)
        assert b"\x1b[2;1H2" + b" " * 19 == tty.output()
        terminal.paint(lines("one", "2"), SIZE)
        tty.output()
        assert ["one", "2", "", ""] == [line.rstrip() for line in tty.screen.display]


def test_another_size_is_painted_completely(tty: Tty) -> None:
    with Terminal(tty.stream) as terminal:
        terminal.paint(lines("one"), SIZE)
        tty.output()
        terminal.paint(lines("one"), os.terminal_size((10, 3)))
        assert b"\x1b[2J" in tty.output()


def test_it_is_restored_after_an_error_and_stderr_is_written_then(tty: Tty, capsys: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        with Terminal(tty.stream) as terminal:
            terminal.paint(lines("one"), SIZE)
            sys.stderr.write("a warning\n")
            assert "" == capsys.readouterr().err
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert tty.output().endswith(b"\x1b[?7h\x1b[?25h\x1b[?1049l")
    assert "a warning\n" == capsys.readouterr().err


def test_no_color_turns_colours_off(tty: Tty, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    with Terminal(tty.stream) as terminal:
        terminal.paint([Text("red", style="red"), Text("bold", style="bold")], SIZE)
        output = tty.output()
    assert b"31m" not in output
    assert b"\x1b[1mbold" in output


@pytest.mark.parametrize(("term", "accepted"), [("xterm", True), ("dumb", False), ("", False)])
def test_which_terminals_are_accepted(tty: Tty, monkeypatch: pytest.MonkeyPatch, term: str, accepted: bool) -> None:
    monkeypatch.setenv("TERM", term)
    assert accepted == can_show(tty.stream)


def test_a_terminal_that_is_gone_is_no_error() -> None:
    outer, inner = pty.openpty()
    with open(inner, "w", encoding="utf-8") as stream, Terminal(stream) as terminal:  # noqa: PTH123
        os.close(outer)
        terminal.paint(lines("one"), SIZE)
        assert "" == terminal.pressed()
