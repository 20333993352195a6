"""The filter of prices: what is accepted, what needs confirmation, and what is held back as a split."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.market_data.splits import Split, split_between
from domain.price_filter import PriceFilter, Verdict
from domain.trading.quotes import Quote
from domain.types import Instant, Symbol

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
BTC = Symbol("BTC/USDT")
HOLD = timedelta(minutes=10)
ACCEPTED, SET_ASIDE, SELLS_ONLY, INVALID = Verdict.ACCEPTED, Verdict.SET_ASIDE, Verdict.SELLS_ONLY, Verdict.INVALID


def quote(price: str, seconds: float = 0, bid: str | None = None, ask: str | None = None) -> Quote:
    moment = NOON + timedelta(seconds=seconds)
    sides = {name: Decimal(side) for name, side in (("bid", bid), ("ask", ask)) if side is not None}
    return Quote(BTC, Decimal(price), moment, Instant(moment, seconds), "test", real=True, **sides)


def around(price: str, seconds: float) -> Quote:
    """Return a quote whose bid and ask are a thousandth away from its price."""
    bid, ask = (str(Decimal(price) * Decimal(factor)) for factor in ("0.999", "1.001"))
    return quote(price, seconds, bid, ask)


class Filter:
    """A filter of prices of one kind of instrument, after a price of 100."""

    def __init__(self, asset_class: str = "crypto", first: str = "100") -> None:
        self.of = PriceFilter(HOLD)
        self._asset_class = asset_class
        assert ACCEPTED is self.judge(quote(first))

    def judge(self, of: Quote) -> Verdict:
        return self.of.judge(of, self._asset_class)

    def judged(self, *quotes: Quote) -> list[Verdict]:
        return [self.judge(one) for one in quotes]


@pytest.mark.parametrize("price", ["0", "-1", "-0", "NaN", "-NaN", "Infinity", "-Infinity"])
def test_an_invalid_price_is_neither_accepted_nor_a_suspect(price: str) -> None:
    price_filter = Filter()
    assert [INVALID, INVALID] == price_filter.judged(quote(price, 1), quote(price, 2))
    assert {} == price_filter.of.suspects


@pytest.mark.parametrize(
    ("price", "verdict"), [("33.34", ACCEPTED), ("300", ACCEPTED), ("33.33", SET_ASIDE), ("300.01", SET_ASIDE)]
)
def test_three_times_the_last_price_is_the_bound(price: str, verdict: Verdict) -> None:
    assert verdict is Filter().judge(quote(price, 1))


def test_nine_times_the_price_needs_three_answers_over_ten_seconds() -> None:
    price_filter = Filter()
    assert [SET_ASIDE] * 4 == price_filter.judged(quote("900", 1), quote("901", 2), quote("902", 3), quote("903", 10.9))
    assert ACCEPTED is price_filter.judge(quote("904", 11))
    assert {} == price_filter.of.suspects
    assert ACCEPTED is price_filter.judge(quote("905", 12))


def test_two_answers_are_too_few_however_long_they_take() -> None:
    price_filter = Filter()
    assert [SET_ASIDE, SET_ASIDE, ACCEPTED] == price_filter.judged(quote("900", 1), quote("900", 60), quote("900", 61))


def test_a_thousand_times_the_price_after_two_seconds_is_not_accepted() -> None:
    assert [SET_ASIDE] * 3 == Filter().judged(quote("100000", 1), quote("100000", 2), quote("100000", 3))


def test_an_implausible_price_is_rejected_and_the_next_one_accepted() -> None:
    price_filter = Filter()
    assert SET_ASIDE is price_filter.judge(quote("100000000", 1))
    assert [BTC] == list(price_filter.of.suspects)
    assert ACCEPTED is price_filter.judge(quote("101", 2))
    assert {} == price_filter.of.suspects


def test_the_same_trade_seen_again_confirms_nothing() -> None:
    price_filter = Filter()
    trade = quote("900", 1)
    seen = [Quote(BTC, trade.price, trade.price_time, Instant(NOON, n), "test", real=True) for n in range(1, 60)]
    assert {SET_ASIDE} == set(price_filter.judged(*seen))


def test_a_bad_trade_that_the_exchange_repeats_is_not_confirmed_while_bid_and_ask_are_elsewhere() -> None:
    price_filter = Filter()
    assert {SET_ASIDE} == {price_filter.judge(quote("900", second, "99", "101")) for second in range(1, 60)}
    assert {SET_ASIDE} == {price_filter.judge(quote("900", second, "99", "901")) for second in range(60, 120)}
    # Only from now on it counts.
    assert [SET_ASIDE] * 3 == price_filter.judged(*(around("900", second) for second in (120, 121, 129)))
    assert ACCEPTED is price_filter.judge(around("900", 130))


def test_a_missing_bid_or_ask_does_not_prevent_confirmation() -> None:
    quotes = [quote("900", second, "0", "901") for second in (1, 6, 11)]
    assert [SET_ASIDE, SET_ASIDE, ACCEPTED] == Filter().judged(*quotes)


def test_another_far_price_takes_the_place_of_the_suspect() -> None:
    price_filter = Filter()
    assert [SET_ASIDE] * 3 == price_filter.judged(quote("900", 1), quote("0.001", 2), quote("900", 12))
    assert [SET_ASIDE, ACCEPTED] == price_filter.judged(quote("900", 20), quote("900", 22))


def test_a_price_stored_by_an_earlier_process_counts_as_the_last_one_until_there_is_one() -> None:
    price_filter = PriceFilter(HOLD)
    price_filter.remember(BTC, Decimal(100))
    assert SET_ASIDE is price_filter.judge(quote("5000"), "crypto")
    assert ACCEPTED is price_filter.judge(quote("90", 1), "crypto")
    price_filter.remember(BTC, Decimal(5000))
    assert ACCEPTED is price_filter.judge(quote("90", 2), "crypto")


@settings(max_examples=40)
@given(
    st.lists(st.decimals(Decimal("1e-18"), Decimal("1e19"), allow_nan=False), min_size=1, max_size=20),
    st.sampled_from(["crypto", "equity"]),
)
def test_after_any_history_three_similar_prices_over_ten_minutes_are_accepted(
    before: list[Decimal], asset_class: str
) -> None:
    price_filter = PriceFilter(HOLD)
    for seconds, price in enumerate(before):
        price_filter.judge(quote(str(price), seconds), asset_class)
    price_filter.judge(quote("7", 100), asset_class)
    price_filter.judge(quote("7.1", 500), asset_class)
    assert ACCEPTED is price_filter.judge(quote("7.2", 701), asset_class)


def test_a_wall_clock_that_is_set_back_does_not_keep_a_price_without_a_time_from_being_confirmed() -> None:
    price_filter = Filter()
    assert SET_ASIDE is price_filter.judge(quote("900", 1))
    back = NOON - timedelta(hours=1)
    later = [Quote(BTC, Decimal(910), back, Instant(back, seconds), "test", real=True) for seconds in (2, 12)]
    assert [SET_ASIDE, ACCEPTED] == price_filter.judged(*later)


def test_recorded_prices_are_confirmed_by_their_own_times() -> None:
    price_filter = Filter()
    played = [
        Quote(BTC, Decimal(900), NOON + timedelta(hours=n), Instant(NOON, 1 + n / 1000), "file", real=False)
        for n in (1, 2, 3)
    ]
    assert [SET_ASIDE, SET_ASIDE, ACCEPTED] == price_filter.judged(*played)


def test_a_ten_for_one_split_is_held_back_for_ten_minutes() -> None:
    price_filter = Filter("crypto", "1208.88")
    quotes = [quote("120.888", second) for second in range(1, 602, 10)]
    assert [SET_ASIDE] * 60 + [ACCEPTED] == price_filter.judged(*quotes)


def test_sells_go_on_once_three_answers_with_their_books_confirm_a_split() -> None:
    price_filter = Filter("equity", "1208.88")
    quotes = [around("120.888", second) for second in (1, 6, 11, 12)]
    assert [SET_ASIDE, SET_ASIDE, SELLS_ONLY, SELLS_ONLY] == price_filter.judged(*quotes)
    # A wide book, or one side alone, confirms nothing.
    assert [SET_ASIDE] * 2 == price_filter.judged(quote("120.888", 13, "90", "150"), quote("120.888", 14, "120"))
    assert SELLS_ONLY is price_filter.judge(around("119.5", 15))
    assert Split(Decimal(10), Decimal(1)) == price_filter.of.suspects[BTC].split
    assert ACCEPTED is price_filter.judge(around("119.5", 601))


def test_a_small_split_of_a_share_is_sold_at_once_where_the_book_confirms_it_and_not_bought_meanwhile() -> None:
    price_filter = Filter("equity")
    assert [SELLS_ONLY, SELLS_ONLY] == price_filter.judged(around("50", 1), around("51", 2))
    assert [SET_ASIDE, ACCEPTED] == price_filter.judged(quote("50.5", 600), quote("50.5", 601))


def test_a_price_that_returns_is_no_split() -> None:
    price_filter = Filter("equity")
    assert [SET_ASIDE, ACCEPTED] == price_filter.judged(quote("50", 1), quote("99", 2))
    assert {} == price_filter.of.suspects


def test_a_coin_may_halve_or_fall_to_a_ninth_without_a_split() -> None:
    assert ACCEPTED is Filter("crypto").judge(quote("50", 1))
    price_filter = Filter("crypto", "900")
    quotes = [quote("100", second) for second in (1, 6, 11)]
    assert [SET_ASIDE, SET_ASIDE, ACCEPTED] == price_filter.judged(*quotes)


def test_a_split_that_is_confirmed_or_refused_ends_the_hold() -> None:
    price_filter = Filter("equity", "1208.88")
    assert SET_ASIDE is price_filter.judge(quote("120.888", 1))
    forgotten = price_filter.of.forget(BTC)
    assert forgotten is not None
    assert "10:1" == str(forgotten.split)
    assert ACCEPTED is price_filter.judge(quote("120.888", 2))
    assert price_filter.of.forget(BTC) is None


@pytest.mark.parametrize(("hours", "asset_class", "verdict"), [
    (17, "fx", SET_ASIDE), (1, "fx", ACCEPTED), (17, "crypto", ACCEPTED), (1, "equity", SET_ASIDE),
])  # fmt: skip
def test_between_two_sessions_of_a_file_a_jump_like_a_small_split_is_held_back_of_all_but_coins(
    hours: int, asset_class: str, verdict: Verdict
) -> None:
    price_filter = PriceFilter(HOLD)
    seen = Instant(NOON, 1)
    closing = Quote(BTC, Decimal(100), NOON, seen, "file", real=False)
    opening = Quote(BTC, Decimal("50.2"), NOON + timedelta(hours=hours), seen, "file", real=False)
    assert [ACCEPTED, verdict] == [price_filter.judge(one, asset_class) for one in (closing, opening)]


@pytest.mark.parametrize(
    ("before", "after", "asset_class", "split"),
    [
        ("1208.88", "120.888", "crypto", "10:1"),
        ("1208.88", "120.5", "crypto", "10:1"),
        ("1208.88", "121", "crypto", None),  # 9.99
        ("1208.88", "121", "equity", "10:1"),
        ("100", "50", "equity", "2:1"),
        ("100", "50.2", "equity", "2:1"),
        ("100", "50.3", "equity", None),
        ("100", "66.6", "equity", "3:2"),
        ("66.6", "100", "equity", "2:3"),
        ("1", "20", "equity", "1:20"),
        ("0.00001", "0.01", "crypto", "1:1000"),
        ("100", "50", "crypto", None),
        ("900", "100", "crypto", None),
        ("100", "80", "equity", None),
        ("100", "7.5", "equity", None),
    ],
)
def test_jumps_that_look_like_a_split(before: str, after: str, asset_class: str, split: str | None) -> None:
    result = split_between(Decimal(before), Decimal(after), asset_class)
    assert split == (str(result) if result is not None else None)


def test_a_trade_far_away_or_at_a_price_that_is_held_back_is_not_used() -> None:
    price_filter = Filter("equity")
    assert [True, False] == [price_filter.of.accepts_trade(quote(price, 1)) for price in ("299", "301")]
    assert price_filter.of.accepts_trade(quote("51", 1))
    assert SET_ASIDE is price_filter.judge(quote("50", 2))
    assert [False, True] == [price_filter.of.accepts_trade(quote(price, 3)) for price in ("51", "99")]
