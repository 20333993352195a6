"""Each command of the program, called wrong, answers with one sentence; each that a document names exists."""

from __future__ import annotations

import re
from typing import Any

import pytest

from console.cli import CONTEXT_SETTINGS, main
from tests.support.command_list import command_of, commands, documented, options_of


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """Return the one line with which a command line is refused as wrong usage."""
    assert 2 == main(list(words)), words
    output = capsys.readouterr()
    assert "" == output.out
    lines = output.err.splitlines()
    assert 1 == len(lines), output.err
    return lines[0]


def required_words(name: str) -> list[str]:
    """Return what a command requires: its arguments and options, each with a value."""
    required = [parameter for parameter in commands()[name].params if parameter.required]
    return ["1" if parameter.param_type_name == "argument" else f"{parameter.opts[0]}=1" for parameter in required]


@pytest.mark.parametrize("name", [name for name in commands() if name not in CONTEXT_SETTINGS])
def test_a_command_refuses_what_it_does_not_know(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = [*name.split(), *required_words(name)]
    assert refused(capsys, *words, "--no-such-option").startswith("run.py: No such option: --no-such-option")
    arguments = [parameter for parameter in commands()[name].params if parameter.param_type_name == "argument"]
    optional = ["1" for parameter in arguments if not parameter.required]
    if all(parameter.nargs == 1 for parameter in arguments):
        sentence = f"run.py: Got unexpected extra argument(s) (surplus); see run.py {name} --help"
        assert sentence == refused(capsys, *words, *optional, "surplus")


def choices() -> list[Any]:
    """Return each option of each command that takes a number."""
    return [
        pytest.param(name.split(), max(parameter.opts, key=len), id=f"{name} {max(parameter.opts, key=len)}")
        for name, command in commands().items()
        for parameter in command.params
        if parameter.param_type_name == "option" and parameter.type_descriptor.annotation in {int, float}
    ]


@pytest.mark.parametrize(("words", "option"), choices())
def test_an_option_refuses_a_value_that_cannot_be(
    words: list[str], option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    sentence = refused(capsys, *words, *required_words(" ".join(words)), f"{option}=x!")
    assert sentence.startswith(f"run.py: Invalid value for '{option}': "), sentence
    assert sentence.endswith(f"; see run.py {' '.join(words)} --help"), sentence


def test_each_command_that_a_document_names_exists_with_its_options() -> None:
    missing = []
    for call in documented():
        if call.words[:1] in {("COMMAND",), ("…",)}:
            continue
        name = command_of(call.words)
        options = {match[1] for argument in call.words if (match := re.match(r"\[?(--[a-z-]+)", argument))} - {"--help"}
        if name is None or options - options_of(name):
            missing.append(f"{call.page}: {' '.join(call.words)}")
    assert missing == []
