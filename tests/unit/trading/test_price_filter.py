from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.price_filter import PriceFilter
from domain.trading.quotes import Quote
from domain.types import Instant, Symbol

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
BTC = Symbol("BTC/USDT")


def quote(price: str, seconds: float = 0, bid: str | None = None, ask: str | None = None) -> Quote:
    moment = NOON + timedelta(seconds=seconds)
    sides = {name: Decimal(side) for name, side in (("bid", bid), ("ask", ask)) if side is not None}
    return Quote(BTC, Decimal(price), moment, Instant(moment, seconds), "test", real=False, **sides)


@pytest.mark.parametrize("price", ["0", "-1", "-0", "NaN", "-NaN", "Infinity", "-Infinity"])
def test_an_invalid_price_is_neither_accepted_nor_a_suspect(price: str) -> None:
    price_filter = PriceFilter()
    assert [False, False] == [price_filter.accepts(quote(price)), price_filter.accepts(quote(price, 1))]
    assert {} == price_filter.suspects


@pytest.mark.parametrize(("price", "believed"), [("10", True), ("1000", True), ("9.99", False), ("1000.01", False)])
def test_ten_times_the_last_price_is_the_bound(price: str, believed: bool) -> None:
    price_filter = PriceFilter()
    assert price_filter.accepts(quote("100"))
    assert believed is price_filter.accepts(quote(price, 1))


def test_an_implausible_price_is_rejected_and_the_next_one_accepted() -> None:
    price_filter = PriceFilter()
    assert price_filter.accepts(quote("100"))
    assert not price_filter.accepts(quote("100000000", 1))
    assert [BTC] == list(price_filter.suspects)
    assert price_filter.accepts(quote("101", 2))
    assert {} == price_filter.suspects


def test_a_later_price_near_it_confirms_a_suspect() -> None:
    price_filter = PriceFilter()
    assert price_filter.accepts(quote("100"))
    assert not price_filter.accepts(quote("5000", 1))
    assert price_filter.accepts(quote("5100", 2))
    assert not price_filter.accepts(quote("100", 3))


def test_the_same_trade_seen_again_does_not_confirm_a_suspect() -> None:
    price_filter = PriceFilter()
    assert price_filter.accepts(quote("100"))
    assert [False] * 3 == [price_filter.accepts(quote("5000", 1)) for _ in range(3)]


def test_a_bad_trade_that_the_exchange_repeats_is_not_confirmed_while_bid_and_ask_are_elsewhere() -> None:
    price_filter = PriceFilter()
    assert price_filter.accepts(quote("100", 0, "99", "101"))
    assert [False] * 3 == [price_filter.accepts(quote("5000", second, "99", "101")) for second in (1, 2, 3)]
    assert price_filter.accepts(quote("100", 4, "99", "101"))
    assert not price_filter.accepts(quote("5000", 5, "99", "5001"))
    assert not price_filter.accepts(quote("5000", 6, "99", "5001"))
    assert price_filter.accepts(quote("5000", 7, "4999", "5001"))


def test_a_missing_bid_or_ask_does_not_prevent_confirmation() -> None:
    price_filter = PriceFilter()
    assert price_filter.accepts(quote("100"))
    assert not price_filter.accepts(quote("5000", 1, "0", "5001"))
    assert price_filter.accepts(quote("5000", 2, "0", "5001"))


def test_another_far_price_takes_the_place_of_the_suspect() -> None:
    price_filter = PriceFilter()
    assert price_filter.accepts(quote("100"))
    assert not price_filter.accepts(quote("5000", 1))
    assert not price_filter.accepts(quote("0.001", 2))
    assert not price_filter.accepts(quote("5000", 3))
    assert price_filter.accepts(quote("5000", 4))


def test_a_price_stored_by_an_earlier_process_counts_as_the_last_one_until_there_is_one() -> None:
    price_filter = PriceFilter()
    price_filter.remember(BTC, Decimal(100))
    assert not price_filter.accepts(quote("5000"))
    assert price_filter.accepts(quote("90", 1))
    price_filter.remember(BTC, Decimal(5000))
    assert price_filter.accepts(quote("90", 2))


@settings(max_examples=40)
@given(st.lists(st.decimals(Decimal("1e-18"), Decimal("1e19"), allow_nan=False), min_size=1, max_size=20))
def test_after_any_history_two_similar_prices_in_a_row_are_accepted(before: list[Decimal]) -> None:
    price_filter = PriceFilter()
    for seconds, price in enumerate(before):
        price_filter.accepts(quote(str(price), seconds))
    price_filter.accepts(quote("7", len(before)))
    assert price_filter.accepts(quote("7.1", len(before) + 1))


def test_a_wall_clock_that_is_set_back_does_not_keep_a_price_without_a_time_from_being_confirmed() -> None:
    price_filter = PriceFilter()
    assert price_filter.accepts(quote("100"))
    assert not price_filter.accepts(quote("5000", 1))
    back = NOON - timedelta(hours=1)
    assert price_filter.accepts(Quote(BTC, Decimal(5100), back, Instant(back, 2), "test", real=False))
