"""The probabilistic Sharpe ratio and the minimum track record length, against the numbers of the paper."""

from __future__ import annotations

from decimal import Decimal
from math import sqrt

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.analytics.performance_metric import PerformanceMetric, undefined
from domain.analytics.significance import (
    Shape,
    minimum_track_record,
    probabilistic_sharpe_ratio,
    probability,
    shape,
    track_record,
)
from tests.support.values.analytics_builders import returns_of


def per_period(annual: str, periods: int) -> Decimal:
    return Decimal(annual) / Decimal(periods).sqrt()


def number(figure: PerformanceMetric) -> float:
    assert figure.value is not None, figure
    return float(figure.value)


# Bailey and López de Prado (2012): a fund with two years of monthly returns, a Sharpe ratio of 0.458 a month (1.59 a
# year), skewness −2.448 and kurtosis 10.164. PSR(0) is 98.2 % for normal returns, 91.3 % for these.
MONTHLY = Decimal("0.458")


def test_the_papers_fund_as_if_its_returns_were_normal() -> None:
    assert 0.982 == round(number(probability(Shape(24, MONTHLY))), 3)


def test_the_papers_fund_with_its_skewness_and_kurtosis() -> None:
    fund = Shape(24, MONTHLY, Decimal("-2.448"), Decimal("10.164"))
    assert 0.913 == round(number(probability(fund)), 3)
    excess = Shape(24, MONTHLY, Decimal("-2.448"), Decimal("7.164"))
    assert 0.913 != round(number(probability(excess)), 3)  # with the excess kurtosis, the result is wrong


# The same paper: an annual Sharpe ratio of 2 is above 1 with 95 % after 2.73 years of days, 2.83 of weeks, 3.24 of
# months.
@pytest.mark.parametrize(("periods", "years"), [(252, 2.73), (52, 2.83), (12, 3.24)])
def test_the_papers_track_record_lengths(periods: int, years: float) -> None:
    length = track_record(Shape(99, per_period("2", periods)), per_period("1", periods))
    assert years == round(number(length) / periods, 2)


def test_fourteen_days_need_a_sharpe_ratio_of_about_nine() -> None:
    assert (
        number(probability(Shape(14, per_period("8.9", 365))))
        < 0.95
        < number(probability(Shape(14, per_period("9.3", 365))))
    )


def test_moments_known_by_hand() -> None:
    # Eight returns of 0, one of 10 %, one of −5 %: m₂ = 0.001225, m₃ = 8.4e-5, m₄ = 10.0…e-6 around a mean of 0.005.
    values, worth = ["0"] * 8 + ["0.1", "-0.05"], [Decimal(1000)]
    for value in values:
        worth.append(worth[-1] * (1 + Decimal(value)))
    computed = shape(returns_of(worth[1:]))
    assert isinstance(computed, Shape)
    spread = 0.001225
    assert pytest.approx(0.005 / sqrt(spread * 10 / 9)) == float(computed.sharpe)
    assert pytest.approx((8 * -(0.005**3) + 0.095**3 - 0.055**3) / 10 / spread**1.5) == float(computed.skewness)
    assert pytest.approx((8 * 0.005**4 + 0.095**4 + 0.055**4) / 10 / spread**2) == float(computed.kurtosis)


def test_a_ratio_of_0_is_as_likely_luck_as_not_and_no_length_is_enough_for_it() -> None:
    even = Shape(40, Decimal(0), Decimal(0), Decimal(1))
    assert Decimal("0.5") == probability(even).value
    reason = "the Sharpe ratio is not above the benchmark, so no number of returns is enough"
    assert undefined(reason) == track_record(even) == track_record(Shape(40, MONTHLY), MONTHLY + 1)
    falling = returns_of([1000 - 3 * n - n % 3 for n in range(1, 40)])
    assert number(probabilistic_sharpe_ratio(falling)) < 0.5
    assert undefined(reason) == minimum_track_record(falling)


shapes = st.builds(
    lambda sharpe, skewness, more: Shape(50, sharpe, skewness, 1 + skewness * skewness + more),
    st.decimals("0.01", 2, places=4),
    st.decimals(-4, 4, places=3),
    st.decimals("0.01", 20, places=3),
)


@settings(max_examples=60)
@given(shapes, st.decimals("0.6", "0.999", places=3))
def test_the_track_record_is_the_length_at_which_the_probability_is_reached(of: Shape, confidence: Decimal) -> None:
    least = number(track_record(of, confidence=confidence))
    longer = Shape(int(least) + 1, of.sharpe, of.skewness, of.kurtosis)
    assert number(probability(longer)) >= float(confidence) - 1e-9
    if least > 3:
        shorter = Shape(int(least) - 1, of.sharpe, of.skewness, of.kurtosis)
        assert number(probability(shorter)) < float(confidence)


def test_a_ratio_without_variance_is_no_number() -> None:
    # Two values only, so that kurtosis = 1 + skewness², at the Sharpe ratio where the variance is exactly 0.
    certain = Shape(20, Decimal(1), Decimal(2), Decimal(5))
    assert undefined("the Sharpe ratio's own variance is 0") == probability(certain) == track_record(certain)
