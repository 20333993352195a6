"""The rules of restarts: intensity, backoff, budgets of a child and of the tree, strikes of decisions."""

from __future__ import annotations

import random
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.supervision.restarts import (
    MAX_SUSPECTS,
    STRIKE_LIFETIME,
    Backoff,
    Budget,
    Intensity,
    Restarts,
    Strikes,
)
from domain.errors import RestartLimitReached

BEGIN = timedelta(0)
SECOND = timedelta(seconds=1)
MS = timedelta(milliseconds=1)


class Never(random.Random):
    """A generator that draws 0."""

    def random(self) -> float:
        return 0.0


def a_budget(*names: str, own: int = 5, tree: int = 5, generator: random.Random | None = None) -> Budget:
    limits = dict.fromkeys(names, Intensity(own, 30 * SECOND))
    return Budget(limits, Intensity(tree, 30 * SECOND), Backoff(), generator or Never())


# Intensity


def test_the_intensity_allows_its_restarts_and_not_one_more() -> None:
    restarts = Restarts(Intensity(3, 30 * SECOND))
    assert [0, 1, 2] == [restarts.count(BEGIN + n * SECOND) for n in range(3)]
    with pytest.raises(RestartLimitReached, match=r"^gave up after 3 restarts within 30 s$"):
        restarts.count(BEGIN + 29 * SECOND)


def test_restarts_before_the_window_are_forgotten() -> None:
    restarts = Restarts(Intensity(3, 30 * SECOND))
    for n in range(3):
        restarts.count(BEGIN + n * SECOND)
    assert 2 == restarts.count(BEGIN + 30 * SECOND)  # the first is 30 s old
    with pytest.raises(RestartLimitReached):
        restarts.count(BEGIN + 30.999 * SECOND)


@given(st.lists(st.floats(0, 100), min_size=1, max_size=40).map(sorted))
def test_the_limit_is_met_exactly_where_the_window_holds_too_many(moments: list[float]) -> None:
    restarts = Restarts(Intensity(5, 30 * SECOND))
    for index, moment in enumerate(moments):
        at = BEGIN + timedelta(seconds=moment)
        inside = sum(at - (BEGIN + timedelta(seconds=m)) < 30 * SECOND for m in moments[:index])
        if inside < 5:
            assert inside == restarts.count(at)
        else:
            with pytest.raises(RestartLimitReached):
                restarts.count(at)


def test_a_restart_that_is_taken_back_does_not_count() -> None:
    restarts = Restarts(Intensity(1, 30 * SECOND))
    restarts.take_back(BEGIN)  # nothing to take back
    for n in range(100):
        assert 0 == restarts.count(BEGIN + n * MS)
        assert restarts.last == BEGIN + n * MS
        restarts.take_back(BEGIN + n * MS)
    assert restarts.last is None


# Backoff


def test_each_restart_waits_twice_as_long_up_to_the_longest() -> None:
    expected = [50, 100, 200, 400, 800, 1600, 3200, 5000, 5000]
    assert [n * MS for n in expected] == [Backoff().delay(before, 0.0) for before in range(9)]


@given(st.integers(0, 10**6), st.floats(0, 1))
def test_the_draw_adds_at_most_the_jitter(before: int, draw: float) -> None:
    backoff = Backoff(shortest=50 * MS, longest=5 * SECOND, jitter=0.2)
    least = backoff.delay(before, 0.0)
    assert 50 * MS <= least <= 5 * SECOND
    assert least <= backoff.delay(before, draw) <= 1.2 * least


# Budget


def test_the_delay_grows_with_each_restart_of_the_actor_and_resets_after_a_quiet_time() -> None:
    budget = a_budget("Sizer")
    assert [50 * MS, 100 * MS, 200 * MS] == [budget.spend("Sizer", BEGIN + n * SECOND) for n in range(3)]
    assert 50 * MS == budget.spend("Sizer", BEGIN + 33 * SECOND)


def test_the_generator_spreads_the_delay() -> None:
    draw = random.Random(7).random()
    budget = a_budget("Sizer", generator=random.Random(7))
    assert 50 * MS * (1 + 0.2 * draw) == budget.spend("Sizer", BEGIN)


def test_each_actor_has_its_own_delay_and_the_tree_counts_all() -> None:
    budget = a_budget("Sizer", "PriceTracker", own=3, tree=4)
    for n in range(2):
        assert 50 * 2**n * MS == budget.spend("Sizer", BEGIN)
        assert 50 * 2**n * MS == budget.spend("PriceTracker", BEGIN)
    with pytest.raises(RestartLimitReached, match="4 restarts"):
        budget.spend("Sizer", BEGIN)


def test_an_actor_has_its_own_limit() -> None:
    budget = a_budget("Sizer", "PriceTracker", own=2, tree=100)
    for _ in range(2):
        budget.spend("Sizer", BEGIN)
    budget.spend("PriceTracker", BEGIN)
    with pytest.raises(RestartLimitReached, match="2 restarts"):
        budget.spend("Sizer", BEGIN)


def test_a_refund_gives_both_back_and_the_others_keep_theirs() -> None:
    budget = a_budget("Sizer", "PriceTracker", own=2, tree=3)
    budget.spend("PriceTracker", BEGIN)
    for _ in range(50):
        assert 50 * MS == budget.spend("Sizer", BEGIN)
        budget.refund("Sizer")
    assert 100 * MS == budget.spend("PriceTracker", BEGIN)


def test_a_refund_takes_the_actors_own_restart_back_however_many_came_after_it() -> None:
    budget = a_budget("Sizer", "PriceTracker", own=9, tree=2)
    budget.spend("Sizer", BEGIN)
    budget.spend("PriceTracker", BEGIN + 20 * SECOND)
    budget.refund("Sizer")
    # What is left is the PriceTracker's, 20 s after noon: at 31 s it still counts.
    budget.spend("Sizer", BEGIN + 31 * SECOND)
    with pytest.raises(RestartLimitReached):
        budget.spend("Sizer", BEGIN + 32 * SECOND)


def test_an_intensity_reads_as_in_the_message_about_it() -> None:
    assert "5 restarts within 30 s" == str(Intensity(5, 30 * SECOND))


# Strikes


def test_the_second_strike_on_a_decision_makes_it_the_culprit() -> None:
    strikes = Strikes()
    assert strikes.strike(frozenset({1}), BEGIN) is None
    assert strikes.strike(frozenset({2}), BEGIN) is None
    assert 1 == strikes.strike(frozenset({1}), BEGIN)
    assert frozenset({2}) == strikes.suspects(BEGIN)


def test_a_group_is_suspect_and_only_one_handled_alone_is_the_culprit() -> None:
    strikes = Strikes()
    assert strikes.strike(frozenset({1, 2, 3}), BEGIN) is None
    assert frozenset({1, 2, 3}) == strikes.suspects(BEGIN)
    assert strikes.strike(frozenset({1, 2}), BEGIN) is None  # still more than one
    assert 2 == strikes.strike(frozenset({2}), BEGIN)
    assert frozenset({1, 3}) == strikes.suspects(BEGIN)


def test_a_crash_about_no_decision_is_no_strike() -> None:
    strikes = Strikes()
    assert strikes.strike(frozenset(), BEGIN) is None
    assert frozenset() == strikes.suspects(BEGIN)


def test_suspects_are_bounded_and_the_oldest_forgotten() -> None:
    strikes = Strikes()
    strikes.strike(frozenset({-1}), BEGIN)
    for first in range(0, MAX_SUSPECTS, 100):
        strikes.strike(frozenset(range(first, first + 100)), BEGIN)
    assert MAX_SUSPECTS == len(strikes.suspects(BEGIN))
    assert -1 not in strikes.suspects(BEGIN)


def test_a_strike_is_forgotten_after_an_hour() -> None:
    strikes = Strikes()
    assert strikes.strike(frozenset({1}), BEGIN) is None
    assert strikes.strike(frozenset({2}), BEGIN + STRIKE_LIFETIME / 2) is None
    assert frozenset({1, 2}) == strikes.suspects(BEGIN + STRIKE_LIFETIME)
    later = BEGIN + STRIKE_LIFETIME + SECOND
    assert strikes.strike(frozenset({1}), later) is None  # the first one is too long ago
    assert frozenset({1, 2}) == strikes.suspects(later)
    assert 1 == strikes.strike(frozenset({1}), later + STRIKE_LIFETIME)


def test_a_strike_with_others_makes_the_one_before_newer() -> None:
    strikes = Strikes()
    strikes.strike(frozenset({1}), BEGIN)
    strikes.strike(frozenset({1, 2}), BEGIN + STRIKE_LIFETIME)
    assert 1 == strikes.strike(frozenset({1}), BEGIN + 2 * STRIKE_LIFETIME)


def test_the_third_crash_on_decisions_that_always_come_together_takes_the_first() -> None:
    strikes = Strikes()
    pair = frozenset({5, 16})
    assert strikes.strike(pair, BEGIN) is None
    assert strikes.strike(frozenset({5, 7, 16}), BEGIN) is None  # another group
    assert strikes.strike(pair, BEGIN) is None
    assert 5 == strikes.strike(pair, BEGIN)
    assert frozenset({7, 16}) == strikes.suspects(BEGIN)
    assert 16 == strikes.strike(frozenset({16}), BEGIN)  # it was not the first one's fault


def test_crashes_on_decisions_together_are_forgotten_with_their_strikes() -> None:
    strikes = Strikes()
    pair = frozenset({1, 2})
    assert [None, None] == [strikes.strike(pair, BEGIN), strikes.strike(pair, BEGIN)]
    assert strikes.strike(pair, BEGIN + STRIKE_LIFETIME + SECOND) is None
    assert 1 == strikes.strike(frozenset({1}), BEGIN + STRIKE_LIFETIME + SECOND)
