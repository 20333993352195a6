"""Ratios of paired measurements, with an interval that assumes nothing about how they are distributed."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

LEAST_PAIRS = 11
"""Pairs below which no ratio is reported."""
CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Ratio:
    """The median of paired ratios, and the interval that holds the true median with a probability of at least 95 %."""

    median: float
    low: float
    high: float

    def verdict(self, limit: float) -> str:
        """Return ``kept``, ``broken``, or ``open`` where the interval holds the limit itself."""
        return "kept" if self.high <= limit else "broken" if self.low > limit else "open"

    def __str__(self) -> str:
        return f"{self.median:.3f} [{self.low:.3f}, {self.high:.3f}]"


def ratio_of(pairs: Sequence[tuple[float, float]]) -> Ratio:
    """Return the ratio of the second to the first value of each pair.

    The interval runs from the k-th smallest to the k-th largest ratio, with the greatest k for which the sign test
    still gives 95 % (W. J. Conover, Practical Nonparametric Statistics, 1999, section 3.2).

    Raises:
        ValueError: there are fewer than `LEAST_PAIRS` pairs.
    """
    if len(pairs) < LEAST_PAIRS:
        raise ValueError(f"{len(pairs)} pairs: at least {LEAST_PAIRS} are needed")
    ratios = sorted(second / first for first, second in pairs)
    outside, k = 0.0, 0
    while True:
        outside += 2 * math.comb(len(ratios), k) / 2 ** len(ratios)
        if outside > 1 - CONFIDENCE:
            break
        k += 1
    return Ratio(statistics.median(ratios), ratios[k - 1], ratios[-k])
