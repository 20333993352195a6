"""The list of the program's commands, and the commands that the documents name."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from console.cli import COMMANDS, _command_line

ROOT = Path(__file__).parents[2]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "deploy").glob("*.md")))
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"`([^`\n]+)`")
CALLED = re.compile(r"^(?:\$ )?(?:\.venv/bin/python )?run\.py(?: (.*))?$")
"""A line that calls the program, as the documents write it."""
COMMENT = re.compile(r" {2,}\S.*$| # .*$")
"""What stands beside a command: a remark after two blanks or more, or after a `#`."""


@dataclass(frozen=True)
class Documented:
    """A command that a document names.

    Attributes:
        page: name of the file.
        words: after `run.py`.
        in_block: whether it stands in a block of code, to be typed as it is, or within a sentence.
    """

    page: str
    words: tuple[str, ...]
    in_block: bool


@cache
def commands() -> dict[str, Any]:
    """Return each command of the program by its words, such as ``portfolio list``, as typer knows it."""
    by_name: dict[str, Any] = {}
    for name in COMMANDS:
        by_name |= _members(name, _command_line(name).commands[name])
    return by_name


def _members(name: str, command: Any) -> dict[str, Any]:
    """Return a command by its name, or those of a group, and of the groups in it."""
    members = getattr(command, "commands", None)
    if not members:
        return {name: command}
    by_name: dict[str, Any] = {}
    for member, part in members.items():
        by_name |= _members(f"{name} {member}", part)
    return by_name


def documented() -> Iterator[Documented]:
    """Yield each call of the program in README, docs and deploy; those with `…` are patterns, and are left out."""
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        blocks = [block for language, block in BLOCK.findall(text) if language in {"", "sh", "bash"}]
        for line in "".join(blocks).splitlines():
            if not line.startswith(" ") and "…" not in line and (call := CALLED.match(COMMENT.sub("", line).strip())):
                yield Documented(page.name, tuple(shlex.split(call[1] or "")), in_block=True)
        for span in SPAN.findall(BLOCK.sub("", text)):
            if (call := CALLED.match(span)) and "…" not in span:
                yield Documented(page.name, tuple(shlex.split(call[1] or "")), in_block=False)


def command_of(words: tuple[str, ...]) -> str | None:
    """Return the name of the command that a command line calls; None if there is none of that name."""
    if not words or words[0].startswith("-"):
        return "start"
    if words[0] == "validate" and " ".join(words[:2]) not in commands():
        return "validate show"
    return next((name for count in (3, 2, 1) if (name := " ".join(words[:count])) in commands()), None)


def options_of(name: str) -> set[str]:
    """Return the options of a command, such as ``--json``."""
    return {option for parameter in commands()[name].params for option in parameter.opts + parameter.secondary_opts}
