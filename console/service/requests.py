"""Type of the commands that a running service answers, and the reading of their arguments."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from domain.errors import InvalidRequest

Arguments = Mapping[str, Any]
"""Arguments of a request by name, and the name of its user as ``who``."""

Command = Callable[[Arguments], Any]
"""Takes the arguments of a request and returns the answer.

A generator yields several answers. Each is sent at once; None is not sent, but lets the server check whether the client
is still connected.
"""


def required_text(arguments: Arguments, name: str) -> str:
    """Return a required argument.

    Raises:
        InvalidRequest: it is missing.
    """
    value = arguments.get(name)
    if not isinstance(value, str | int) or value == "":
        raise InvalidRequest(f"{name} is missing")
    return str(value)


def optional_text(arguments: Arguments, name: str) -> str | None:
    """Return an optional argument; None if it is missing."""
    value = arguments.get(name)
    return None if value is None else str(value)


def bounded_integer(arguments: Arguments, name: str, default: int, maximum: int) -> int:
    """Return an integer argument from 1 to ``maximum``.

    Raises:
        InvalidRequest: the argument is no such integer.
    """
    value = arguments.get(name)
    try:
        number = default if value is None else int(str(value))
    except ValueError:
        number = 0
    if not 1 <= number <= maximum:
        raise InvalidRequest(f"{name} must be a whole number from 1 to {maximum}")
    return number
