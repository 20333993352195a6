"""Colours, with the same meaning in every command."""

from __future__ import annotations

from decimal import Decimal

from domain.trading.arithmetic import ZERO

GOOD, BAD, DOUBT, ALARM = "green", "red", "yellow", "bold red"
STATUS_COLOURS = {
    "executed": "green",
    "rejected": "red",
    "expired": "yellow",
    "cancelled": "yellow",
    "ignored": "bright_black",
    "pending": "cyan",
    "open": "cyan",
}
"""Colour of each status of a decision."""


def gain(value: Decimal | None) -> str:
    """Return the colour of a result: green above 0, red below. The sign of the number says the same without colour."""
    if value is None or value == ZERO:
        return ""
    return GOOD if value > ZERO else BAD
