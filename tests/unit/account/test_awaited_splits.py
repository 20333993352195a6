"""Splits in the books that a price has not followed: which price follows, and what takes a split back."""

from __future__ import annotations

from decimal import Decimal

import pytest

from domain.market_data.awaited_splits import AwaitedSplit
from domain.trading.account.requests import SAME_UNITS, Ratio
from tests.support.values.builders import NOON


def ratio(new: str, old: str) -> Ratio:
    return Ratio(Decimal(new), Decimal(old))


def awaited(new: str, old: str, before: str) -> AwaitedSplit:
    split = AwaitedSplit(SAME_UNITS, NOON, Decimal(before)).then(ratio(new, old), NOON)
    assert split is not None
    return split


@pytest.mark.parametrize(
    ("new", "old", "before", "follows", "does_not"),
    [
        ("10", "1", "1000", ["100", "90", "316", "0.01"], ["1000", "317", "5000"]),
        ("1", "10", "100", ["1000", "1100", "317", "99999"], ["100", "316", "1"]),
        ("3", "2", "150", ["100", "122", "95"], ["150", "123", "160"]),  # the border is 150 / √1.5 = 122.47
        ("4", "1", "100", ["49.99"], ["50", "50.01"]),
    ],
)
def test_a_price_follows_that_is_nearer_to_what_the_split_makes_of_the_last_one(
    new: str, old: str, before: str, follows: list[str], does_not: list[str]
) -> None:
    split = awaited(new, old, before)
    assert (follows, []) == tuple(
        [price for price in prices if split.is_followed_by(Decimal(price))] for prices in (follows, does_not)
    )


def test_further_splits_are_taken_together_and_one_back_ends_it() -> None:
    split = awaited("10", "1", "1000")
    later = NOON.replace(hour=13)
    both = split.then(ratio("3", "2"), later)
    assert AwaitedSplit(ratio("15", "1"), later, Decimal(1000)) == both
    assert Decimal("66.666666666666666667") == both.expected  # type: ignore[union-attr]
    assert split.then(ratio("10", "1").back, later) is None
    assert split.then(ratio("5", "50"), later) is None
    assert "1:10" == str(split.ratio.back)
