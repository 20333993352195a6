"""The reference of settings: name, unit, default, allowed values, meaning and example, read from the fields themselves.

``run.py check --explain NAME`` prints one entry, and docs/settings.md holds all of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import annotated_types
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from domain.trading.arithmetic import plain
from domain.wording import PATTERNS

VARIABLE_PREFIX = "PAPER_"
"""An environment variable with this prefix and the name of a setting in upper case sets it."""
SHORTEST_POWER_OF_TEN = Decimal("1e15")
"""From here on a number is written as 1e15, because nobody counts that many zeros."""
BOUNDS = {
    annotated_types.Gt: ("above", "gt"),
    annotated_types.Ge: ("at least", "ge"),
    annotated_types.Lt: ("below", "lt"),
    annotated_types.Le: ("at most", "le"),
}


@dataclass(frozen=True, slots=True)
class Unit:
    """The unit of a setting, as metadata of its field: ``s``, ``days``, ``fraction``."""

    name: str


@dataclass(frozen=True, slots=True)
class Form:
    """What a setting that is not a number looks like, as metadata of its field."""

    text: str


@dataclass(frozen=True, slots=True)
class SettingReference:
    """What a user needs to know about one setting.

    Attributes:
        name: in ``paper.toml`` and in Python.
        variable: the environment variable that sets it.
        unit: of a number; empty for everything else.
        default: as a person reads it; None if there is none.
        allowed: the allowed values.
        meaning: one or two sentences.
        example: a line of ``paper.toml``.
    """

    name: str
    variable: str
    unit: str
    default: str | None
    allowed: str
    meaning: str
    example: str


def setting_references(fields: Mapping[str, FieldInfo]) -> list[SettingReference]:
    """Return the reference of each setting, in the order of the fields."""
    return [_reference(name, field) for name, field in fields.items()]


def _reference(name: str, field: FieldInfo) -> SettingReference:
    return SettingReference(
        name=name,
        variable=f"{VARIABLE_PREFIX}{name}".upper(),
        unit=next((item.name for item in field.metadata if isinstance(item, Unit)), ""),
        default=_plain_text(field.get_default(call_default_factory=True, validated_data={})),
        allowed=_allowed(field),
        meaning=field.description or "",
        example=f"{name} = {_toml((field.examples or [None])[0])}",
    )


def _allowed(field: FieldInfo) -> str:
    for item in field.metadata:
        if isinstance(item, Form):
            return item.text
        pattern = getattr(item, "pattern", None)
        if pattern is not None:
            return PATTERNS[pattern].removeprefix("must be ")
    bounds = [
        f"{text} {_plain_text(getattr(item, attribute))}"
        for item in field.metadata
        for kind, (text, attribute) in BOUNDS.items()
        if isinstance(item, kind)
    ]
    number = "whole number" if field.annotation in {int, int | None} else "number"
    return ", ".join([number, *bounds])


def _plain_text(value: object) -> str | None:
    """Return a default or a bound for a person; None if there is no value."""
    if value is None or value is PydanticUndefined or value == {}:
        return None
    if isinstance(value, tuple):
        return ", ".join(value)
    if isinstance(value, float):
        return f"{value:.15g}"
    if isinstance(value, Decimal):
        return f"{value:E}".replace("E+", "e") if abs(value) >= SHORTEST_POWER_OF_TEN else plain(value)
    return str(value)


def _toml(value: Any) -> str:
    """Return a value as ``paper.toml`` holds it."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{name} = {_toml(item)}" for name, item in value.items()) + " }"
    if isinstance(value, list):
        return f"[{', '.join(_toml(item) for item in value)}]"
    return f'"{value}"' if isinstance(value, str) else str(_plain_text(value))
