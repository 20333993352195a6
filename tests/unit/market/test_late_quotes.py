"""The order of prices by age: by the exchange's own time, else by the order of the requests."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from domain.trading.quotes import Quote
from domain.types import Instant, Symbol
from market.exchange.late_quotes import LateQuoteFilter

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
BTC, ETH = Symbol("BTC/USDT"), Symbol("ETH/USDT")


def quote(stamp: float | None = None, symbol: Symbol = BTC) -> Quote:
    """A price; ``stamp`` are the exchange's seconds since noon."""
    at = NOON if stamp is None else NOON + timedelta(seconds=stamp)
    return Quote(symbol, Decimal(1), at, Instant(NOON, 0.0), "kraken", real=True)


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
        ([(-5, 1, 2), (-3600, 3, 11.9), (-3600, 5, 12)], [True, False, True]),  # its clock went back
        ([(3600, 1, 2), (-5, 3, 12), (-4, 13, 14)], [True, True, True]),
        ([(-5, 9, 10), (-6, 8, 30)], [True, True]),
    ],
)
def test_no_older_price_replaces_a_newer_one(
    quotes: list[tuple[float | None, float, float]], accepted: list[bool]
) -> None:
    order = LateQuoteFilter(late_window=10)
    assert accepted == [order.accepts(quote(stamp), sent_at, arrived) for stamp, sent_at, arrived in quotes]


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
