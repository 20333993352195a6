"""How often values of which size occur, in intervals that a person can read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_FLOOR, Decimal

from domain.trading.arithmetic import CONTEXT, ONE, divide, multiply, subtract

NICE = tuple(map(Decimal, ("1", "2", "2.5", "5", "10")))


@dataclass(frozen=True, slots=True)
class Bin:
    """Values from ``low`` up to but not ``high``."""

    low: Decimal
    high: Decimal
    number: int


def histogram(values: Sequence[Decimal], most: int = 40) -> tuple[Bin, ...]:
    """Count values in intervals of one width, 1, 2, 2.5 or 5 times a power of ten; no interval has both signs.

    Args:
        values: any, in any order.
        most: bins, at least 3.
    """
    if not values:
        return ()
    width = _width(subtract(max(values), min(values)), most - 1)
    counted: dict[int, int] = {}
    for value in values:
        place = int(divide(value, width).to_integral_value(ROUND_FLOOR, CONTEXT))
        counted[place] = counted.get(place, 0) + 1
    places = range(min(counted), max(counted) + 1)
    return tuple(
        Bin(multiply(Decimal(place), width), multiply(Decimal(place + 1), width), counted.get(place, 0))
        for place in places
    )


def _width(span: Decimal, bins: int) -> Decimal:
    """The smallest nice width of which ``bins`` cover the span."""
    if not span:
        return ONE
    least = divide(span, Decimal(bins))
    power = ONE.scaleb(least.adjusted())
    return next(width for nice in NICE if (width := multiply(nice, power)) >= least)
