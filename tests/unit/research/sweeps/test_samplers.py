"""Samplers: each point once, the same ones for the same seed, and tpe finds a hill faster than chance."""

from __future__ import annotations

import sys

import pytest

from domain.errors import InvalidRequest
from research.sweeps.samplers import TPE_BATCH, Permitted, Points, refuse_spans, sampler
from research.sweeps.space import Space

SPACE = Space.parse(["fast=1:20", "slow=1:20", "side=long,both"])


def hill(point: int) -> float | None:
    """Return a score that is highest at fast = 15, slow = 5, both; None at slow = 1, as of a trial that failed."""
    fast, slow, side = SPACE.indices(point)
    return None if slow == 0 else -((fast - 14) ** 2) - (slow - 4) ** 2 + 40.0 * side


def points_of(chosen: Points) -> list[int]:
    """Return all points that a sampler gives, and tell it their scores."""
    points: list[int] = []
    while batch := chosen.batch():
        points += batch
        chosen.tell({point: hill(point) for point in batch})
    return points


def test_a_grid_has_every_point_in_order() -> None:
    assert list(range(800)) == points_of(sampler("grid", SPACE, None, 1))
    assert list(range(800)) == points_of(sampler("grid", SPACE, 800, 1))


@pytest.mark.parametrize("trials", [30, 799, 800, 5_000])
def test_random_points_differ_and_come_again_with_the_seed(trials: int) -> None:
    points = points_of(sampler("random", SPACE, trials, 1))
    assert min(trials, 800) == len(set(points)) == len(points)
    assert points == points_of(sampler("random", SPACE, trials, 1))
    assert points != points_of(sampler("random", SPACE, trials, 2))


def test_random_points_of_a_large_space() -> None:
    large = Space.parse([f"p{number}=1:100000" for number in range(6)])
    points = points_in(large, 200)
    assert 200 == len(set(points))
    assert max(points) > large.size / 2


def points_in(space: Space, trials: int) -> list[int]:
    return list(sampler("random", space, trials, 3).batch())


def test_more_trials_begin_with_the_same_points() -> None:
    assert points_of(sampler("random", SPACE, 30, 1)) == points_of(sampler("random", SPACE, 60, 1))[:30]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["random", "tpe"])
def test_another_point_is_drawn_for_each_that_the_strategy_refuses(name: str) -> None:
    if name == "tpe":
        pytest.importorskip("optuna", reason="optuna is missing; make test installs it")

    def refusal(point: int) -> str | None:
        fast, slow, _ = SPACE.indices(point)
        return None if fast < slow else "fast must be below slow"

    chosen = Permitted(sampler(name, SPACE, 30, 1), refusal, replaces=True)
    points = points_of(chosen)
    assert 30 == len(set(points)) == len(points)
    assert {None} == {refusal(point) for point in points}
    assert (True, "fast must be below slow") == (chosen.refused > 10, chosen.reason)
    small = Space.parse(["fast=1:3", "slow=1:4"])
    every = Permitted(sampler(name, small, 100, 1), lambda point: "below" if point < 5 else None, replaces=True)
    points = points_of(every)
    assert 7 == len(set(points)) == len(points)  # there are no more


def test_a_sweep_of_before_has_no_points_in_place_of_refused_ones() -> None:
    drawn = points_of(sampler("random", SPACE, 60, 1))
    chosen = Permitted(sampler("random", SPACE, 60, 1), lambda point: "odd" if point % 2 else None, replaces=False)
    assert [point for point in drawn if point % 2 == 0] == points_of(chosen)
    assert 60 == len(drawn)
    assert chosen.refused > 20


def test_a_grid_has_no_points_in_place_of_others() -> None:
    chosen = Permitted(sampler("grid", SPACE, None, 1), lambda point: "odd" if point % 2 else None, replaces=True)
    assert list(range(0, 800, 2)) == points_of(chosen)


def test_tpe_gives_each_point_once_and_the_same_ones_for_a_seed() -> None:
    pytest.importorskip("optuna", reason="optuna is missing; make test installs it")
    points = points_of(sampler("tpe", SPACE, 60, 1))
    assert 60 == len(set(points)) == len(points)
    assert points == points_of(sampler("tpe", SPACE, 60, 1))
    assert points != points_of(sampler("tpe", SPACE, 60, 2))
    assert TPE_BATCH == len(sampler("tpe", SPACE, 60, 1).batch())


def test_tpe_tries_every_point_of_a_small_space() -> None:
    pytest.importorskip("optuna", reason="optuna is missing; make test installs it")
    small = Space.parse(["fast=1:20", "side=long,both"])
    chosen = sampler("tpe", small, 1_000, 1)
    points: list[int] = []
    while batch := chosen.batch():
        points += batch
        chosen.tell(dict.fromkeys(batch, 1.0))
    assert list(range(40)) == sorted(points)


def test_tpe_looks_where_the_score_is_high() -> None:
    pytest.importorskip("optuna", reason="optuna is missing; make test installs it")
    better = 0
    for seed in range(5):
        by_tpe, by_chance = (points_of(sampler(name, SPACE, 64, seed)) for name in ("tpe", "random"))
        late, other = (
            [score for point in points[32:] if (score := hill(point)) is not None] for points in (by_tpe, by_chance)
        )
        better += sum(late) / len(late) > sum(other) / len(other) + 50
    assert 5 == better


@pytest.mark.parametrize(
    ("name", "trials", "sentence"),
    [
        ("gird", None, "there is no sampler 'gird'; did you mean grid?"),
        ("bayes", 5, "there is no sampler 'bayes'; there are grid, random, tpe"),
        ("random", None, "--sampler random needs a number of trials, such as --trials 500"),
        ("tpe", None, "--sampler tpe needs a number of trials"),
        ("random", 0, "--trials 0 must be at least 1"),
        ("grid", 799, "the grid has 800 points, more than --trials 799: omit --trials, or choose --sampler random"),
    ],
)
def test_what_cannot_be_sampled_is_one_sentence(name: str, trials: int | None, sentence: str) -> None:
    with pytest.raises(InvalidRequest) as error:
        sampler(name, SPACE, trials, 1)
    assert str(error.value).startswith(sentence)


def test_a_new_grid_of_a_range_without_a_step_is_refused() -> None:
    span = Space.parse(["fast=1:20", "depth=0.01:0.05"])
    with pytest.raises(InvalidRequest) as error:
        refuse_spans("grid", span, None)
    assert (
        "--param depth is a range of 1,001 values without a step: add one as in depth=0.1:0.5:0.1, or draw from it "
        "with --sampler random --trials 200"
    ) == str(error.value)
    refuse_spans("grid", span, 30_000)
    refuse_spans("grid", Space.parse(["fast=1:20", "depth=0.01:0.05:0.01"]), None)
    refuse_spans("random", span, 200)
    assert 200 == len(points_in(Space.parse(["depth=0.01:0.05"]), 200))


def test_without_optuna_tpe_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(
        InvalidRequest, match="needs the package optuna, which is not installed; install the extra sweep"
    ):
        sampler("tpe", SPACE, 10, 1)
