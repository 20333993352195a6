"""Block bootstrap of daily returns: what the same days would have brought in another order.

Days follow each other with a memory (quiet and wild times), so whole blocks of them are drawn, not single days. Source:
D. N. Politis and J. P. Romano, *The Stationary Bootstrap*, Journal of the American Statistical Association 89 (1994):
blocks begin anywhere, have a geometric length, and go on at the first day after the last one. The mean length of the
blocks is that of D. N. Politis and H. White, *Automatic Block-Length Selection for the Dependent Bootstrap*,
Econometric Reviews 23 (2004), as A. Patton, D. N. Politis and H. White corrected it in volume 28 (2009).

The same seed gives the same digits on every machine: the random numbers are the raw ones of PCG64, whose stream numpy
never changes, a path is a plain product, and a band is a value of some path, without interpolation.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

import numpy as np

from domain.analytics.report_parts.monte_carlo import SHARES, Band, BandPoint, MonteCarlo
from domain.analytics.returns import DAY, DailyReturns, Valuation, max_drawdown
from domain.trading.arithmetic import ONE, ZERO, divide, money, multiply, rate, subtract
from research.statistics.sharpe import FloatArray, IntArray

MAX_POINTS = 60
"""So many days of a path have a band in the chart."""
LENGTH_DIGITS = 2
"""The mean length of blocks is rounded to a hundredth of a day."""
DAYS_AT_ONCE = 500_000
"""Paths are made in groups of so many days together, about 30 MB."""


@dataclass(frozen=True, slots=True)
class Paths:
    """Resampled paths; a row is a path, and each begins with a value of 1.

    Attributes:
        ends: the value of each at its end.
        falls: the deepest fall of each, a fraction of its peak.
        values: the value of each at the end of the days of `kept`.
        kept: these days, counted from 0.
    """

    ends: FloatArray
    falls: FloatArray
    values: FloatArray
    kept: IntArray


def block_length(returns: FloatArray) -> float:
    """Return the mean length of blocks that fits the memory of a series, in days; 1 where it has none.

    b = (2 G² / D)^(1/3) · n^(1/3) with G = Σ λ(k/M) |k| R(k) and D = 2 (Σ λ(k/M) R(k))², R the autocovariance and λ the
    flat-top window of Politis and Romano. M is twice the lag after which no autocorrelation is significant any more.
    At most min(3 √n, n / 3), as in the code that Patton has published.
    """
    count = len(returns)
    centred = returns - math.fsum(returns) / count
    run = max(5, math.ceil(math.log10(count) ** 0.5))
    most = min(math.ceil(count**0.5) + run, count - 1)
    # `fsum` is exact, where the order of numpy's additions depends on the machine.
    covariance = np.array([math.fsum(centred[lag:] * centred[: count - lag]) / count for lag in range(most + 1)])
    if covariance[0] <= 0.0:
        return 1.0
    bound = 2.0 * math.sqrt(math.log10(count) / count)
    significant = np.abs(covariance / covariance[0]) >= bound
    quiet = next((lag for lag in range(most - run + 1) if not significant[lag + 1 : lag + 1 + run].any()), None)
    width = most if quiet is None else min(2 * max(quiet, 1), most)
    lags = np.arange(1, width + 1)
    window = np.minimum(1.0, 2.0 * (1.0 - lags / width))
    weighted = 2.0 * math.fsum(window * lags * covariance[1 : width + 1])
    spectrum = float(covariance[0]) + 2.0 * math.fsum(window * covariance[1 : width + 1])
    longest = float(math.ceil(min(3.0 * math.sqrt(count), count / 3.0)))
    if spectrum <= 0.0:
        return longest
    length = float((weighted**2 / spectrum**2) ** (1.0 / 3.0) * count ** (1.0 / 3.0))
    return round(min(max(length, 1.0), longest), LENGTH_DIGITS)


def resampled_days(draws: FloatArray, starts: IntArray, length: float) -> IntArray:
    """Return the day that stands at each place of each path.

    Args:
        draws: uniform, from 0 to 1: a place begins a new block where its draw is below 1 / ``length``.
        starts: the day at which the block of each place would begin.
        length: mean length of the blocks, at least 1.
    """
    days = draws.shape[1]
    begins = draws < 1.0 / length
    begins[:, 0] = True
    places = np.arange(days)
    begun = np.maximum.accumulate(np.where(begins, places, 0), axis=1)
    return np.asarray((np.take_along_axis(starts, begun, axis=1) + places - begun) % days, np.int64)


def resampled_paths(returns: FloatArray, paths: int, seed: int, length: float) -> Paths:
    """Return paths of as many days as there are returns.

    Args:
        returns: of the days, oldest first.
        paths: their number.
        seed: of the random numbers, not negative.
        length: mean length of the blocks, in days.
    """
    days = len(returns)
    numbers = np.random.PCG64(seed)
    kept = np.unique(np.linspace(0, days - 1, min(MAX_POINTS, days)).round().astype(np.int64))
    ends, falls, values = np.empty(paths), np.empty(paths), np.empty((paths, len(kept)))
    together = max(DAYS_AT_ONCE // days, 1)
    # A value that is lost entirely does not come back.
    factors = np.maximum(1.0 + returns, 0.0)
    for first in range(0, paths, together):
        count = min(together, paths - first)
        # The numbers of a path follow each other, so that the size of the groups changes nothing.
        raw = numbers.random_raw(count * 2 * days).reshape(count, 2, days)
        uniform = (raw >> np.uint64(11)).astype(np.float64) * 2.0**-53
        starts = (uniform[:, 1] * days).astype(np.int64)
        lines: FloatArray = factors[resampled_days(uniform[:, 0], starts, length)]
        lines = np.multiply.accumulate(lines, axis=1)
        ends[first : first + count] = lines[:, -1]
        falls[first : first + count] = deepest_falls(lines)
        values[first : first + count] = lines[:, kept]
    return Paths(ends, falls, values, kept)


def deepest_falls(lines: FloatArray) -> FloatArray:
    """Return the deepest fall of each row below an earlier peak, as a share of it; the first peak is 1."""
    peaks = np.maximum(np.maximum.accumulate(lines, axis=1), 1.0)
    return np.asarray((1.0 - lines / peaks).max(axis=1).clip(0.0), np.float64)


def monte_carlo(returns: DailyReturns, opening_value: Decimal, paths: int, seed: int) -> MonteCarlo:
    """Return the bands of value and drawdown that a block bootstrap of daily returns gives.

    Args:
        returns: of a report; below 10 of them, there are no bands.
        opening_value: the value at the beginning, in money.
        paths: number of paths.
        seed: of the random numbers, not negative.
    """
    days = len(returns.values)
    if returns.missing is not None:
        return MonteCarlo(paths, seed, days, missing=returns.missing)
    values = np.array([float(value) for value in returns.values])
    length = block_length(values)
    made = resampled_paths(values, paths, seed, length)
    own: FloatArray = np.multiply.accumulate(np.maximum(1.0 + values, 0.0))[None, :]
    own_fall = deepest_falls(own)[0]

    def worth(growth: Decimal) -> Decimal:
        return money(multiply(opening_value, growth))

    ends = _band(made.ends)
    beginning = Band(*[opening_value] * len(SHARES))
    times: Sequence[datetime] = [close.time for close in returns.closes]
    since = times[0] - DAY
    closing = returns.closes[-1].total_value
    return MonteCarlo(
        paths=paths,
        seed=seed,
        days=days,
        block_days=rate(Decimal(length)),
        end_value=Band(*map(worth, ends)),
        end_change=Band(*(rate(subtract(growth, ONE)) for growth in ends)),
        drawdown=Band(*map(rate, _band(made.falls))),
        losing=_share(made.ends < 1.0),
        deeper=_share(made.falls > own_fall),
        own_value=closing,
        own_change=rate(subtract(divide(closing, opening_value), ONE)),
        own_drawdown=max_drawdown(returns.closes, Valuation(since, opening_value)).fraction,
        curve=(
            BandPoint(since, beginning),
            *(
                BandPoint(times[day], Band(*map(worth, _band(made.values[:, column]))))
                for column, day in enumerate(made.kept)
            ),
        ),
    )


def _band(values: FloatArray) -> tuple[Decimal, ...]:
    """Return the values at or below which the shares of `Band` lie."""
    ordered = np.sort(values)
    places = [max(math.ceil(share * len(ordered)) - 1, 0) for share in SHARES]
    return tuple(Decimal(float(ordered[place])) for place in places)


def _share(matching: np.ndarray) -> Decimal:
    return rate(Decimal(int(matching.sum())) / Decimal(len(matching))) if len(matching) else ZERO
