"""Histograms: round bounds, and each value in exactly one interval."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from domain.analytics.histogram import Bin, histogram


def bins(*rows: tuple[str, str, int]) -> tuple[Bin, ...]:
    return tuple(Bin(Decimal(low), Decimal(high), number) for low, high, number in rows)


def test_known_by_hand() -> None:
    values = [Decimal(value) for value in ("-12", "-0.01", "0", "4", "5", "9.99", "27")]
    expected = bins(("-20", "-10", 1), ("-10", "0", 1), ("0", "10", 4), ("10", "20", 0), ("20", "30", 1))
    assert expected == histogram(values, max_bins=5)


def test_one_value_and_none() -> None:
    assert () == histogram([])
    assert bins(("7", "8", 2)) == histogram([Decimal("7.5")] * 2)
    assert bins(("97", "98", 1)) == histogram([Decimal("97.9")])
    assert bins(("-0.5", "-0.4", 1)) == histogram([Decimal("-0.5")])
    assert bins(("0.0005", "0.0006", 1)) == histogram([Decimal("0.00052948")])  # of a portfolio in bitcoin
    assert bins(("0", "1", 3)) == histogram([Decimal(0)] * 3)


amounts = st.decimals(-(10**12), 10**12, allow_nan=False, allow_infinity=False, places=12)


@given(st.lists(amounts, min_size=1, max_size=30), st.integers(3, 60))
def test_each_value_is_in_one_bin(values: list[Decimal], most: int) -> None:
    bins = histogram(values, most)
    assert len(values) == sum(bin_.number for bin_ in bins)
    assert len(bins) <= most
    for bin_ in bins:
        assert bin_.number == sum(bin_.low <= value < bin_.high for value in values)
        assert not bin_.low < 0 < bin_.high
    assert all(before.high == after.low for before, after in pairwise(bins))
