"""Text from outside reaches a terminal without the characters that it would obey; a pipe has documents exactly."""

from __future__ import annotations

import io
import json
import os
import pty
import re
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from loguru import logger
from rich.text import Text
from rich.tree import Tree

from console import completion, logs
from console.debug.client import Session
from console.debug.command_spec import SYMBOL
from console.debug.prompt import CommandCompleter
from console.display.format import (
    confirmed,
    document,
    print_document,
    print_exactly,
    print_fact,
    printable_text,
    sentence,
    terminal,
)
from console.display.table import full_table
from console.listing.csv_rows import print_csv
from console.live.terminal import Terminal
from console.streams import print_for_people
from domain.alarms import alarm_text
from domain.wording import escape_control, one_line, printable, printable_json
from persistence.queries.listing.row_filter import Listing
from tests.support.planted_escapes import FORGED, PLANTED, TOP, obeyed
from tests.support.screens.rendering import FakeTerminal, terminal_of


def test_characters_become_the_escapes_of_python() -> None:
    assert "a\\x1b[2J\\x9b\\u202e\\r\n\tä–" == printable("a\x1b[2J\x9b\u202e\r\n\tä–")
    assert "a\\n\\t" == escape_control("a\n\t")
    assert "a b\\x00" == one_line("a\n\t b\0")
    assert "\\udc80" == printable("\udc80")


def test_a_document_for_a_terminal_has_the_same_value() -> None:
    value = {PLANTED: [PLANTED, 1]}
    text = json.dumps(value, ensure_ascii=False, indent=2)
    assert [] == obeyed(printable_json(text))
    assert value == json.loads(printable_json(text))
    assert '{"a": "ä"}' == printable_json('{"a": "ä"}')


@pytest.mark.parametrize("indent", [None, False])
def test_a_document_has_escapes_on_a_terminal_and_is_exact_in_a_pipe(indent: bool | None) -> None:
    screen, pipe = FakeTerminal(), io.StringIO()
    with redirect_stdout(screen):
        print_document({"reason": PLANTED}, indent=indent)
    with redirect_stdout(pipe):
        print_document({"reason": PLANTED}, indent=indent)
    assert [] == obeyed(screen.getvalue())
    assert [{"reason": PLANTED}] * 2 == [json.loads(stream.getvalue()) for stream in (screen, pipe)]
    assert json.dumps({"reason": PLANTED}, ensure_ascii=False) + "\n" == pipe.getvalue()
    assert "\n" not in document("a\nb", stream=screen)


@pytest.mark.parametrize("stream", [FakeTerminal(), io.StringIO()], ids=["terminal", "pipe"])
def test_what_is_printed_for_people_has_no_control_characters_anywhere(stream: io.StringIO) -> None:
    tree = Tree(PLANTED)
    tree.add(PLANTED).add(Text(PLANTED))
    with redirect_stdout(stream):
        out = terminal()
        out.print(PLANTED.replace("\n", " ").replace("\r", " ").replace("\x85", " "))
        out.print(Text(one_line(PLANTED), style="red"))
        print_fact(out, "reason", PLANTED)
        out.print(full_table(out, ["reason"], [(PLANTED,)]))
        out.print(tree)
    text = re.sub(rf"\n *[│├└─ ]*{FORGED}", "", stream.getvalue())  # a tree has the lines of its labels
    assert [] == obeyed(text)
    assert "\\x1b[2J" in stream.getvalue()


def test_styles_stay_on_their_characters() -> None:
    text = Text.assemble(("a\x1b", "red"), "\u202e", ("b", "green"))
    clean = printable_text(text)
    assert "a\\x1b\\u202eb" == clean.plain
    assert [("a\\x1b", "red"), ("b", "green")] == [(clean.plain[s.start : s.end], s.style) for s in clean.spans]
    assert text is printable_text(text, keep="\x1b\u202e")


def test_csv_on_a_terminal_is_one_line_a_row(capsys: pytest.CaptureFixture[str]) -> None:
    with terminal_of(80) as (out, _):
        print_csv(Listing(("reasoning",), [{"reasoning": PLANTED}, {"reasoning": "two\nlines"}]))
    assert [] == obeyed(out.getvalue())
    assert ["reasoning", '"two\\nlines"'] == [out.getvalue().splitlines()[index] for index in (0, 2)]
    print_csv(Listing(("reasoning",), [{"reasoning": PLANTED}]))
    assert PLANTED in capsys.readouterr().out


def test_a_text_for_programs_is_exact_in_a_pipe_alone() -> None:
    screen, pipe = FakeTerminal(), io.StringIO()
    for stream in (screen, pipe):
        print_exactly('paper_up{portfolio="\x9b2J"} 1\n', stream)
    assert 'paper_up{portfolio="\\x9b2J"} 1\n' == screen.getvalue()
    assert 'paper_up{portfolio="\x9b2J"} 1\n' == pipe.getvalue()


@pytest.mark.parametrize("stream", [FakeTerminal(), io.StringIO()], ids=["terminal", "pipe"])
def test_a_line_of_the_log_is_printable_and_no_other_line_looks_like_one(stream: io.StringIO, tmp_path: Path) -> None:
    with redirect_stderr(stream):
        logs.to_terminal("INFO")
        path = logs.to_file(tmp_path, "INFO")
        logger.info("rejected: {}", f"{PLANTED}\n2026-01-31 12:00:00 UTC INFO    all is well")
        print_for_people(PLANTED.translate({10: " ", 13: " ", 0x85: " "}))
        logger.complete()
        logger.remove()
    lines = stream.getvalue().splitlines()
    assert 1 == sum("rejected" in line for line in lines)
    assert [] == [line for line in lines if line.startswith("2026-01-31 12:00:00")]
    assert [] == obeyed(stream.getvalue().replace(f"\n    {FORGED}", ""))
    stored = path.read_text(encoding="utf-8")
    assert [] == obeyed(stored)
    assert PLANTED in json.loads(stored)["message"]


def until_closed(terminal: int) -> bytes:
    """Return all that was written to a terminal; one read may return a part of it."""
    data = b""
    while True:
        try:
            part = os.read(terminal, 65536)
        except OSError:  # Linux ends it so
            return data
        if not part:
            return data
        data += part


def test_the_live_view_draws_no_control_characters() -> None:
    outer, inner = pty.openpty()
    with os.fdopen(inner, "w", encoding="utf-8") as stream, pytest.MonkeyPatch.context() as patch:
        patch.setenv("TERM", "xterm")
        with Terminal(stream) as screen:
            screen.paint([Text(PLANTED, end=""), Text("next", end="")], os.terminal_size((400, 3)))
    data = until_closed(outer).decode()
    os.close(outer)
    assert [] == obeyed(data, TOP)
    assert re.search(r"\x1b\[2;1Hnext", data)


def test_a_question_shows_what_it_is_about_on_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    questions: list[str] = []
    monkeypatch.setattr("typer.confirm", lambda text, err: questions.append(text) or err)
    assert confirmed(f"close {PLANTED}?")
    assert ([], False) == (obeyed(questions[0]), "\n" in questions[0])


def test_a_shell_is_offered_only_names_that_can_be_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("console.database.running_url", lambda _: "postgresql://h/db")
    monkeypatch.setattr("persistence.queries.references.portfolio_names", lambda _: ["default", "de\x9bfault"])
    context = type("Context", (), {"params": {}})()
    assert ["default"] == completion.portfolio_names(context, "de")


@pytest.mark.parametrize("number", ["1" * 70 + ".5", "0." + "1" * 300, "1" * 32_000 + "." + "1" * 32_000])
def test_a_number_that_is_none_of_this_program_stays_as_it_is(number: str) -> None:
    assert f"no symbol {number}" == sentence(f"no symbol {number}")
    assert "2,038.04" == sentence("2038.0403324925")


def test_an_alarm_is_one_line_without_control_characters() -> None:
    assert [] == obeyed(alarm_text(PLANTED))
    assert "\n" not in alarm_text(PLANTED)


def test_the_prompt_offers_only_names_that_can_be_shown() -> None:
    session = cast(
        "Session",
        SimpleNamespace(hello={"symbols": ["BTC/USDT", "B\u202eC"], "actors": [], "portfolios": [], "decisions": []}),
    )
    completer = CommandCompleter(session)
    assert ["BTC/USDT"] == [name for name, _ in completer._of_kind(SYMBOL)]
