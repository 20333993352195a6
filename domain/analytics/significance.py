"""Significance of a Sharpe ratio: the probabilistic and the deflated one, and the minimum track record length.

Sources: D. H. Bailey and M. López de Prado, *The Sharpe Ratio Efficient Frontier*, Journal of Risk 15 (2012), and for
the deflated one *The Deflated Sharpe Ratio*, Journal of Portfolio Management 40 (2014). All Sharpe ratios in the
formulas are of one period, here a day, and never annualised. The kurtosis is the plain one, 3 for a normal
distribution: the excess kurtosis in these formulas would understate fat tails.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal
from statistics import NormalDist

from domain.analytics.performance_metric import (
    PerformanceMetric,
    defined,
    deviation,
    mean,
    moment,
    nearly_constant,
    undefined,
)
from domain.analytics.returns import NEARLY_CONSTANT, DailyReturns
from domain.trading.arithmetic import CONTEXT, ONE, ZERO, add, divide, multiply, subtract

NORMAL = NormalDist()
CONFIDENCE = Decimal("0.95")
NO_VARIANCE = "the Sharpe ratio's own variance is 0"
EULER_MASCHERONI = 0.5772156649015329


@dataclass(frozen=True, slots=True)
class Shape:
    """The statistics of a series of returns that the formulas use.

    Attributes:
        count: n.
        sharpe: mean / sample standard deviation, of one period.
        skewness: γ₃ = m₃ / m₂^(3/2), m being central moments over n.
        kurtosis: γ₄ = m₄ / m₂², 3 for a normal distribution.
    """

    count: int
    sharpe: Decimal
    skewness: Decimal = ZERO
    kurtosis: Decimal = Decimal(3)

    @property
    def variance(self) -> Decimal:
        """(n − 1) × the variance of the Sharpe ratio's estimate: 1 − γ₃·SR + (γ₄ − 1)/4 · SR²."""
        tails = multiply(divide(subtract(self.kurtosis, ONE), Decimal(4)), multiply(self.sharpe, self.sharpe))
        return add(subtract(ONE, multiply(self.skewness, self.sharpe)), tails)


def shape(returns: DailyReturns) -> Shape | PerformanceMetric:
    """Return the shape of daily returns; an undefined metric below 10 returns, or where they are nearly constant."""
    if returns.missing is not None:
        return undefined(returns.missing)
    values = returns.values
    if nearly_constant(values):
        return undefined(NEARLY_CONSTANT)
    second = moment(values, 2)
    skewness = divide(moment(values, 3), multiply(second, CONTEXT.sqrt(second)))
    kurtosis = divide(moment(values, 4), multiply(second, second))
    return Shape(len(values), divide(mean(values), deviation(values)), skewness, kurtosis)


def probability(series: Shape, benchmark: Decimal = ZERO) -> PerformanceMetric:
    """Return PSR(SR*) = Φ((SR − SR*) · √(n − 1) / √(1 − γ₃·SR + (γ₄ − 1)/4 · SR²)), from 0 to 1.

    Args:
        series: statistics of the returns, see `shape`.
        benchmark: SR*, the Sharpe ratio to beat, of one period.
    """
    if series.variance <= ZERO:
        return undefined(NO_VARIANCE)
    distance = multiply(subtract(series.sharpe, benchmark), CONTEXT.sqrt(Decimal(series.count - 1)))
    # A probability is not an amount: floating point is exact enough for the 12 digits that are kept.
    return defined(Decimal(NORMAL.cdf(float(divide(distance, CONTEXT.sqrt(series.variance))))))


def expected_maximum(trials: int, deviation: Decimal) -> Decimal:
    """Return the Sharpe ratio that the best of so many trials without any skill is expected to have.

    SR₀ = σ · ((1 − γ) · Φ⁻¹(1 − 1/N) + γ · Φ⁻¹(1 − 1/(N·e))), γ the Euler–Mascheroni constant; 0 for one trial. It is
    the expected maximum of N independent normal values (Bailey and López de Prado 2014, equation 1).

    Args:
        trials: N, at least 1.
        deviation: σ, the standard deviation of the trials' Sharpe ratios, of one period.
    """
    if trials == 1:
        return ZERO
    maximum = (1 - EULER_MASCHERONI) * NORMAL.inv_cdf(1 - 1 / trials)
    maximum += EULER_MASCHERONI * NORMAL.inv_cdf(1 - 1 / (trials * math.e))
    return multiply(deviation, Decimal(maximum))


def deflated_probability(series: Shape, trials: int, deviation: Decimal) -> PerformanceMetric:
    """Return the deflated Sharpe ratio PSR(SR₀), SR₀ as `expected_maximum` defines it, from 0 to 1.

    It is the probability that the true Sharpe ratio of the best of several trials is above 0, although it was chosen
    because it looked best.

    Args:
        series: statistics of the returns of the best trial.
        trials: how many were tried, at least 1.
        deviation: the standard deviation of their Sharpe ratios, of one period.
    """
    return probability(series, expected_maximum(trials, deviation))


def track_record(series: Shape, benchmark: Decimal = ZERO, confidence: Decimal = CONFIDENCE) -> PerformanceMetric:
    """Return minTRL = 1 + (1 − γ₃·SR + (γ₄ − 1)/4 · SR²) · (Φ⁻¹(confidence) / (SR − SR*))², in returns.

    Args:
        series: statistics of the returns, see `shape`.
        benchmark: SR*, the Sharpe ratio to beat, of one period.
        confidence: the PSR to reach, above 0.5 and below 1.
    """
    if series.variance <= ZERO:
        return undefined(NO_VARIANCE)
    distance = subtract(series.sharpe, benchmark)
    if distance <= ZERO:
        return undefined("the Sharpe ratio is not above the benchmark, so no number of returns is enough")
    quantile = divide(Decimal(NORMAL.inv_cdf(float(confidence))), distance)
    return defined(add(ONE, multiply(series.variance, multiply(quantile, quantile))))


def probabilistic_sharpe_ratio(returns: DailyReturns) -> PerformanceMetric:
    """Return the probability that the true Sharpe ratio is above 0, as `probability` defines it.

    Args:
        returns: at least 10, not nearly constant; otherwise the metric is undefined.
    """
    series = shape(returns)
    return series if isinstance(series, PerformanceMetric) else probability(series)


def deflated_sharpe_ratio(returns: DailyReturns, trials: int, deviation: Decimal) -> PerformanceMetric:
    """Return the probability that the true Sharpe ratio is above 0 although the best of several trials was chosen.

    Args:
        returns: at least 10, not nearly constant; otherwise the metric is undefined.
        trials: how many were tried, at least 1.
        deviation: the standard deviation of their Sharpe ratios, of one period.
    """
    series = shape(returns)
    return series if isinstance(series, PerformanceMetric) else deflated_probability(series, trials, deviation)


def minimum_track_record(
    returns: DailyReturns, confidence: Decimal = CONFIDENCE, benchmark: Decimal = ZERO
) -> PerformanceMetric:
    """Return the number of such daily returns needed for this confidence, as `track_record` defines it.

    Args:
        returns: at least 10, not nearly constant; otherwise the metric is undefined.
        confidence: above 0.5 and below 1.
        benchmark: the Sharpe ratio to beat, of one period.
    """
    series = shape(returns)
    return series if isinstance(series, PerformanceMetric) else track_record(series, benchmark, confidence)
