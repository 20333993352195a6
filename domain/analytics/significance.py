"""How sure a Sharpe ratio is: the probabilistic Sharpe ratio and the minimum track record length.

Source of both: D. H. Bailey and M. López de Prado, *The Sharpe Ratio Efficient Frontier*, Journal of Risk 15 (2012).
All Sharpe ratios in the formulas are of one period, here a day, never annualised, and the kurtosis is the plain one, 3
for a normal distribution: taking 3 off it, once or twice, makes fat tails look harmless.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from statistics import NormalDist

from domain.analytics.performance_metric import PerformanceMetric, defined, deviation, mean, moment, undefined
from domain.analytics.returns import DailyReturns
from domain.trading.arithmetic import CONTEXT, ONE, ZERO, add, divide, multiply, subtract

NORMAL = NormalDist()
CONFIDENCE = Decimal("0.95")
NO_VARIANCE = "the Sharpe ratio's own variance is 0"


@dataclass(frozen=True, slots=True)
class Shape:
    """What the formulas need of a series of returns.

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
    """Return the shape of daily returns, or an unknown figure: below 10, or where all are equal."""
    if returns.missing is not None:
        return undefined(returns.missing)
    values = returns.values
    second = moment(values, 2)
    if second == ZERO:
        return undefined("the daily returns do not differ")
    skewness = divide(moment(values, 3), multiply(second, CONTEXT.sqrt(second)))
    kurtosis = divide(moment(values, 4), multiply(second, second))
    return Shape(len(values), divide(mean(values), deviation(values)), skewness, kurtosis)


def probability(of: Shape, benchmark: Decimal = ZERO) -> PerformanceMetric:
    """Return PSR(SR*) = Φ((SR − SR*) · √(n − 1) / √(1 − γ₃·SR + (γ₄ − 1)/4 · SR²)), from 0 to 1.

    Args:
        of: the returns, see `shape`.
        benchmark: SR*, the Sharpe ratio to beat, of one period.
    """
    if of.variance <= ZERO:
        return undefined(NO_VARIANCE)
    distance = multiply(subtract(of.sharpe, benchmark), CONTEXT.sqrt(Decimal(of.count - 1)))
    # A probability is no amount: Φ is computed in floating point, which holds the 12 digits that are kept.
    return defined(Decimal(NORMAL.cdf(float(divide(distance, CONTEXT.sqrt(of.variance))))))


def track_record(of: Shape, benchmark: Decimal = ZERO, confidence: Decimal = CONFIDENCE) -> PerformanceMetric:
    """Return minTRL = 1 + (1 − γ₃·SR + (γ₄ − 1)/4 · SR²) · (Φ⁻¹(confidence) / (SR − SR*))², in returns.

    Args:
        of: the returns, see `shape`.
        benchmark: SR*, the Sharpe ratio to beat, of one period.
        confidence: above 0.5 and below 1, the PSR that is to be reached.
    """
    if of.variance <= ZERO:
        return undefined(NO_VARIANCE)
    distance = subtract(of.sharpe, benchmark)
    if distance <= ZERO:
        return undefined("the Sharpe ratio is not above what it is measured against, so that no length is enough")
    quantile = divide(Decimal(NORMAL.inv_cdf(float(confidence))), distance)
    return defined(add(ONE, multiply(of.variance, multiply(quantile, quantile))))


def probabilistic_sharpe_ratio(returns: DailyReturns, benchmark: Decimal = ZERO) -> PerformanceMetric:
    """Return the probability that the true Sharpe ratio is above ``benchmark``, as `probability` defines it.

    Args:
        returns: at least 10, not all equal; else unknown.
        benchmark: an *annualised* Sharpe ratio.
    """
    found = shape(returns)
    return found if isinstance(found, PerformanceMetric) else probability(found, _daily(benchmark, returns))


def minimum_track_record(
    returns: DailyReturns, benchmark: Decimal = ZERO, confidence: Decimal = CONFIDENCE
) -> PerformanceMetric:
    """Return how many daily returns like these it takes to be that sure, as `track_record` defines it.

    Args:
        returns: at least 10, not all equal; else unknown.
        benchmark: an *annualised* Sharpe ratio.
        confidence: above 0.5 and below 1.
    """
    found = shape(returns)
    return (
        found if isinstance(found, PerformanceMetric) else track_record(found, _daily(benchmark, returns), confidence)
    )


def _daily(annual: Decimal, returns: DailyReturns) -> Decimal:
    return divide(annual, returns.annual(ONE))
