"""How often a strategy without an edge passes the validation by luck, in a thousand runs."""

from __future__ import annotations

import pytest

from domain.validation.criteria import Criteria
from domain.validation.statistical import Statistical, statistical
from tests.support.values.coin_flips import coin_flips

RUNS = 1000


@pytest.mark.slow
def test_coin_flips_pass_no_more_often_than_one_in_twenty(capsys: pytest.CaptureFixture[str]) -> None:
    verdicts = [statistical(coin_flips(seed), Criteria()) for seed in range(RUNS)]
    passed = sum(verdict.result is Statistical.PASSED for verdict in verdicts)
    plain = sum(verdict.result is not Statistical.FAILED for verdict in verdicts)
    with capsys.disabled():
        print(f"\n{RUNS} coin flips of 14 days: {passed / RUNS:.1%} pass, {plain / RUNS:.1%} meet the six")  # noqa: T201
    assert passed <= RUNS * 0.05
    # The six criteria alone are not enough; and the test means nothing if no run passes.
    assert plain > RUNS * 0.10
    assert passed > 0


@pytest.mark.slow
def test_the_game_is_fair_and_busy() -> None:
    runs = [coin_flips(seed) for seed in range(200)]
    gains = [float(run.valuations[-1].total_value - run.opening.total_value) for run in runs]
    spread = (sum(gain * gain for gain in gains) / len(gains)) ** 0.5
    assert abs(sum(gains) / len(gains)) < 2 * spread / len(gains) ** 0.5
    assert all(len(run.trade_history.round_trips) >= 28 for run in runs)
    assert {14} == {len(run.returns.values) for run in runs}
    assert {24 * 14} == {len(run.valuations) for run in runs}


def test_an_edge_that_is_large_enough_passes() -> None:
    results = [statistical(coin_flips(seed, edge=0.5), Criteria()).result for seed in range(20)]
    assert [Statistical.PASSED] * 20 == results
