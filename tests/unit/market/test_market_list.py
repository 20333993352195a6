"""The check of lists of markets: an empty one is never accepted, one that leaves out many only once it stays so."""

from __future__ import annotations

from typing import Any

import pytest

from domain.types import Symbol
from market.exchange.market_list import ImplausibleMarketList, MarketListCheck

SYMBOLS = [Symbol(f"{name}/USDT") for name in ("ADA", "BTC", "ETH", "SOL", "XRP")]


def rows(*symbols: str, **changes: Any) -> list[dict[str, Any]]:
    return [{"symbol": symbol, "spot": True, "active": True, **changes} for symbol in symbols]


def rejection(check: MarketListCheck, markets: list[Any], now: float = 0) -> str | None:
    try:
        check.check(markets, now)
    except ImplausibleMarketList as error:
        return str(error)
    return None


@pytest.mark.parametrize("markets", [[], [None], [{}], [{"symbol": None}], [{"symbol": ""}], ["BTC/USDT"]])
@pytest.mark.parametrize("traded", [[], SYMBOLS])
def test_a_list_without_any_market_is_never_accepted(markets: list[Any], traded: list[Symbol]) -> None:
    check = MarketListCheck(traded, 3600)
    assert ["its list of markets is empty"] * 2 == [rejection(check, markets, now) for now in (0, 1e9)]


def test_the_first_list_is_accepted_whatever_it_holds() -> None:
    assert rejection(MarketListCheck([], 3600), rows("BTC/USDT", active=False)) is None


def test_a_market_counts_as_delisted_after_three_answers_without_it() -> None:
    check = MarketListCheck((), 3600)
    full, without = rows(*SYMBOLS), rows(*SYMBOLS[1:])
    answers = [without, without, full, without, without, without, without]
    check.check(full, 0)
    held = [(len(check.check(answer, 0)), sorted(check.awaited)) for answer in answers]
    kept, gone = (5, ["ADA/USDT"]), (4, [])
    assert [kept, kept, (5, []), kept, kept, gone, gone] == held


def test_a_market_that_only_an_earlier_process_knew_is_awaited_without_its_row() -> None:
    check = MarketListCheck(SYMBOLS, 3600)
    held = [(len(check.check(rows(*SYMBOLS[1:]), 0)), sorted(check.awaited)) for _ in range(3)]
    assert [(4, ["ADA/USDT"]), (4, ["ADA/USDT"]), (4, [])] == held


def test_answers_that_are_not_accepted_count_too() -> None:
    check = MarketListCheck((), 3600)
    check.check(rows(*SYMBOLS), 0)
    few = rows(*SYMBOLS[2:])
    for now in (0, 1800):
        assert rejection(check, few, now) is not None
    assert 3 == len(check.check(few, 3600))


def test_one_of_five_may_vanish_and_two_must_stay_away() -> None:
    check = MarketListCheck(SYMBOLS, 3600)
    assert rejection(check, rows(*SYMBOLS[1:])) is None
    check = MarketListCheck(SYMBOLS, 3600)
    few = rows(*SYMBOLS[2:])
    assert rejection(check, few, 100) == (
        "its list of markets leaves out 2 of 5, such as ADA/USDT; it is accepted once it has done so for 3600 s"
    )
    assert rejection(check, few, 3699) is not None
    assert rejection(check, few, 3700) is None
    assert rejection(check, few, 3701) is None


def test_a_full_list_in_between_begins_the_wait_anew() -> None:
    check = MarketListCheck(SYMBOLS, 3600)
    assert rejection(check, rows("BTC/USDT"), 0) is not None
    assert rejection(check, rows(*SYMBOLS), 1800) is None
    assert rejection(check, rows("BTC/USDT"), 3600) is not None
    assert rejection(check, rows("BTC/USDT"), 7200) is None


def test_what_is_listed_as_suspended_is_not_missing() -> None:
    check = MarketListCheck(SYMBOLS, 3600)
    assert rejection(check, rows(*SYMBOLS, active=False)) is None
    assert rejection(check, rows("BTC/USDT")) is not None  # the others count as missing
