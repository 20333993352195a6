"""Colours, which mean the same in every command."""

from __future__ import annotations

from decimal import Decimal

from domain.trading.arithmetic import ZERO

GOOD, BAD, DOUBT, ALARM = "green", "red", "yellow", "bold red"


def gain(value: Decimal | None) -> str:
    """Return the colour of a result; the sign says the same without colour."""
    if value is None or value == ZERO:
        return ""
    return GOOD if value > ZERO else BAD
