"""Wrapping at words: nothing is lost, no line is too long, and only words longer than a line are divided."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from console.display.format import print_fact
from console.display.wrapping import wrap, wrap_plain
from tests.support.screens.rendering import FakeTerminal


@pytest.mark.parametrize(
    ("text", "width", "hanging", "expected"),
    [
        ("no room: it is worth 2,038.04", 16, 0, ["no room: it is", "worth 2,038.04"]),
        ("fits", 4, 0, ["fits"]),
        ("", 10, 0, [""]),
        ("one\n\ntwo", 10, 0, ["one", "", "two"]),
        (
            "  indented words that go on and on for a while",
            30,
            2,
            ["  indented words that go on", "    and on for a while"],
        ),
        ("database  /home/paper/a-long-folder/postgres", 24, 0, ["database", "/home/paper/a-long-", "folder/postgres"]),
        ("価格 価格 価格", 9, 0, ["価格 価格", "価格"]),
        ("x" * 25, 10, 0, ["x" * 10, "x" * 10, "x" * 5]),
    ],
)
def test_lines_are_divided_between_words(text: str, width: int, hanging: int, expected: list[str]) -> None:
    assert expected == wrap_plain(text, width, hanging)


def test_styles_stay_with_their_words() -> None:
    first, second = wrap(Text.assemble("one ", ("two", "bold")), 4)
    assert ("one", "two") == (first.plain, second.plain)
    assert ["bold"] == [str(span.style) for span in second.spans]


@given(st.text("ab /.-価\n", max_size=60), st.integers(2, 40), st.integers(0, 8))
def test_no_line_is_too_long_and_no_character_is_lost(text: str, width: int, hanging: int) -> None:
    lines = wrap_plain(text, width, hanging)
    assert all(cell_len(line) <= width for line in lines if line.strip())
    assert "".join(text.split()) == "".join("".join(lines).split())
    short = [part for part in text.split() if cell_len(part) <= width - hanging - 20]
    assert [] == [part for part in short if not any(part in line for line in lines)]


def test_a_fact_without_a_label_goes_on_below_its_first_line() -> None:
    screen = FakeTerminal()
    out = Console(file=screen, width=45)
    print_fact(out, "database", "a server of this machine, which is not the newest")
    print_fact(out, "", "it lacks fixes of security holes that the newest has")
    assert [
        "database   a server of this machine, which is",
        "           not the newest",
        "           it lacks fixes of security holes",
        "           that the newest has",
    ] == screen.getvalue().splitlines()
