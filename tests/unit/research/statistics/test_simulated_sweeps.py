"""How many sweeps of coin flips pass the verdict, and how many with an edge; benchmarks/research measures more."""

from __future__ import annotations

import pytest

from domain.analytics.significance import CONFIDENCE
from research.statistics.sharpe import sharpe_ratios
from research.statistics.verdict import SweepVerdict, sweep_verdict
from tests.support.sweeps.simulation import planted, simulated_sweep

DAYS, TRIALS, SWEEPS = 160, 16, 120


def verdicts(count: int, days: int = DAYS, *, edge: float = 0.0) -> list[SweepVerdict]:
    return [sweep_verdict(simulated_sweep(seed, days, TRIALS, edge=edge)) for seed in range(count)]


def test_coin_flips_pass_no_more_often_than_one_in_twenty() -> None:
    judged = verdicts(SWEEPS)
    assert sum(verdict.passed for verdict in judged) <= SWEEPS * 0.05
    # The test means nothing if the best of them does not look well: a third pass for who forgets the other trials.
    alone = [verdict.deflated.undeflated.value for verdict in judged]
    assert sum(value is not None and value >= CONFIDENCE for value in alone) > SWEEPS / 3
    # The other two criteria alone would let pass about a quarter.
    assert sum(all(one.passed for one in verdict.criteria[1:]) for verdict in judged) > SWEEPS / 8


@pytest.mark.parametrize(("edge", "least"), [(9.0, 0.6), (12.0, 0.9)])
def test_an_edge_of_half_a_year_passes_where_it_is_large(edge: float, least: float) -> None:
    judged = verdicts(30, 200, edge=edge)
    assert sum(verdict.passed for verdict in judged) >= 30 * least
    assert [planted(seed, 200, TRIALS) for seed in range(30)] == [verdict.best for verdict in judged]


def test_the_game_is_fair_and_a_part_of_the_trials_is_alike() -> None:
    sweeps = [simulated_sweep(seed, 400, 20) for seed in range(30)]
    ratios = [sharpe_ratios(sweep.returns).mean() for sweep in sweeps]
    spread = (sum(ratio * ratio for ratio in ratios) / len(ratios)) ** 0.5
    assert abs(sum(ratios) / len(ratios)) < 2 * spread / len(ratios) ** 0.5
    clusters = [sweep_verdict(sweep).deflated.by_clusters.trials for sweep in sweeps[:5]]
    assert all(7 < count < 18 for count in clusters), clusters
