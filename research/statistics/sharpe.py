"""Sharpe ratios of many return series at once, in floating point.

The definitions are those of `domain.analytics.returns` and `domain.analytics.significance`, which compute one series in
exact decimals; a sweep has hundreds of series, and none of its ratios is an amount.
"""

from __future__ import annotations

from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

from domain.analytics.performance_metric import MIN_DEVIATION, MIN_MEAN, PerformanceMetric, undefined
from domain.analytics.returns import MIN_RETURNS, NEARLY_CONSTANT
from domain.analytics.significance import Shape

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


def nearly_constant(means: FloatArray, deviations: FloatArray) -> NDArray[np.bool_]:
    """Return which series differ too little for a ratio, by the rule of `domain.analytics.performance_metric`."""
    level = np.maximum(np.abs(means), float(MIN_MEAN))
    return np.asarray(deviations <= float(MIN_DEVIATION) * level, np.bool_)


def sharpe_ratios(returns: FloatArray) -> FloatArray:
    """Return mean / sample standard deviation of each column, of one period; 0 where a column is nearly constant.

    A trial that never traded has returns of 0. It is one of the trials, and it earned nothing for no risk.

    Args:
        returns: a row a period, at least two; a column a series.
    """
    means, deviations = returns.mean(axis=0), returns.std(axis=0, ddof=1)
    constant = nearly_constant(means, deviations)
    return np.where(constant, 0.0, means / np.where(constant, 1.0, deviations))


def shape_of(returns: FloatArray) -> Shape | PerformanceMetric:
    """Return the statistics of one series for the formulas of `domain.analytics.significance`.

    Returns:
        The same numbers as `domain.analytics.significance.shape`, to the digits of floating point; an undefined metric
        below 10 returns, or where they are nearly constant.
    """
    count = len(returns)
    if count < MIN_RETURNS:
        return undefined(f"{count} of at least {MIN_RETURNS} daily returns")
    mean, deviation = returns.mean(), returns.std(ddof=1)
    if nearly_constant(mean, deviation):
        return undefined(NEARLY_CONSTANT)
    centred = returns - mean
    second, third, fourth = (float(np.mean(centred**order)) for order in (2, 3, 4))
    return Shape(
        count, Decimal(float(mean / deviation)), Decimal(third / second**1.5), Decimal(fourth / (second * second))
    )
