"""The probability of backtest overfitting by CSCV, against its definition, carried out step by step."""

from __future__ import annotations

from itertools import combinations
from math import log

import numpy as np
import pytest

from research.statistics.overfitting import Overfitting, Undetermined, blocks_for, overfitting
from research.statistics.sharpe import FloatArray, sharpe_ratios


def noise(days: int, trials: int, seed: int = 1) -> FloatArray:
    return np.random.default_rng(seed).normal(0.0, 0.01, (days, trials))


def computed(returns: FloatArray, blocks: int | None = None) -> Overfitting:
    outcome = overfitting(returns, blocks)
    assert isinstance(outcome, Overfitting), outcome
    return outcome


def by_definition(returns: FloatArray, blocks: int) -> list[float]:
    """Return λ of each split: the paper's six steps, one split after another."""
    parts = np.split(returns, blocks)
    logits = []
    for inside in combinations(range(blocks), blocks // 2):
        own = sharpe_ratios(np.vstack([parts[block] for block in inside]))
        other = sharpe_ratios(np.vstack([parts[block] for block in range(blocks) if block not in inside]))
        winner = other[own.argmax()]
        rank = (other < winner).sum() + ((other == winner).sum() + 1) / 2
        relative = rank / (len(other) + 1)
        logits.append(log(relative / (1 - relative)))
    return logits


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_it_is_what_the_definition_gives(seed: int) -> None:
    returns = noise(160, 12, seed)
    expected = by_definition(returns, 8)
    outcome = computed(returns, 8)
    assert pytest.approx(expected) == outcome.logits.tolist()
    assert pytest.approx(np.mean(np.array(expected) <= 0)) == outcome.probability
    assert len(expected) == outcome.chosen.sum()


def test_noise_is_as_likely_overfitted_as_not_and_an_edge_is_not() -> None:
    values = [computed(noise(200, 20, seed), 10).probability for seed in range(30)]
    assert 0.4 < np.mean(values) < 0.6
    edge = noise(200, 20)
    edge[:, 5] += 0.006
    outcome = computed(edge, 10)
    assert outcome.probability < 0.01
    assert outcome.loss == 0.0
    assert 5 == outcome.chosen.argmax()


def test_what_only_one_half_of_the_days_rewards_is_overfitted() -> None:
    # Each trial earns in three of six blocks of its own, and loses in the others.
    returns = noise(120, 20, 7) / 10
    for trial, inside in enumerate(combinations(range(6), 3)):
        for block in range(6):
            returns[block * 20 : block * 20 + 20, trial] += 0.01 if block in inside else -0.01
    outcome = computed(returns, 6)
    assert (1.0, 1.0) == (outcome.probability, outcome.loss)
    assert outcome.slope is not None


def test_equal_trials_are_no_choice() -> None:
    outcome = computed(np.repeat(noise(160, 1), 9, axis=1))
    assert 1.0 == outcome.probability
    assert np.all(outcome.logits == 0.0)
    assert 12_870 == outcome.chosen[0]


def test_trials_that_never_traded_have_a_ratio_of_0() -> None:
    returns = noise(160, 5)
    returns[:, 2] = 0.0
    returns[:80, 3] = 0.0
    assert pytest.approx(by_definition(returns, 8)) == computed(returns, 8).logits.tolist()


def test_the_oldest_days_are_left_out_where_the_blocks_do_not_fit() -> None:
    returns = noise(165, 6)
    shorter, expected = computed(returns, 8), computed(returns[5:], 8)
    assert 160 == shorter.days == expected.days
    assert expected.logits.tolist() == shorter.logits.tolist()


def test_few_trials_or_days_give_the_reason() -> None:
    assert Undetermined("one trial alone cannot be chosen among others") == overfitting(noise(200, 1))
    reason = "59 of at least 60 daily returns, for 6 blocks of 10 days"
    assert Undetermined(reason) == overfitting(noise(59, 3))
    assert [6, 6, 8, 14, 16, 16] == [blocks_for(days) for days in (60, 79, 80, 159, 160, 9999)]
