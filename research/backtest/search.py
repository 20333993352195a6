"""The search for the next bar that reaches a level of an open order."""

from __future__ import annotations

from decimal import Decimal

import numpy as np

from research.columns.bar_columns import BarColumns
from research.columns.scaled import integer_above, integer_below, within

FIRST_CHUNK, LAST_CHUNK = 64, 65_536
"""Bars that are compared at once: few at first, because most levels are near, then more and more."""


def next_reached(columns: BarColumns, first: int, down: Decimal | None, up: Decimal | None) -> int | None:
    """Return the number of the next bar with a price at ``down`` or below it, or at ``up`` or above it.

    Args:
        columns: the bars.
        first: where the search begins.
        down: None: no level.
        up: None: no level.

    Returns:
        The bar's number; None where no later bar reaches a level.
    """
    lowest, highest, count, size = columns.lowest, columns.highest, len(columns), FIRST_CHUNK
    floor = within(integer_below(down, columns.price_scale), lowest) if down is not None else None
    ceiling = within(integer_above(up, columns.price_scale), highest) if up is not None else None
    while first < count:
        last = min(first + size, count)
        if floor is None:
            reached = highest[first:last] >= ceiling
        elif ceiling is None:
            reached = lowest[first:last] <= floor
        else:
            reached = (lowest[first:last] <= floor) | (highest[first:last] >= ceiling)
        place = int(np.argmax(reached))
        if reached[place]:
            return first + place
        first, size = last, min(size * 4, LAST_CHUNK)
    return None


def open_reaches(columns: BarColumns, bar: int, down: Decimal | None, up: Decimal | None) -> bool:
    """Return whether the open of a bar reaches a level."""
    value = int(columns.open[bar])
    if down is not None and value <= integer_below(down, columns.price_scale):
        return True
    return up is not None and value >= integer_above(up, columns.price_scale)
