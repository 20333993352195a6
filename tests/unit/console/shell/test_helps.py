"""The help of each option is a sentence about it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from console.cli import COMMANDS, _command_line


def parameters(command: Any) -> Iterator[Any]:
    for member in getattr(command, "commands", {}).values():
        yield from parameters(member)
    yield from command.params


def commands(command: Any) -> Iterator[Any]:
    yield command
    for member in getattr(command, "commands", {}).values():
        yield from commands(member)


def test_an_example_with_its_meaning_beside_it_fits_80_columns() -> None:
    helps = {one.help for name in COMMANDS for one in commands(_command_line(name))}
    lines = {f"  {line}" for text in helps for line in (text or "").splitlines() if " run.py " in f" {line.strip()}"}
    assert [] == [line for line in lines if "  " in line.strip() and len(line) > 80]
    assert any("a tour; needs no setup" in line for line in lines)


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_an_option_is_a_sentence(name: str) -> None:
    texts = {parameter.name: parameter.help or "" for parameter in parameters(_command_line(name).commands[name])}
    assert {} == {option: text for option, text in texts.items() if text.startswith("Of ") or not text.endswith(".")}
