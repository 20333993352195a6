"""Statistics of sweeps compared with independent libraries: ffn, and SciPy's average linkage and rank correlation."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from domain.analytics.significance import Shape, deflated_probability, expected_maximum
from research.statistics.clusters import ALIKE, cluster_labels, correlations
from research.statistics.overfitting import Overfitting, overfitting
from research.statistics.samples import rank_correlation
from research.statistics.sharpe import FloatArray, sharpe_ratios


def library(name: str) -> Any:
    return pytest.importorskip(name, reason=f"{name} is missing; make test installs it")


def sweep(seed: int, days: int = 320, trials: int = 14) -> FloatArray:
    """Return trials with fat tails, some of them alike."""
    draw = np.random.default_rng(seed)
    returns = draw.standard_t(4, (days, trials)) * 0.01
    for trial in range(1, trials, 3):
        returns[:, trial] = 0.8 * returns[:, trial - 1] + 0.4 * returns[:, trial]
    return returns


@pytest.mark.parametrize("trials", [2, 10, 500])
def test_the_expected_maximum_is_that_of_ffn(trials: int) -> None:
    expected = library("ffn").core.calc_expected_max_sharpe(trials, 0.07)
    assert pytest.approx(expected, rel=1e-12) == float(expected_maximum(trials, Decimal("0.07")))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_deflated_sharpe_ratio_is_that_of_ffn_from_the_same_moments(seed: int) -> None:
    ffn, pandas = library("ffn"), library("pandas")
    returns = sweep(seed)
    ratios = sharpe_ratios(returns)
    best = int(ratios.argmax())
    series = pandas.Series(returns[:, best], index=pandas.date_range("2024-01-01", periods=len(returns)))
    expected = ffn.core.calc_deflated_sharpe_ratio(series, ratios, nperiods=1, annualized_trials=False)
    # ffn corrects skewness and kurtosis for bias; the paper and this program do not.
    moments = Decimal(float(series.skew())), Decimal(float(series.kurt() + 3))
    own = Shape(len(returns), Decimal(float(ratios[best])), *moments)
    value = deflated_probability(own, len(ratios), Decimal(float(ratios.std(ddof=1)))).value
    assert value is not None
    assert pytest.approx(expected, rel=1e-9) == float(value)


@pytest.mark.parametrize("seed", [1, 2])
def test_the_probability_of_backtest_overfitting_is_that_of_ffn(seed: int) -> None:
    ffn, pandas = library("ffn"), library("pandas")
    returns = sweep(seed)
    expected = ffn.core.calc_prob_backtest_overfitting(pandas.DataFrame(returns), n_blocks=8, full_output=True)
    outcome = overfitting(returns, 8)
    assert isinstance(outcome, Overfitting)
    assert pytest.approx(expected["pbo"]) == outcome.probability
    assert pytest.approx(expected["logits"].tolist()) == outcome.logits.tolist()


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_clusters_are_those_of_scipys_average_linkage(seed: int) -> None:
    hierarchy, distance = library("scipy.cluster.hierarchy"), library("scipy.spatial.distance")
    correlation = correlations(sweep(seed, days=60, trials=40))
    linkage = hierarchy.linkage(distance.squareform(1 - correlation, checks=False), "average")
    expected = hierarchy.fcluster(linkage, 1 - ALIKE, "distance")
    labels = cluster_labels(correlation)
    assert len(set(expected)) == len(set(labels.tolist()))
    assert {(left, right) for left, right in zip(expected, labels.tolist(), strict=True)} == {
        (expected[list(labels).index(label)], label) for label in set(labels.tolist())
    }
    assert 1 < len(set(labels.tolist())) < 40


def test_correlations_are_those_of_numpy_and_a_constant_trial_has_none() -> None:
    returns = sweep(5)
    assert np.allclose(np.corrcoef(returns, rowvar=False), correlations(returns))
    returns[:, 2] = 0.0
    own = correlations(returns)[2]
    assert [1.0 if trial == 2 else 0.0 for trial in range(len(own))] == own.tolist()


def test_the_rank_correlation_is_that_of_scipy() -> None:
    left, right = (np.round(np.random.default_rng(seed).normal(size=50), 1) for seed in (1, 2))
    expected = library("scipy.stats").spearmanr(left, right).statistic
    assert pytest.approx(expected) == rank_correlation(left, right)
    assert rank_correlation(left, np.zeros(50)) is None
