"""Buying and holding: what is compared, over which time, and results known by hand."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

from domain.analytics.performance_metric import defined, undefined
from domain.analytics.report_parts.buy_and_hold import (
    EQUAL_WEIGHTS,
    Comparison,
    Held,
    PriceLine,
    Split,
    buy_and_hold,
    comparison,
)
from tests.support.values.analytics_builders import DAY, DAY_1, HOUR

UNTIL = DAY_1 + 2 * DAY
TIMES = (DAY_1, DAY_1 + DAY, UNTIL)
HELD = [
    Held("SOL/USDT", Decimal(500), DAY_1 + 3 * HOUR, crypto=True),
    Held("BTC/USDT", Decimal(700), DAY_1 + 2 * HOUR, crypto=True),
]


def line(symbol: str, *prices: str | None) -> PriceLine:
    return PriceLine(symbol, tuple(None if price is None else Decimal(price) for price in prices))


def test_it_begins_with_the_first_fill_and_ends_with_the_period() -> None:
    wanted = comparison(HELD, None, UNTIL, "USDT")
    assert wanted is not None
    assert (("BTC/USDT", "SOL/USDT"), ("BTC/USDT", "ETH/USDT")) == (wanted.traded, wanted.others)
    assert ("BTC/USDT", "SOL/USDT", "ETH/USDT") == wanted.symbols
    assert (201, DAY_1 + 2 * HOUR, UNTIL) == (len(wanted.times), wanted.times[0], wanted.times[-1])
    assert DAY_1 + 25 * HOUR == wanted.times[100]
    assert sorted(wanted.times) == list(wanted.times)


def test_a_position_that_was_open_before_the_period_begins_with_it() -> None:
    wanted = comparison(HELD, DAY_1 + 12 * HOUR, UNTIL, "USDT", ["DOGE/USDT"])
    assert wanted is not None
    assert (DAY_1 + 12 * HOUR, ("DOGE/USDT",)) == (wanted.times[0], wanted.others)


def test_nothing_held_is_compared_with_nothing_and_shares_not_with_bitcoin() -> None:
    assert None is comparison([], None, UNTIL, "USDT")
    assert None is comparison(HELD, None, DAY_1 + 2 * HOUR, "USDT")
    shares = comparison([Held("AAPL", Decimal(1), DAY_1, crypto=False)], None, UNTIL, "USD")
    assert shares is not None
    assert () == shares.others
    in_bitcoin = comparison([Held("ETH/BTC", Decimal(1), DAY_1, crypto=True)], None, UNTIL, "BTC")
    assert in_bitcoin is not None
    assert ("ETH/BTC",) == in_bitcoin.others


def test_of_many_symbols_each_has_fewer_prices() -> None:
    many = [Held(f"S{number:03}", Decimal(1), DAY_1, crypto=False) for number in range(100)]
    wanted = comparison(many, None, UNTIL, "USD")
    assert wanted is not None
    assert 61 == len(wanted.times)


def test_results_known_by_hand() -> None:
    wanted = Comparison(("A", "B"), ("C",), TIMES)
    lines = {"A": line("A", "100", "105", "110"), "B": line("B", "50", None, "40"), "C": line("C", "8", "4", "8")}
    results = buy_and_hold(wanted, lines)
    assert [(EQUAL_WEIGHTS, True, False), ("A", True, False), ("B", True, False), ("C", False, True)] == [
        (one.name, one.traded, one.named) for one in results
    ]
    # Of one half +10 %, of the other −20 %.
    assert [Decimal(text) for text in ("-0.05", "0.1", "-0.2", "0")] == [one.change.value for one in results]
    assert [0, None, Decimal("-0.05")] == [point.change for point in results[0].curve]
    assert [0, Decimal("0.05"), Decimal("0.1")] == [point.change for point in results[1].curve]
    assert [0, Decimal("-0.5"), 0] == [point.change for point in results[3].curve]
    assert list(TIMES) == [point.time for point in results[0].curve]


def test_one_symbol_needs_no_weights_and_may_be_named_too() -> None:
    (only,) = buy_and_hold(Comparison(("A",), ("A",), TIMES), {"A": line("A", "3", "3", "4")})
    assert ("A", True, True, defined(Decimal(1) / 3)) == (only.name, only.traded, only.named, only.change)


def test_what_is_not_known_has_its_reason_and_spoils_the_whole_but_not_the_others() -> None:
    lines = {"A": line("A", "100", "105", "110"), "B": PriceLine("B", (), "no price of B is stored")}
    together, first, second = buy_and_hold(Comparison(("A", "B"), (), TIMES), lines)
    unknown = undefined("no price of B is stored")
    assert (unknown, (), unknown, ()) == (together.change, together.curve, second.change, second.curve)
    assert defined(Decimal("0.1")) == first.change


def test_after_a_split_more_units_are_held() -> None:
    # Two for one, between the second price and the third: 2 × 52 / 100.
    lines = {"A": line("A", "100", "102", "52")}
    split = Split("A", DAY_1 + 30 * HOUR, Decimal(2))
    (held,) = buy_and_hold(Comparison(("A",), (), TIMES), lines, [split])
    assert [0, Decimal("0.02"), Decimal("0.04")] == [point.change for point in held.curve]
    before = split._replace(time=DAY_1 - timedelta(seconds=1))
    assert defined(Decimal("-0.48")) == buy_and_hold(Comparison(("A",), (), TIMES), lines, [before])[0].change


def test_a_symbol_that_another_one_replaced_cannot_be_held() -> None:
    gone = Split("A", DAY_1 + HOUR, Decimal(0))
    (held,) = buy_and_hold(Comparison(("A",), (), TIMES), {"A": line("A", "1", "1", "1")}, [gone])
    assert undefined("A was replaced by another symbol") == held.change
