"""The verdict on a sweep, its table of folds, and the neighbourhood of the best parameters."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import numpy as np
import pytest

from domain.errors import InvalidRequest
from domain.sweeps.parameters import Parameters
from research.statistics.neighbourhood import heat_map, neighbourhood
from research.statistics.objectives import OBJECTIVES, objective_named
from research.statistics.samples import fold_rows, walk_forward_returns
from research.statistics.sharpe import FloatArray
from research.statistics.trial_table import TrialTable
from research.statistics.verdict import SweepLimits, sweep_verdict

FOLDS, DAYS = 4, 60


def grid(columns: int = 6, rows: int = 5) -> list[Parameters]:
    return [{"fast": 5 * (1 + x), "slow": 20 * (1 + y)} for y in range(rows) for x in range(columns)]


def table_of(
    returns: FloatArray, parameters: Sequence[Parameters] | None = None, objective: str = "sharpe"
) -> TrialTable:
    """Return a sweep whose training days of a fold are its test days shifted by a day."""
    score = objective_named(objective)
    parts = np.split(returns, FOLDS)
    return TrialTable(
        numbers=tuple(range(1, returns.shape[1] + 1)),
        parameters=tuple(grid() if parameters is None else parameters),
        returns=returns,
        fold_days=(DAYS,) * FOLDS,
        in_sample=np.array([score(part[:-1], 365) for part in parts]),
        out_of_sample=np.array([score(part, 365) for part in parts]),
        objective=objective,
    )


def noise(trials: int = 30, seed: int = 3) -> FloatArray:
    return np.random.default_rng(seed).normal(0.0, 0.01, (FOLDS * DAYS, trials))


def hill(edge: float = 0.005) -> FloatArray:
    """Return noise with an edge at fast = 15, slow = 60, which falls off to all sides."""
    returns = noise()
    for trial, parameters in enumerate(grid()):
        steps = abs(int(parameters["fast"]) - 15) / 5 + abs(int(parameters["slow"]) - 60) / 20
        returns[:, trial] += edge * max(1 - 0.2 * steps, 0.0)
    return returns


def test_luck_does_not_pass_and_the_sentences_tell_why() -> None:
    verdict = sweep_verdict(table_of(noise()))
    assert not verdict.passed
    assert [False, True] == [verdict.criteria[0].passed, verdict.criteria[2].passed]
    assert "the sweep does not pass" == verdict.sentences[0]
    best = verdict.sentences[1]
    assert best.startswith("the best trial has a Sharpe ratio of ")
    assert "a year, and the best of 30 trials without skill is expected to have" in best
    assert best.endswith("(deflated Sharpe ratio), at least 95.0 % is required")
    assert any(
        sentence.startswith("30 trials, in 30 clusters of alike returns; the best is") for sentence in verdict.notes
    )


def test_an_edge_passes_and_its_neighbours_have_most_of_it() -> None:
    verdict = sweep_verdict(table_of(hill()))
    assert verdict.passed
    assert [True, True, True] == [one.passed for one in verdict.criteria]
    assert {"fast": 15, "slow": 60} == verdict.parameters
    assert verdict.neighbourhood.by_steps
    assert 4 == len(verdict.neighbourhood.neighbours)
    assert verdict.neighbourhood.share is not None
    assert 0.5 < verdict.neighbourhood.share < 1
    assert not any("needle" in sentence for sentence in verdict.sentences)


def test_a_needle_is_called_one() -> None:
    returns = noise()
    returns[:, 14] += 0.006
    verdict = sweep_verdict(table_of(returns))
    assert any(sentence.endswith("the best one is a needle, not a hill") for sentence in verdict.notes)


def test_attempts_without_a_result_are_named_and_count() -> None:
    table = table_of(hill(0.003))
    more = TrialTable(**{**{name: getattr(table, name) for name in TrialTable.__match_args__}, "attempts": 400})
    verdict = sweep_verdict(more)
    assert 400 == verdict.attempts == verdict.deflated.by_trials.trials
    assert "370 trials without a result count as attempts, too" in verdict.notes


def test_alike_trials_are_no_choice_so_that_overfitting_has_no_limit() -> None:
    returns = np.repeat(noise(1) + 0.004, 30, axis=1) + noise() * 0.01
    verdict = sweep_verdict(table_of(returns))
    assert [True, None, True] == [one.passed for one in verdict.criteria]
    assert "there was nothing to choose" in verdict.criteria[1].sentence


def test_few_days_have_no_overfitting_and_no_deflated_ratio() -> None:
    returns = np.random.default_rng(1).normal(0.01, 0.01, (8, 2))
    table = TrialTable(
        (1, 2), ({"n": 1}, {"n": 2}), returns, (4, 4), np.array([[1.0, 2.0], [1.0, 2.0]]), np.zeros((2, 2))
    )
    verdict = sweep_verdict(table)
    assert [False, None, True] == [one.passed for one in verdict.criteria]
    assert "there is no deflated Sharpe ratio: 8 of at least 10 daily returns" == verdict.criteria[0].sentence
    assert "8 of at least 60 daily returns" in verdict.criteria[1].sentence


def test_the_limits_are_the_callers() -> None:
    table = table_of(hill(0.0027))
    deflated = sweep_verdict(table).deflated.lower.probability.value
    assert deflated is not None
    for limit, passed in ((deflated, True), (deflated + Decimal("1e-12"), False)):
        assert passed == sweep_verdict(table, SweepLimits(min_deflated=limit)).criteria[0].passed


def test_a_row_a_fold_has_the_rank_of_the_chosen_trial() -> None:
    table = table_of(noise(3), [{"n": number} for number in range(3)])
    table.in_sample[:] = [[1, 2, 3], [3, 2, 1], [0, 9, 0], [5, 5, 5]]
    table.out_of_sample[:] = [[10, 20, 30], [10, 20, 30], [1, 1, 1], [1, 2, 3]]
    rows = fold_rows(table)
    assert [(1, 3, 1.0, 1.0), (2, 1, 3.0, -1.0), (3, 2, 2.0, None), (4, 1, 3.0, None)] == [
        (row.fold, row.trial, row.rank, row.correlation) for row in rows
    ]
    assert [20.0, 20.0, 1.0, 2.0] == [row.median for row in rows]
    chosen = [2, 0, 1, 0]
    expected = np.concatenate([table.returns[60 * fold : 60 * fold + 60, trial] for fold, trial in enumerate(chosen)])
    assert expected.tolist() == walk_forward_returns(table).tolist()


def test_trials_drawn_at_random_have_the_nearest_ones_as_neighbours() -> None:
    draw = np.random.default_rng(2)
    parameters = [
        {"fast": Decimal(int(draw.integers(1, 10_000))), "slow": Decimal(int(draw.integers(1, 10_000)))}
        for _ in range(30)
    ]
    beside = neighbourhood(table_of(noise(), parameters))
    assert not beside.by_steps
    assert 4 == len(beside.neighbours)
    assert beside.trial not in {one.trial for one in beside.neighbours}


def test_a_heat_map_has_a_row_a_value_and_the_median_of_a_cell() -> None:
    parameters: list[Parameters] = [
        {"side": side, "n": n, "x": x} for side in ("long", "both") for n in (2, 10) for x in (Decimal(1), Decimal(2))
    ]
    table = table_of(noise(8), parameters)
    drawn = heat_map(table, "n", "side")
    assert (("long", "both"), (2, 10)) == (drawn.rows, drawn.columns)
    assert pytest.approx(np.median(table.scores[[0, 1]])) == drawn.cells[0][0]
    missing = heat_map(table_of(noise(3), [{"a": 1, "b": 1}, {"a": 2, "b": 1}, {"a": 1, "b": 2}]), "a", "b")
    assert missing.cells[1][1] is None
    with pytest.raises(InvalidRequest, match="the sweep has no parameter 'sid'; did you mean side"):
        heat_map(table, "n", "sid")


def test_objectives_of_one_series_are_those_of_the_report() -> None:
    returns = np.array([[0.1], [-0.2], [0.05], [0.05]])
    values = {name: float(objective(returns, 365)[0]) for name, objective in OBJECTIVES.items()}
    growth = 1.1 * 0.8 * 1.05 * 1.05
    expected = {
        "sharpe": returns.mean() / returns.std(ddof=1) * 365**0.5,
        "sortino": returns.mean() / (0.04 / 4) ** 0.5 * 365**0.5,
        "calmar": (growth ** (365 / 4) - 1) / 0.2,
        "return": growth - 1,
        "drawdown": -0.2,
    }
    assert pytest.approx(expected) == values
    assert [0.0] * 5 == [float(abs(objective(np.zeros((5, 1)), 365)[0])) for objective in OBJECTIVES.values()]
    with pytest.raises(InvalidRequest, match="there is no objective 'sharp'; did you mean sharpe"):
        objective_named("sharp")


def test_parts_of_different_shape_are_refused() -> None:
    with pytest.raises(ValueError, match="240 days of 30 trials do not fit folds of"):
        TrialTable(tuple(range(30)), tuple(grid()), noise(), (60,), np.zeros((1, 30)), np.zeros((1, 30)))
    with pytest.raises(ValueError, match="30 columns, 2 numbers"):
        TrialTable((1, 2), tuple(grid()), noise(), (240,), np.zeros((1, 30)), np.zeros((1, 30)))
