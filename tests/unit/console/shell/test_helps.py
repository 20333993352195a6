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


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_an_option_is_a_sentence(name: str) -> None:
    texts = {parameter.name: parameter.help or "" for parameter in parameters(_command_line(name).commands[name])}
    assert {} == {option: text for option, text in texts.items() if text.startswith("Of ") or not text.endswith(".")}
