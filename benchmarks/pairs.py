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


def quantile_interval(values: Sequence[float], share: float) -> tuple[float, float]:
    """Return an interval between two of the values that holds a quantile with a probability of at least 95 %.

    The number of values below the quantile is binomial (W. J. Conover, Practical Nonparametric Statistics, 1999,
    section 3.2); on each side 2.5 % are left out. With few values the upper end is the largest one, and the
    probability smaller.

    Args:
        values: a sample.
        share: of the quantile: 0.99 for p99.
    """
    ordered, number, tail = sorted(values), len(values), (1 - CONFIDENCE) / 2
    low = high = None
    below = 0.0
    for count in range(number + 1):
        ways = math.lgamma(number + 1) - math.lgamma(count + 1) - math.lgamma(number - count + 1)
        below += math.exp(ways + count * math.log(share) + (number - count) * math.log1p(-share))
        if low is None and below > tail:
            low = max(count - 1, 0)
        if high is None and below >= 1 - tail:
            high = min(count, number - 1)
    assert low is not None
    return ordered[low], ordered[high if high is not None else -1]
