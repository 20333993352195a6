"""The block bootstrap of daily returns: its blocks, its bands, and that a seed gives the same digits everywhere."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest

from domain.analytics.returns import DailyReturns, max_drawdown
from domain.trading.arithmetic import plain
from research.statistics import bootstrap
from research.statistics.bootstrap import block_length, deepest_falls, monte_carlo, resampled_days, resampled_paths
from research.statistics.sharpe import FloatArray
from tests.support.values.analytics_builders import returns_of


def autoregressive(memory: float, days: int = 400, seed: int = 1) -> FloatArray:
    noise = np.random.default_rng(seed).normal(0.0, 0.01, days)
    values = np.zeros(days)
    for day in range(1, days):
        values[day] = memory * values[day - 1] + noise[day]
    return values


def sample(days: int = 40) -> DailyReturns:
    """Return days with a memory: a change goes on for two more days."""
    steps = np.convolve(np.random.default_rng(9).integers(-200, 190, days + 2), [1, 1, 1], "valid")
    worth = [Decimal(10_000)]
    for step in steps.tolist():
        worth.append(worth[-1] + Decimal(step) / 2)
    return returns_of(worth[1:], opening=worth[0])


# Computed by holdout-backtest 0.1.0, `holdout.bootstrap.optimal_block_length`.
@pytest.mark.parametrize(
    ("memory", "expected"), [(0.0, 4.263293596734598), (0.3, 2.313261461135301), (0.8, 12.635720518934043)]
)
def test_the_mean_length_of_blocks_is_that_of_a_library(memory: float, expected: float) -> None:
    assert round(expected, 2) == block_length(autoregressive(memory))


def test_more_memory_needs_longer_blocks_and_none_single_days() -> None:
    lengths = [block_length(autoregressive(memory)) for memory in (0.3, 0.6, 0.9)]
    assert sorted(lengths) == lengths
    assert 1.0 == block_length(np.full(30, 0.01))
    assert block_length(np.linspace(-0.1, 0.1, 40)) <= 14


def test_a_block_goes_on_day_by_day_and_around_the_end() -> None:
    draws = np.array([[0.9, 0.9, 0.1, 0.9, 0.9, 0.9]])
    starts = np.array([[1, 5, 4, 0, 2, 3]])
    assert [[1, 2, 4, 5, 0, 1]] == resampled_days(draws, starts, 4.0).tolist()
    assert starts.tolist() == resampled_days(draws, starts, 1.0).tolist()


def test_blocks_have_the_mean_length_and_each_day_is_as_likely() -> None:
    draw = np.random.default_rng(3)
    days = resampled_days(draw.random((4_000, 50)), draw.integers(0, 50, (4_000, 50)), 5.0)
    # Of 49 changes of day, 1/5 begin a block; one in 50 of these happens to be the next day.
    follows = (np.diff(days, axis=1) % 50 == 1).mean()
    assert pytest.approx(0.8 + 0.2 / 50, abs=0.005) == follows
    assert pytest.approx(np.full(50, 1 / 50), abs=0.002) == np.bincount(days.ravel(), minlength=50) / days.size


def test_a_seed_gives_the_same_paths_whatever_their_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    returns = autoregressive(0.2, 30)
    first = resampled_paths(returns, 500, 7, 3.0)
    monkeypatch.setattr(bootstrap, "DAYS_AT_ONCE", 1_000)
    again, other = resampled_paths(returns, 500, 7, 3.0), resampled_paths(returns, 500, 8, 3.0)
    assert first.ends.tolist() == again.ends.tolist()
    assert first.values.tolist() == again.values.tolist()
    assert first.ends.tolist() != other.ends.tolist()


def test_the_digits_of_a_seed_never_change() -> None:
    made = monte_carlo(sample(), Decimal(10_000), 200, 5)
    assert made.end_value is not None
    assert made.drawdown is not None
    expected = "10542.316270881944 12336.102285537121 0.073335883165 0.01 0.26 2.35"
    values = made.end_value.low, made.end_value.median, made.drawdown.high, made.losing, made.deeper, made.block_days
    assert expected == " ".join(plain(value) for value in values if value is not None)


def test_a_path_ends_in_the_mean_where_its_days_do() -> None:
    returns = autoregressive(0.0, 60)
    made = resampled_paths(returns, 20_000, 1, 1.0)
    # Single days, so the factors are independent: the mean of the products is the product of the means.
    expected = np.mean(1 + returns) ** 60
    assert pytest.approx(expected, abs=4 * made.ends.std() / 20_000**0.5) == made.ends.mean()
    assert 60 == len(made.kept) == made.values.shape[1]
    assert made.ends.tolist() == made.values[:, -1].tolist()


def test_the_deepest_fall_is_that_of_the_report() -> None:
    returns = sample()
    values = np.cumprod(1 + np.array([float(value) for value in returns.values]))
    opening = returns.closes[0]._replace(total_value=Decimal(10_000))
    expected = max_drawdown(returns.closes, opening).fraction
    assert pytest.approx(float(expected)) == deepest_falls(values[None, :])[0]
    assert [0.5, 0.0] == deepest_falls(np.array([[0.5, 0.75, 0.9], [1.0, 1.5, 2.0]])).tolist()


def test_the_bands_are_in_order_and_the_days_own_values_beside_them() -> None:
    made = monte_carlo(sample(), Decimal(10_000), 1_000, 1)
    for band in (made.end_value, made.end_change, made.drawdown):
        assert band is not None
        assert sorted(band) == list(band)
    assert (sample().closes[-1].total_value, Decimal("0.23065")) == (made.own_value, made.own_change)
    assert made.losing is not None
    assert Decimal(0) < made.losing < Decimal(1)
    assert [Decimal(10_000)] * 5 == list(made.curve[0].value)
    assert (made.curve[-1].time, made.end_value) == (sample().closes[-1].time, made.curve[-1].value)
    assert 41 == len(made.curve)


def test_few_days_have_no_bands_but_a_reason() -> None:
    made = monte_carlo(sample(9), Decimal(10_000), 100, 1)
    assert ("9 of at least 10 daily returns", None, ()) == (made.missing, made.end_value, made.curve)


def test_a_value_that_is_lost_entirely_does_not_come_back() -> None:
    returns = np.array([0.1, -1.5, 0.1] * 5)
    made = resampled_paths(returns, 300, 1, 2.0)
    assert 0.0 == made.ends.min()
    assert 1.0 == made.falls.max()
