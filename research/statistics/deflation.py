"""The deflated Sharpe ratio of the best trial of a sweep: by the number of trials, and by the number of their clusters.

Source: D. H. Bailey and M. López de Prado, *The Deflated Sharpe Ratio: Correcting for Selection Bias, Backtest
Overfitting, and Non-Normality*, Journal of Portfolio Management 40 (2014). The formulas of one series stand in
`domain.analytics.significance`.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

import numpy as np

from domain.analytics.performance_metric import PerformanceMetric
from domain.analytics.significance import deflated_probability, expected_maximum, probability
from domain.trading.arithmetic import ZERO, rate
from research.statistics.clusters import cluster_labels, cluster_returns, correlations
from research.statistics.sharpe import FloatArray, IntArray, shape_of, sharpe_ratios


@dataclass(frozen=True, slots=True)
class Deflation:
    """A Sharpe ratio, deflated by a number of trials. All ratios are of one period.

    Attributes:
        trials: the number of trials, or of clusters of trials.
        deviation: the standard deviation of their Sharpe ratios.
        benchmark: the Sharpe ratio that the best of so many trials without skill is expected to have.
        probability: the deflated Sharpe ratio: the probability that the true Sharpe ratio is above 0 although the best
            was chosen; undefined as `research.statistics.sharpe.shape_of` says.
    """

    trials: int
    deviation: Decimal
    benchmark: Decimal
    probability: PerformanceMetric


@dataclass(frozen=True, slots=True)
class DeflatedSharpe:
    """The best trial's Sharpe ratio and what the number of trials leaves of it.

    Attributes:
        sharpe: of one period.
        undeflated: PSR(0), the probability if this trial had been the only one.
        by_trials: deflated by the number of all trials.
        by_clusters: deflated by the number of clusters of alike trials, with the deviation between the clusters.
        clusters: the cluster of each trial.
    """

    sharpe: float
    undeflated: PerformanceMetric
    by_trials: Deflation
    by_clusters: Deflation
    clusters: IntArray

    @property
    def lower(self) -> Deflation:
        """The deflation that leaves less.

        Many copies of one strategy make the deviation between all trials small, few clusters make the number small; a
        real edge stands both.
        """
        values = self.by_trials.probability.value, self.by_clusters.probability.value
        if values[0] is None or values[1] is None:
            return self.by_trials
        return self.by_trials if values[0] <= values[1] else self.by_clusters


def deflated_sharpe(returns: FloatArray, best: int, attempts: int | None = None) -> DeflatedSharpe:
    """Return the deflated Sharpe ratio of one trial of a sweep.

    Args:
        returns: a row a day, a column a trial; every trial that has returns, not only those that look well.
        best: the column of the trial that was chosen.
        attempts: how many trials were begun, also without a result; by default, those that have returns.
    """
    ratios = sharpe_ratios(returns)
    own = returns[:, best]
    series = shape_of(own)
    labels = cluster_labels(correlations(returns))
    of_clusters = sharpe_ratios(cluster_returns(returns, labels))

    def deflation(trials: int, values: FloatArray) -> Deflation:
        deviation = rate(Decimal(float(values.std(ddof=1)))) if len(values) > 1 else ZERO
        chance = series if isinstance(series, PerformanceMetric) else deflated_probability(series, trials, deviation)
        return Deflation(trials, deviation, rate(expected_maximum(trials, deviation)), chance)

    return DeflatedSharpe(
        sharpe=float(ratios[best]),
        undeflated=series if isinstance(series, PerformanceMetric) else probability(series),
        by_trials=deflation(max(attempts or 0, len(ratios)), ratios),
        by_clusters=deflation(len(np.unique(labels)), of_clusters),
        clusters=labels,
    )
