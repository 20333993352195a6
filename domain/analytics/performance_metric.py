"""Performance metrics: a number, or the reason why there is none; never a made-up 0."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from domain.trading.arithmetic import CONTEXT, ZERO, absolute, divide, multiply, rate, subtract, total

MAX_ROUNDED_DIGITS = 40
"""A number with more integer digits is not rounded to 1e-12: it would need more than 60 digits."""
MIN_DEVIATION = Decimal("1e-6")
"""A deviation that is no larger than this share of the mean is noise, such as that of rounded amounts."""
MIN_MEAN = Decimal("1e-6")
"""A smaller mean counts as this one, so that returns of about 0 need a deviation above 1e-12."""


@dataclass(frozen=True, slots=True)
class PerformanceMetric:
    """A number to 1e-12, or the reason why it does not exist; created by `defined` and `undefined`.

    Attributes:
        value: None where there is none.
        reason: why there is none, without a full stop; None where there is one.
    """

    value: Decimal | None
    reason: str | None = None


def defined(value: Decimal) -> PerformanceMetric:
    """Return a metric with this value, rounded once."""
    return PerformanceMetric(value if value.adjusted() > MAX_ROUNDED_DIGITS else rate(value))


def undefined(reason: str) -> PerformanceMetric:
    """Return a metric without a value, with the reason."""
    return PerformanceMetric(None, reason)


def mean(values: Sequence[Decimal]) -> Decimal:
    """Return Σx / n; there must be at least one value."""
    return divide(total(values), Decimal(len(values)))


def average(values: Sequence[Decimal], reason: str) -> PerformanceMetric:
    """Return the mean as a metric; without values, an undefined one with ``reason``."""
    return defined(mean(values)) if values else undefined(reason)


def moment(values: Sequence[Decimal], order: int) -> Decimal:
    """Return the central moment Σ(x − x̄)ᵏ / n, exactly 0 where all values are equal and the order is above 0.

    Args:
        values: at least one.
        order: k.
    """
    if min(values) == max(values):
        # Their rounded mean may differ from them in the last digit; the difference would look like a deviation.
        return ZERO
    centre = mean(values)
    return mean([CONTEXT.power(subtract(value, centre), order) for value in values])


def deviation(values: Sequence[Decimal]) -> Decimal:
    """Return the sample standard deviation √(Σ(x − x̄)² / (n − 1)), exactly 0 where all values are equal.

    Args:
        values: at least two.
    """
    count = Decimal(len(values))
    return CONTEXT.sqrt(divide(multiply(moment(values, 2), count), subtract(count, Decimal(1))))


def nearly_constant(values: Sequence[Decimal]) -> bool:
    """Return whether the deviation of returns is so small beside their mean that a ratio to it means nothing.

    ``v_paper_performance_metrics`` in ``sql/views/2_performance.sql`` has the same rule.

    Args:
        values: fractions, at least two.
    """
    return deviation(values) <= multiply(MIN_DEVIATION, max(absolute(mean(values)), MIN_MEAN))
