"""The table of commands names modules and attributes that exist."""

from __future__ import annotations

import importlib

import pytest

from console.cli import COMMANDS


@pytest.mark.parametrize("name", COMMANDS)
def test_the_entry_of_a_command_names_an_attribute_of_a_module(name: str) -> None:
    place, summary = COMMANDS[name]
    module, _, attribute = place.partition(":")
    assert callable(getattr(importlib.import_module(module), attribute))
    assert summary.endswith(".")
