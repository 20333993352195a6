"""The folds of a sweep: test spans that follow each other, training before them, and a gap between."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.errors import InvalidRequest
from domain.sweeps.folds import Fold, Span
from research.sweeps.folds import walk_forward
from tests.support.sweeps.plans import days

DAY = timedelta(days=1)


def lengths(folds: tuple[Fold, ...]) -> list[tuple[int, int]]:
    return [((fold.train.end - fold.train.begin).days, (fold.test.end - fold.test.begin).days) for fold in folds]


def test_each_fold_is_trained_on_all_days_before_it() -> None:
    folds = walk_forward(days(60), 5)
    assert [(10, 10), (20, 10), (30, 10), (40, 10), (50, 10)] == lengths(folds)
    assert Span(datetime(2025, 1, 1, tzinfo=UTC), datetime(2025, 1, 11, tzinfo=UTC)) == folds[0].train
    assert [1, 2, 3, 4, 5] == [fold.number for fold in folds]


def test_the_gap_is_the_embargo_and_the_longest_holding_time() -> None:
    folds = walk_forward(days(63), 5, embargo=DAY, purge=timedelta(hours=30))
    assert [(10, 10), (20, 10), (30, 10), (40, 10), (50, 10)] == lengths(folds)
    assert {3} == {(fold.test.begin - fold.train.end).days for fold in folds}


def test_a_training_may_have_a_length() -> None:
    assert [(10, 10), (12, 10), (12, 10)] == lengths(walk_forward(days(40), 3, train_days=12))


def test_days_without_data_do_not_count() -> None:
    weekdays = [day for day in days(90) if day.weekday() < 5]
    folds = walk_forward(weekdays, 5, embargo=DAY)
    for fold in folds:
        inside = [day for day in weekdays if fold.train.end.date() <= day < fold.test.begin.date()]
        assert 1 == len(inside)
    # The border is where the next day with data begins, so that a weekend belongs to the days before it.
    assert all(fold.test.begin.weekday() < 5 for fold in folds)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 12), st.integers(0, 200), st.integers(0, 5), st.none() | st.integers(10, 80))
def test_no_day_is_on_both_sides_and_every_later_one_is_tested_once(
    count: int, more: int, gap: int, train_days: int | None
) -> None:
    history = days((count + 1) * 10 + gap + more)
    folds = walk_forward(history, count, embargo=gap * DAY, train_days=train_days)
    assert count == len(folds)
    assert datetime.combine(history[-1], datetime.min.time(), UTC) + DAY == folds[-1].test.end
    for before, after in pairwise(folds):
        assert before.test.end == after.test.begin
    sizes = [test for _, test in lengths(folds)]
    assert max(sizes) - min(sizes) <= 1
    for fold, (train, test) in zip(folds, lengths(folds), strict=True):
        assert fold.train.end + gap * DAY == fold.test.begin
        assert train >= 10
        assert test >= 10
        assert train_days is None or train <= train_days
        assert fold == Fold.from_dict(fold.to_dict())


@pytest.mark.parametrize(
    ("count", "folds", "options", "sentence"),
    [
        (
            59, 5, {},
            "the history has 59 days with data; 5 folds need at least 60: 10 for each test, and as many to train",
        ),
        (60, 5, {"embargo": DAY}, "5 folds need at least 61: "),
        (60, 5, {"embargo": DAY}, ", and as many to train the first one after a gap of 1 day"),
        (1, 1, {}, "the history has 1 day with data; 1 fold needs at least 20"),
        (60, 0, {}, "--folds 0 must be 1 to 100"),
        (60, 101, {}, "--folds 101 must be 1 to 100"),
        (60, 2, {"embargo": -DAY}, "--embargo must not be negative"),
        (60, 2, {"purge": -DAY}, "--purge must not be negative"),
        (60, 2, {"train_days": 9}, "--train-days 9 must be at least 10"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_one_sentence(count: int, folds: int, options: dict[str, object], sentence: str) -> None:
    with pytest.raises(InvalidRequest) as error:
        walk_forward(days(count, date(2025, 1, 1)), folds, **options)  # type: ignore[arg-type]
    assert sentence in str(error.value)
