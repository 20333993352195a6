"""Objectives of a sweep: what makes one trial better than another, computed from daily returns.

A higher value is better. The definitions are those of `domain.analytics.returns`, in floating point and for many trials
at once. Where a ratio does not exist it is 0: a trial that never traded is neither good nor bad.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from domain.errors import InvalidRequest
from domain.wording import did_you_mean, quoted
from research.statistics.sharpe import FloatArray, sharpe_ratios

Objective = Callable[[FloatArray, int], FloatArray]
"""Takes returns (a row a day, a column a trial) and the trading days of a year; returns a value for each trial."""


def sharpe(returns: FloatArray, days_per_year: int) -> FloatArray:
    """Return the annual Sharpe ratio of each column."""
    if len(returns) < 2:
        return np.zeros(returns.shape[1])
    return np.asarray(sharpe_ratios(returns) * np.sqrt(days_per_year), np.float64)


def sortino(returns: FloatArray, days_per_year: int) -> FloatArray:
    """Return the annual Sortino ratio of each column: mean(r) / √(Σ min(r, 0)² / n) × √D."""
    downside = np.sqrt(np.mean(np.minimum(returns, 0.0) ** 2, axis=0))
    ratios = returns.mean(axis=0) / np.where(downside > 0.0, downside, 1.0)
    return np.where(downside > 0.0, ratios * np.sqrt(days_per_year), 0.0)


def total_return(returns: FloatArray, days_per_year: int) -> FloatArray:  # noqa: ARG001 - all objectives are called alike
    """Return the growth of each column: Π(1 + r) − 1."""
    return np.asarray(np.prod(1.0 + returns, axis=0) - 1.0, np.float64)


def max_drawdown(returns: FloatArray) -> FloatArray:
    """Return the deepest fall of each column below an earlier peak, the beginning included, as a share of it."""
    values = np.vstack([np.ones(returns.shape[1]), np.cumprod(1.0 + returns, axis=0)])
    peaks = np.maximum.accumulate(values, axis=0)
    return np.asarray((1.0 - values / peaks).max(axis=0), np.float64)


def calmar(returns: FloatArray, days_per_year: int) -> FloatArray:
    """Return the compound annual growth of each column over its maximum drawdown."""
    growth = np.maximum(1.0 + total_return(returns, days_per_year), 0.0)
    annual = growth ** (days_per_year / len(returns)) - 1.0
    falls = max_drawdown(returns)
    return np.where(falls > 0.0, annual / np.where(falls > 0.0, falls, 1.0), 0.0)


def drawdown(returns: FloatArray, days_per_year: int) -> FloatArray:  # noqa: ARG001 - all objectives are called alike
    """Return minus the maximum drawdown of each column, so that the smallest fall is the best."""
    return -max_drawdown(returns)


OBJECTIVES: Mapping[str, Objective] = {
    "sharpe": sharpe, "sortino": sortino, "calmar": calmar, "return": total_return, "drawdown": drawdown
}  # fmt: skip
"""The objectives by the names that ``--objective`` takes."""


def objective_named(name: str) -> Objective:
    """Return the objective of a name.

    Raises:
        InvalidRequest: there is none of that name.
    """
    if name not in OBJECTIVES:
        hint = did_you_mean(name, OBJECTIVES) or f"; there are {', '.join(OBJECTIVES)}"
        raise InvalidRequest(f"there is no objective {quoted(name)}{hint}")
    return OBJECTIVES[name]
