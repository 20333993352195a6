"""Values of a strategy's parameters: whole numbers, exact decimals, and words."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal

from domain.trading.arithmetic import plain

ParameterValue = int | Decimal | str
Parameters = Mapping[str, ParameterValue]

WHOLE = re.compile(r"[+-]?\d{1,18}")
DECIMAL = re.compile(r"[+-]?\d{0,18}\.\d{1,18}")


def parse_value(text: str) -> ParameterValue:
    """Return the value that a text means: ``5`` an int, ``0.50`` the Decimal 0.5, anything else itself."""
    if WHOLE.fullmatch(text):
        return int(text)
    return Decimal(plain(Decimal(text))) if DECIMAL.fullmatch(text) else text


def value_text(value: ParameterValue) -> str:
    """Return a value as text; `parse_value` reads it back. A Decimal that is whole keeps its point: ``5.0``."""
    if not isinstance(value, Decimal):
        return str(value)
    text = plain(value)
    return text if "." in text else f"{text}.0"


def parameters_text(parameters: Parameters) -> str:
    """Format parameters as they are typed: ``fast=5, slow=20``."""
    return ", ".join(f"{name}={value_text(value)}" for name, value in parameters.items()) or "no parameters"


def to_texts(parameters: Parameters) -> dict[str, str]:
    """Return parameters with their values as text, as they are stored."""
    return {name: value_text(value) for name, value in parameters.items()}


def from_texts(texts: Mapping[str, str]) -> dict[str, ParameterValue]:
    """Return the parameters that `to_texts` wrote."""
    return {name: parse_value(text) for name, text in texts.items()}
