from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.trading.price_filter import PriceScreen
from domain.trading.quotes import Quote
from domain.types import Symbol

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
BTC = Symbol("BTC/USDT")


def quote(price: str, seconds: float = 0, bid: str | None = None, ask: str | None = None) -> Quote:
    moment = NOON + timedelta(seconds=seconds)
    sides = {name: Decimal(side) for name, side in (("bid", bid), ("ask", ask)) if side is not None}
    return Quote(BTC, Decimal(price), moment, moment, "test", **sides)


@pytest.mark.parametrize("price", ["0", "-1", "-0", "NaN", "-NaN", "Infinity", "-Infinity"])
def test_what_is_no_price_is_never_believed_nor_a_suspect(price: str) -> None:
    screen = PriceScreen()
    assert [False, False] == [screen.believes(quote(price)), screen.believes(quote(price, 1))]
    assert {} == screen.suspects


@pytest.mark.parametrize(("price", "believed"), [("10", True), ("1000", True), ("9.99", False), ("1000.01", False)])
def test_ten_times_the_last_price_is_the_bound(price: str, believed: bool) -> None:
    screen = PriceScreen()
    assert screen.believes(quote("100"))
    assert believed is screen.believes(quote(price, 1))


def test_an_absurd_price_is_set_aside_and_the_next_one_counts() -> None:
    screen = PriceScreen()
    assert screen.believes(quote("100"))
    assert not screen.believes(quote("100000000", 1))
    assert [BTC] == list(screen.suspects)
    assert screen.believes(quote("101", 2))
    assert {} == screen.suspects


def test_a_later_price_near_it_confirms_a_suspect() -> None:
    screen = PriceScreen()
    assert screen.believes(quote("100"))
    assert not screen.believes(quote("5000", 1))
    assert screen.believes(quote("5100", 2))
    assert not screen.believes(quote("100", 3))


def test_the_same_print_seen_again_confirms_nothing() -> None:
    screen = PriceScreen()
    assert screen.believes(quote("100"))
    assert [False] * 3 == [screen.believes(quote("5000", 1)) for _ in range(3)]


def test_a_bad_trade_that_the_exchange_repeats_is_not_confirmed_while_bid_and_ask_are_elsewhere() -> None:
    screen = PriceScreen()
    assert screen.believes(quote("100", 0, "99", "101"))
    assert [False] * 3 == [screen.believes(quote("5000", second, "99", "101")) for second in (1, 2, 3)]
    assert screen.believes(quote("100", 4, "99", "101"))
    assert not screen.believes(quote("5000", 5, "99", "5001"))
    assert not screen.believes(quote("5000", 6, "99", "5001"))
    assert screen.believes(quote("5000", 7, "4999", "5001"))


def test_a_side_that_nobody_offers_hinders_nothing() -> None:
    screen = PriceScreen()
    assert screen.believes(quote("100"))
    assert not screen.believes(quote("5000", 1, "0", "5001"))
    assert screen.believes(quote("5000", 2, "0", "5001"))


def test_another_far_price_takes_the_place_of_the_suspect() -> None:
    screen = PriceScreen()
    assert screen.believes(quote("100"))
    assert not screen.believes(quote("5000", 1))
    assert not screen.believes(quote("0.001", 2))
    assert not screen.believes(quote("5000", 3))
    assert screen.believes(quote("5000", 4))


def test_a_price_stored_by_an_earlier_process_counts_as_the_last_one_until_there_is_one() -> None:
    screen = PriceScreen()
    screen.remember(BTC, Decimal(100))
    assert not screen.believes(quote("5000"))
    assert screen.believes(quote("90", 1))
    screen.remember(BTC, Decimal(5000))
    assert screen.believes(quote("90", 2))


@settings(max_examples=40)
@given(st.lists(st.decimals(Decimal("1e-18"), Decimal("1e19"), allow_nan=False), min_size=1, max_size=20))
def test_whatever_came_before_two_like_prices_in_a_row_are_believed(before: list[Decimal]) -> None:
    screen = PriceScreen()
    for seconds, price in enumerate(before):
        screen.believes(quote(str(price), seconds))
    screen.believes(quote("7", len(before)))
    assert screen.believes(quote("7.1", len(before) + 1))
