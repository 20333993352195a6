"""The order of prices by age: by the exchange's own time, else by the order of the requests."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from domain.trading.freshness.age import ClockKind, Freshness, TimeMark
from domain.trading.quotes import Quote
from domain.types import Instant, Symbol
from market.exchange.late_quotes import LateQuoteFilter

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
BTC, ETH = Symbol("BTC/USDT"), Symbol("ETH/USDT")


def quote(stamp: float | None = None, symbol: Symbol = BTC) -> Quote:
    """A price; ``stamp`` are the exchange's seconds since noon."""
    at = NOON if stamp is None else NOON + timedelta(seconds=stamp)
    return Quote(symbol, Decimal(1), at, Instant(NOON, 0.0), "kraken", real=True)


def by_clock(stamp: float, *, clock: float, mark: TimeMark | None = None) -> Quote:
    """A price with a time and the exchange's clock at its arrival, in seconds since noon."""
    there = NOON + timedelta(seconds=clock)
    return replace(quote(stamp), freshness=Freshness(there, ClockKind.EXCHANGE, mark))


@pytest.mark.parametrize(
    ("quotes", "accepted"),
    [
        # stamp, sent_at, arrived
        ([(None, 0, 1), (None, 2, 3)], [True, True]),
        ([(None, 2, 3), (None, 1, 4)], [True, False]),  # the answer to the earlier request comes later
        ([(None, 5, 5), (None, 4, 6)], [True, False]),  # a streamed price in between
        ([(None, 4, 6), (None, 7, 7)], [True, True]),
        ([(-5, 2, 3), (-4, 1, 4)], [True, True]),  # the exchange's own times decide
        ([(-5, 1, 2), (-6, 3, 4)], [True, False]),
        ([(-5, 1, 2), (-5, 3, 4)], [True, True]),  # the same, confirmed
        ([(-5, 3, 4), (-5, 2, 5)], [True, False]),
        ([(-5, 1, 2), (None, 3, 4), (-6, 5, 6)], [True, True, False]),  # between them one without a time
        ([(-5, 1, 2), (None, 3, 4), (-5, 5, 6)], [True, True, True]),
        ([(-5, 1, 2), (-600, 3, 11.9), (-600, 5, 12), (-600, 9e5, 1e6)], [True, False, False, False]),
        ([(-5, 1, 2), (-15, 3, 11.9), (-15, 5, 12), (-6, 5, 13)], [True, False, True, True]),  # one server's is behind
        ([(-5, 1, 2), (-15, 3, 12), (-16, 3, 30)], [True, True, False]),  # and stays 10 s behind at most
        ([(-5, 9, 10), (-6, 8, 30)], [True, True]),
    ],
)
def test_no_older_price_replaces_a_newer_one(
    quotes: list[tuple[float | None, float, float]], accepted: list[bool]
) -> None:
    order = LateQuoteFilter(late_window=10)
    assert accepted == [order.accepts(quote(stamp), sent_at, arrived) for stamp, sent_at, arrived in quotes]


def test_what_came_before_a_clock_went_back_hides_no_later_price() -> None:
    order = LateQuoteFilter(late_window=10)
    assert order.accepts(by_clock(3600, clock=3600), 1, 2)
    hour_earlier = by_clock(1, clock=3601)
    assert not order.accepts(hour_earlier, 3, 13)
    assert order.goes_back(hour_earlier, 13)
    assert order.accepts(by_clock(1, clock=1), 3, 13)  # measured again, the time of the first one is in the future
    assert not order.accepts(by_clock(0, clock=1), 14, 15)


def test_a_time_that_cannot_be_counts_as_none() -> None:
    order = LateQuoteFilter(late_window=10)
    assert order.accepts(by_clock(9_000, clock=0, mark=TimeMark.IMPOSSIBLE), 1, 2)
    assert order.accepts(by_clock(-5, clock=0), 3, 4)
    assert order.accepts(by_clock(-9_000, clock=0, mark=TimeMark.IMPOSSIBLE), 5, 6)
    assert not order.accepts(by_clock(9_000, clock=0, mark=TimeMark.IMPOSSIBLE), 4, 7)  # the order of the requests
    assert not order.accepts(by_clock(-6, clock=0), 8, 9)


def test_each_symbol_has_its_own_order() -> None:
    order = LateQuoteFilter(late_window=10)
    assert order.accepts(quote(-1), 5, 6)
    assert order.accepts(quote(-9, ETH), 3, 7)
    assert not order.accepts(quote(-9), 8, 8)


def test_what_has_arrived_since() -> None:
    order = LateQuoteFilter(late_window=10)
    assert not order.arrived_since(BTC, 0)
    assert order.accepts(quote(-1), 5, 6)
    assert not order.accepts(quote(-2), 7, 8)
    assert [order.arrived_since(BTC, moment) for moment in (5.0, 6.0, 7.0)] == [True, True, False]
