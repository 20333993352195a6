"""Completion in shells: what typer's scripts ask this program."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import typer

from console import completion
from console.cli import COMMANDS, _command_line, main

ROOT = Path(__file__).parents[4]
Complete = Callable[..., list[str]]
COMPLETE = {"_PAPER_TRADING_COMPLETE": "complete_zsh"}


@pytest.fixture
def complete(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Complete:
    """Returns the completions of the last of the typed words, as the script of bash gets them."""

    def completions(*typed: str) -> list[str]:
        monkeypatch.setattr(sys, "argv", ["/usr/bin/paper-trading"])
        monkeypatch.setenv("_PAPER_TRADING_COMPLETE", "complete_bash")
        monkeypatch.setenv("COMP_WORDS", "\n".join(["paper-trading", *typed]))
        monkeypatch.setenv("COMP_CWORD", str(len(typed)))
        words = completion.words_to_complete()
        assert words is not None
        with pytest.raises(SystemExit) as ended:
            _command_line(words[0]).main(args=[], prog_name="paper-trading", standalone_mode=False)
        assert 0 == ended.value.code
        return capsys.readouterr().out.split()

    return completions


@pytest.mark.parametrize(
    ("typed", "completions"),
    [
        ([""], list(COMMANDS)),
        (["po"], ["portfolio", "positions"]),
        (["--sh"], ["--show-completion"]),
        (["trades", "--s"], ["--symbol", "--strategy", "--since"]),
        (["orders", "--op"], ["--open"]),
        (["orders", "--status", "c"], ["cancelled"]),
        (["decisions", "--status", "e"], ["executed", "expired"]),
        (["logs", "--level", "WA"], ["WARNING"]),
        (["decide", "B"], ["BUY"]),
        (["portfolio", "dep"], ["deposit"]),
    ],
)  # fmt: skip
def test_commands_options_and_words_are_completed(complete: Complete, typed: list[str], completions: list[str]) -> None:
    assert completions == complete(*typed)


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({}, None),
        ({"_PAPER_TRADING_COMPLETE": "source_bash"}, [""]),
        (COMPLETE | {"_TYPER_COMPLETE_ARGS": "paper-trading trades --s"}, ["trades", "--s"]),
        (COMPLETE | {"COMP_WORDS": "paper-trading\nhalt\n--reason\n'it"}, ["halt", "--reason", "'it"]),
    ],
)
def test_the_typed_words_come_in_a_variable(
    variables: dict[str, str], words: list[str] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["/usr/bin/paper-trading"])
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert words == completion.words_to_complete()


def test_no_command_is_imported_to_complete_its_name() -> None:
    script = "import sys; sys.argv[0] = 'run.py'; from console.cli import main\n"
    script += "try: main()\nfinally: print(sorted(name for name in sys.modules), file=sys.stderr)"
    variables = {"_RUN.PY_COMPLETE": "complete_bash", "COMP_WORDS": "run.py\nexpl", "COMP_CWORD": "1"}
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=os.environ | variables,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (0, "explain\n") == (done.returncode, done.stdout)
    for heavy in ("sqlalchemy", "psycopg", "pydantic_settings", "ccxt", "pykka", "actors"):
        assert f"'{heavy}'" not in done.stderr, heavy


@pytest.mark.parametrize("option", completion.OPTIONS)
def test_a_command_of_several_words_cannot_be_completed(
    option: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("console.cli.command_name", lambda: "python -m run")
    assert 2 == main([option])
    expected = "python -m run: completion is for a command of one word, such as paper-trading\n"
    assert expected == capsys.readouterr().err


def test_names_of_an_embedded_database_that_does_not_run_are_not_looked_up(tmp_path: Path) -> None:
    context = cast("typer.Context", SimpleNamespace(params={"home": str(tmp_path)}))
    assert [] == completion.portfolio_names(context, "")
    assert [] == list(tmp_path.iterdir())


def test_a_setting_that_is_wrong_has_no_names(tmp_path: Path) -> None:
    params: dict[str, Any] = {"config": str(tmp_path / "missing.toml")}
    assert [] == completion.symbol_names(cast("typer.Context", SimpleNamespace(params=params)), "")
