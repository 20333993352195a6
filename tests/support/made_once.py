"""What each command makes anew, and a process of tests that runs thousands of them needs once."""

from __future__ import annotations

from functools import cache
from typing import Any

from loguru._better_exceptions import ExceptionFormatter

from console import cli, completion
from domain.program import command_name


def make_once() -> None:
    """Keep what does not change: the command lines, and the folders of Python's own modules, for loguru."""
    build = cli._command_line

    @cache
    def built(command: str, _name: str, _completes: bool) -> Any:
        return build(command)

    def command_line(command: str) -> Any:
        return built(command, command_name(), completion.words_to_complete() is not None)

    cli._command_line = command_line
    ExceptionFormatter._get_lib_dirs = staticmethod(cache(ExceptionFormatter._get_lib_dirs))
