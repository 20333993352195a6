"""What a person types wrong gets one sentence in the program's own words, not in a library's or the database's."""

from __future__ import annotations

import json

import pytest

from console.cli import main
from persistence.stores import portfolios

SYMBOLS = "must be separated by commas, such as BTC/USDT, ETH/USDT; 'BTCUSDT;ETH' is no symbol"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("decisions --limit x", "Invalid value for '--limit': must be a whole number; see run.py decisions --help"),
        ("decisions --limit 0", "Invalid value for '--limit': must be at least 1; see run.py decisions --help"),
        ("demo --seconds x", "Invalid value for '--seconds': must be a number; see run.py demo --help"),
        ("start --symbols BTCUSDT;ETH", f"setting symbols = 'BTCUSDT;ETH': {SYMBOLS}"),
    ],
)
def test_a_value_that_cannot_be_read(words: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert 2 == main(words.split())
    assert f"run.py: {message}\n" == capsys.readouterr().err


def test_halt_and_resume_say_what_they_did(embedded_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    def run(*words: str) -> tuple[int, str, str]:
        code = main([*words, "--database-url", embedded_url])
        output = capsys.readouterr()
        return code, output.out, output.err

    for name in ("first", "second"):
        portfolios.create(embedded_url, name, {"initial_capital": 1000})
    for command in ("halt", "resume"):
        assert (2, "", "run.py: --reason must not be empty\n") == run(command, "--reason", " ")
    assert (0, "no portfolio was halted\n", "") == run("resume")
    assert (0, "portfolio first was not halted\n", "") == run("resume", "--portfolio", "first")
    assert (0, "every portfolio is halted: storm\n", "") == run("halt", "--reason", "storm")
    assert (0, "portfolio first trades again: calm\n", "") == run("resume", "--portfolio", "first", "--reason", "calm")
    code, out, _ = run("resume", "--json")
    assert (0, ["second"]) == (code, json.loads(out)["were_halted"])


def test_a_command_that_validate_does_not_have(embedded_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert 2 == main(["validate", "strat", "--database-url", embedded_url])
    assert "run.py: there is no validation run 'strat'; did you mean start?\n" == capsys.readouterr().err
