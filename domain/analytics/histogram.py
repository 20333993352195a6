"""Histograms whose intervals have round bounds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_FLOOR, Decimal

from domain.trading.arithmetic import CONTEXT, ONE, ZERO, divide, multiply, subtract

WIDTHS = tuple(map(Decimal, ("1", "2", "2.5", "5", "10")))


@dataclass(frozen=True, slots=True)
class Bin:
    """Values from ``low`` up to but not ``high``."""

    low: Decimal
    high: Decimal
    number: int


def histogram(values: Sequence[Decimal], max_bins: int = 40) -> tuple[Bin, ...]:
    """Count values in intervals of equal width: 1, 2, 2.5 or 5 times a power of ten. 0 is always a bound.

    Args:
        values: values in any order.
        max_bins: at least 3.
    """
    if not values:
        return ()
    width = _width(subtract(max(values), min(values)), max_bins - 1) or min(ONE.scaleb(values[0].adjusted()), ONE)
    counted = Counter(int(divide(value, width).to_integral_value(ROUND_FLOOR, CONTEXT)) for value in values)
    return tuple(
        Bin(multiply(Decimal(index), width), multiply(Decimal(index + 1), width), counted[index])
        for index in range(min(counted), max(counted) + 1)
    )


def _width(span: Decimal, bins: int) -> Decimal:
    """Return the smallest round width of which ``bins`` intervals cover the span; 0 for none."""
    if not span:
        return ZERO
    minimum = divide(span, Decimal(bins))
    power = ONE.scaleb(minimum.adjusted())
    return next(width for factor in WIDTHS if (width := multiply(factor, power)) >= minimum)
