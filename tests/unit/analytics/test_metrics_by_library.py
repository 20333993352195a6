"""Performance metrics compared with those of empyrical-reloaded and SciPy.

Where the definitions are the same, the numbers are. Where they are not, the difference is shown, so that it is known.
"""

from __future__ import annotations

import random
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest

from domain.analytics.performance_metric import PerformanceMetric
from domain.analytics.returns import (
    DailyReturns,
    Valuation,
    annual_return,
    calmar_ratio,
    max_drawdown,
    sharpe_ratio,
    sortino_ratio,
)
from domain.analytics.significance import Shape, minimum_track_record, probabilistic_sharpe_ratio, shape
from tests.support.values.analytics_builders import DAY, DAY_1, HOUR, returns_of, valued


class Library:
    """A library that is imported at its first use: each test process collects these tests, one runs them."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        if attribute.startswith(("_", "pytest")):  # pytest asks each value of a module for its marks
            raise AttributeError(attribute)
        return getattr(
            pytest.importorskip(self._name, reason=f"{self._name} is missing; make test installs it"), attribute
        )


empyrical, numpy, pandas, scipy_stats = (Library(name) for name in ("empyrical", "numpy", "pandas", "scipy.stats"))

OPENING = Valuation(DAY_1, Decimal(1000))


def number(figure: PerformanceMetric) -> float:
    assert figure.value is not None, figure
    return float(figure.value)


@pytest.fixture(params=[1, 2, 3])
def series(request: pytest.FixtureRequest) -> DailyReturns:
    """Sixty days with fat tails, made from a seed."""
    draw = random.Random(request.param)
    worth = [Decimal(1000)]
    for _ in range(60):
        change = draw.gauss(0.002, 0.01) * (4 if draw.random() < 0.1 else 1)
        worth.append(worth[-1] * (1 + Decimal(round(change, 6)).quantize(Decimal("1e-6"))))
    return returns_of(worth[1:], crypto=request.param != 3)


@pytest.fixture
def floats(series: DailyReturns) -> Any:
    return numpy.array([float(value) for value in series.values])


def test_sharpe_sortino_and_growth_are_those_of_empyrical(series: DailyReturns, floats: Any) -> None:
    year = {"annualization": series.days_per_year}
    assert pytest.approx(empyrical.sharpe_ratio(floats, **year), rel=1e-9) == number(sharpe_ratio(series))
    assert pytest.approx(empyrical.sortino_ratio(floats, **year), rel=1e-9) == number(sortino_ratio(series))
    assert pytest.approx(empyrical.annual_return(floats, **year), rel=1e-9) == number(annual_return(series))


def test_drawdown_and_calmar_are_those_of_empyrical_where_snapshots_are_daily(
    series: DailyReturns, floats: Any
) -> None:
    drawdown = max_drawdown(series.closes, OPENING)
    assert pytest.approx(-empyrical.max_drawdown(floats), abs=1e-11) == float(drawdown.fraction)
    calmar = empyrical.calmar_ratio(floats, annualization=series.days_per_year)
    assert pytest.approx(calmar, rel=1e-9) == number(calmar_ratio(series, drawdown))


def test_a_fall_within_a_day_counts_here_and_is_not_seen_by_empyrical(series: DailyReturns, floats: Any) -> None:
    fall = Valuation(DAY_1 + DAY - HOUR, Decimal(400))
    assert Decimal("0.6") == max_drawdown((fall, *series.closes), OPENING).fraction
    assert -empyrical.max_drawdown(floats) < 0.6


def test_equal_returns_have_no_ratio_here_and_an_infinite_one_there() -> None:
    steady = returns_of([1000 * Decimal("1.01") ** n for n in range(1, 13)])
    assert numpy.isinf(empyrical.sharpe_ratio(numpy.array([0.01] * 12)))
    assert sharpe_ratio(steady).value is None


def test_skewness_and_kurtosis_are_those_of_scipy(series: DailyReturns, floats: Any) -> None:
    computed = shape(series)
    assert isinstance(computed, Shape)
    assert pytest.approx(scipy_stats.skew(floats), rel=1e-9) == float(computed.skewness)
    assert pytest.approx(scipy_stats.kurtosis(floats, fisher=False), rel=1e-9) == float(computed.kurtosis)


def test_probability_and_track_record_from_scipys_moments(series: DailyReturns, floats: Any) -> None:
    ratio = empyrical.sharpe_ratio(floats, annualization=1)
    variance = 1 - scipy_stats.skew(floats) * ratio + (scipy_stats.kurtosis(floats, fisher=False) - 1) / 4 * ratio**2
    expected = scipy_stats.norm.cdf(ratio * (len(floats) - 1) ** 0.5 / variance**0.5)
    assert pytest.approx(expected, rel=1e-9) == number(probabilistic_sharpe_ratio(series))
    if ratio > 0:
        needed = 1 + variance * (scipy_stats.norm.ppf(0.95) / ratio) ** 2
        assert pytest.approx(needed, rel=1e-9) == number(minimum_track_record(series))


def test_returns_are_those_of_pandas(series: DailyReturns) -> None:
    worth = [1000.0, *(float(close.total_value) for close in series.closes)]
    assert pytest.approx(pandas.Series(worth).pct_change().dropna().tolist(), abs=1e-12) == [
        float(value) for value in series.values
    ]
    assert all(b.time - a.time == DAY for a, b in pairwise(series.closes))
    assert valued(1001)[0].time == series.closes[0].time
