"""The deflated Sharpe ratio, against the numbers of the paper, and what the number of trials does to it."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise

import numpy as np
import pytest

from domain.analytics.performance_metric import PerformanceMetric
from domain.analytics.returns import NEARLY_CONSTANT
from domain.analytics.significance import Shape, deflated_probability, expected_maximum, probability, shape
from research.statistics.deflation import deflated_sharpe
from research.statistics.sharpe import FloatArray, shape_of, sharpe_ratios
from tests.support.values.analytics_builders import returns_of


def number(metric: PerformanceMetric) -> float:
    assert metric.value is not None, metric
    return float(metric.value)


# Bailey and López de Prado (2014), numerical example: the best of 100 trials has a Sharpe ratio of 2.5 a year in five
# years of 250 days, skewness −3 and kurtosis 10; the trials' annual Sharpe ratios have a variance of 1/2.
DAILY = Decimal("2.5") / Decimal(250).sqrt()
DEVIATION = Decimal("0.5").sqrt() / Decimal(250).sqrt()
PAPER = Shape(1250, DAILY, Decimal(-3), Decimal(10))


def test_the_papers_example() -> None:
    assert 0.1132 == round(float(expected_maximum(100, DEVIATION)), 4)
    assert 0.9004 == round(number(deflated_probability(PAPER, 100, DEVIATION)), 4)


def test_the_papers_example_with_46_trials_and_with_88_of_normal_returns() -> None:
    assert 0.9505 == round(number(deflated_probability(PAPER, 46, DEVIATION)), 4)
    normal = Shape(1250, DAILY)
    assert 0.9505 == round(number(deflated_probability(normal, 88, DEVIATION)), 4)


def test_one_trial_is_not_deflated() -> None:
    assert Decimal(0) == expected_maximum(1, DEVIATION)
    assert probability(PAPER) == deflated_probability(PAPER, 1, DEVIATION)


@pytest.mark.parametrize("trials", [5, 50, 1000])
def test_the_expected_maximum_is_that_of_simulated_trials(trials: int) -> None:
    maxima = np.random.default_rng(trials).normal(size=(4_000, trials)).max(axis=1)
    expected = float(expected_maximum(trials, Decimal(1)))
    # The formula is an approximation; for five trials it is 2.6 % too high.
    assert pytest.approx(maxima.mean(), rel=0.035) == expected


@pytest.fixture
def noise() -> FloatArray:
    return np.random.default_rng(4).normal(0.0, 0.01, (250, 30))


def test_the_shape_is_that_of_the_exact_arithmetic(noise: FloatArray) -> None:
    worth = [Decimal(1000)]
    for change in noise[:60, 0]:
        worth.append(worth[-1] * (1 + Decimal(float(change))))
    exact = shape(returns_of(worth[1:]))
    computed = shape_of(np.array([float(now / before) - 1 for before, now in pairwise(worth)]))
    assert isinstance(exact, Shape)
    assert isinstance(computed, Shape)
    assert exact.count == computed.count
    for name in ("sharpe", "skewness", "kurtosis"):
        assert pytest.approx(float(getattr(exact, name)), rel=1e-9) == float(getattr(computed, name))


def test_a_trial_that_never_traded_has_a_ratio_of_0_and_no_shape(noise: FloatArray) -> None:
    noise[:, 3] = 0.0
    noise[:, 4] = 0.001
    assert [0.0, 0.0] == sharpe_ratios(noise)[3:5].tolist()
    missing = shape_of(noise[:, 3])
    assert isinstance(missing, PerformanceMetric)
    assert NEARLY_CONSTANT == missing.reason
    short = shape_of(noise[:9, 0])
    assert isinstance(short, PerformanceMetric)
    assert "9 of at least 10 daily returns" == short.reason


def test_trials_without_anything_in_common_are_as_many_clusters(noise: FloatArray) -> None:
    best = int(sharpe_ratios(noise).argmax())
    deflated = deflated_sharpe(noise, best)
    assert (30, 30) == (deflated.by_trials.trials, deflated.by_clusters.trials)
    assert number(deflated.by_trials.probability) < number(deflated.undeflated)
    assert deflated.by_trials == deflated.by_clusters == deflated.lower


def test_copies_count_as_one_cluster_and_the_lower_value_counts(noise: FloatArray) -> None:
    copies = np.hstack([noise[:, :1] + noise[:, number : number + 1] * 0.01 for number in range(1, 21)])
    sweep = np.hstack([copies, noise[:, 21:25]])
    deflated = deflated_sharpe(sweep, 0)
    assert (24, 5) == (deflated.by_trials.trials, deflated.by_clusters.trials)
    assert len(set(deflated.clusters[:20].tolist())) == 1
    lower = min(number(deflated.by_trials.probability), number(deflated.by_clusters.probability))
    assert lower == number(deflated.lower.probability)


def test_an_attempt_without_a_result_counts(noise: FloatArray) -> None:
    few, many = deflated_sharpe(noise, 0), deflated_sharpe(noise, 0, attempts=500)
    assert 500 == many.by_trials.trials
    assert number(many.by_trials.probability) < number(few.by_trials.probability)


def test_without_a_shape_there_is_no_probability() -> None:
    deflated = deflated_sharpe(np.zeros((40, 3)), 0)
    assert NEARLY_CONSTANT == deflated.lower.probability.reason == deflated.undeflated.reason
