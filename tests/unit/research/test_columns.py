"""Columns of integers are exact; the search finds the first bar that reaches a level."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from research.backtest.search import FIRST_CHUNK, next_reached, open_reaches
from research.columns.scaled import UNKNOWN, exact, integer_above, integer_below, scaled
from tests.support.research.markets import bars, decimals, flat_bars

numbers = st.decimals(min_value=0, max_value=10**15, places=8).map(lambda one: one.normalize())


@given(st.lists(st.one_of(st.none(), numbers), min_size=1, max_size=30))
def test_integers_and_a_scale_are_the_same_numbers(values: list[Decimal | None]) -> None:
    columns = scaled({"price": decimals(values)})
    (column,) = columns.columns.values()
    back = [None if one == UNKNOWN else exact(int(one), columns.scale) for one in column]
    assert values == back
    present = [value for value in values if value is not None]
    assert columns.scale == max((-int(value.as_tuple().exponent) for value in present if value != 0), default=0) or (
        columns.scale == 0
    )


def test_numbers_of_more_than_64_bits_stay_exact() -> None:
    values = [Decimal("123456789012.123456789012345678"), Decimal("0.000000000000000001")]
    columns = scaled({"price": decimals(values)})
    assert 18 == columns.scale
    assert values == [exact(int(one), 18) for one in columns.columns["price"]]


def test_a_search_works_on_them_too() -> None:
    columns = flat_bars(["123456789012.123456789012345678", "123456789012.123456789012345677", "1"])
    assert 1 == next_reached(columns, 0, Decimal("123456789012.123456789012345677"), None)
    assert 2 == next_reached(columns, 2, Decimal("123456789012.123456789012345677"), None)


@pytest.mark.parametrize(
    ("value", "scale", "text"), [(0, 4, "0"), (1500, 2, "15"), (1505, 3, "1.505"), (100, 0, "100")]
)
def test_exact_numbers_have_no_trailing_zeros(value: int, scale: int, text: str) -> None:
    assert text == str(exact(value, scale))


@pytest.mark.parametrize(
    ("level", "below", "above"),
    [("1.005", 100, 101), ("1", 100, 100), ("1e30", 10**32, 10**32), ("0.001", 0, 1)],
)
def test_levels_are_rounded_so_that_no_bar_is_missed(level: str, below: int, above: int) -> None:
    assert (below, above) == (integer_below(Decimal(level), 2), integer_above(Decimal(level), 2))


levels = st.one_of(st.none(), st.integers(1, 200).map(lambda value: Decimal(value) / 2))


@given(st.lists(st.tuples(*[st.integers(1, 100)] * 4), min_size=1, max_size=20), st.integers(0, 20), levels, levels)
def test_the_search_agrees_with_a_loop(
    rows: list[tuple[int, ...]], first: int, down: Decimal | None, up: Decimal | None
) -> None:
    # The prices of a row need not make sense: the open may lie above the high.
    columns = bars(rows)
    if down is None and up is None:
        return
    reached = [
        bar
        for bar, row in enumerate(rows)
        if bar >= first and ((down is not None and min(row) <= down) or (up is not None and max(row) >= up))
    ]
    assert next(iter(reached), None) == next_reached(columns, first, down, up)
    opens = [bar for bar, row in enumerate(rows) if open_reaches(columns, bar, down, up)]
    assert opens == [
        bar
        for bar, row in enumerate(rows)
        if (down is not None and row[0] <= down) or (up is not None and row[0] >= up)
    ]


@pytest.mark.parametrize("place", [0, 1, FIRST_CHUNK - 1, FIRST_CHUNK, 5 * FIRST_CHUNK, 9_999])
def test_the_search_goes_on_beyond_its_first_chunk(place: int) -> None:
    prices: list[Any] = [100] * 10_000
    prices[place] = 90
    columns = flat_bars(prices)
    assert place == next_reached(columns, 0, Decimal(95), Decimal(105))
    assert next_reached(columns, place + 1, Decimal(95), None) is None


def test_a_level_beyond_64_bits_is_never_reached() -> None:
    assert next_reached(flat_bars([1, 2, 3]), 0, None, Decimal("1e30")) is None
    assert 0 == next_reached(flat_bars([1, 2, 3]), 0, Decimal("1e30"), None)


def test_a_bar_that_begins_too_early_counts_by_its_close() -> None:
    columns = bars([(100, 110, 90, 105), (50, 200, 20, 104)], begins=[0, 0])
    assert [True, False] == columns.has_open.tolist()
    assert (104, 104, 104) == tuple(int(column[1]) for column in (columns.open, columns.high, columns.low))


def test_gaps_are_counted() -> None:
    columns = flat_bars([1, 2, 3, 4], begins=[0, 1, 4, 9])
    assert (2, 6) == columns.gaps()
    assert (0, 0) == flat_bars([1, 2, 3]).gaps()


def test_columns_cannot_be_changed() -> None:
    columns = flat_bars([1, 2, 3])
    for column in (columns.close, columns.closes):
        with pytest.raises(ValueError, match="read-only"):
            column[0] = 5
    assert np.array_equal([1.0, 2.0, 3.0], columns.closes)
