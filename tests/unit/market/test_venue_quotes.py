"""Tickers in ccxt's unified form, as quotes: which sizes are kept, and which are unknown."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from domain.trading.freshness.age import ClockKind, Freshness, TimeMark
from domain.trading.orders import ExecutionRules
from domain.trading.prices import BasePrice, base_price, spread_known
from domain.trading.quotes import Quote
from domain.types import PriceRule, Side
from market.exchange.exchange_clock import ExchangeClock
from market.exchange.parsing import quotes
from tests.support.values.builders import BTC, NOON, instant

CLOCK = ExchangeClock(60)
BY_QUOTE = ExecutionRules(PriceRule.QUOTE)


def quote_of(**fields: Any) -> Quote:
    """Return the quote of a ticker with last trade 0.50, bid 0.90 and ask 0.92, changed by ``fields``."""
    ticker = {"symbol": BTC, "last": "0.50", "bid": "0.90", "ask": "0.92", "bidVolume": "250", "askVolume": "12.5"}
    (quote,), invalid = quotes([ticker | fields], "kraken", instant(), CLOCK, real=True)
    assert {} == invalid
    return quote


def test_a_ticker_with_sizes() -> None:
    expected = Quote(
        BTC,
        Decimal("0.50"),
        price_time=NOON,
        seen=instant(),
        source="kraken",
        real=True,
        bid=Decimal("0.90"),
        ask=Decimal("0.92"),
        volume=Decimal(200),
        bid_size=Decimal(250),
        ask_size=Decimal("12.5"),
        freshness=Freshness(NOON, ClockKind.OWN, TimeMark.NO_TIME),
    )
    assert expected == quote_of(baseVolume="200")


@pytest.mark.parametrize(
    ("sent", "size"),
    [
        ("1", Decimal(1)),
        (1.5, Decimal("1.5")),
        ("0.00000001", Decimal("0.00000001")),
        ("1e-18", Decimal("1e-18")),
        ("0.12345678901234567890", Decimal("0.123456789012345679")),
        ("9e19", Decimal("9e19")),
        (None, None),
        ("", None),
        ("0", None),
        (0.0, None),
        ("-1", None),
        ("1e20", None),
        ("1e-19", None),
        ("NaN", None),
        (float("nan"), None),
        ("inf", None),
        ("much", None),
        (True, None),
        (["1"], None),
    ],
)
def test_a_size_that_is_no_positive_number_is_unknown_and_costs_no_price(sent: object, size: Decimal | None) -> None:
    bid, ask = quote_of(bidVolume=sent), quote_of(askVolume=sent)
    assert (Decimal("0.90"), size, Decimal("0.92"), Decimal("12.5")) == (bid.bid, bid.bid_size, bid.ask, bid.ask_size)
    assert (Decimal("0.90"), Decimal(250), Decimal("0.92"), size) == (ask.bid, ask.bid_size, ask.ask, ask.ask_size)


@pytest.mark.parametrize("price", [None, "0", "-1", "NaN", "none"])
def test_a_size_without_its_price_is_unknown(price: object) -> None:
    bid, ask = quote_of(bid=price), quote_of(ask=price)
    assert (None, None, Decimal("0.92"), Decimal("12.5")) == (bid.bid, bid.bid_size, bid.ask, bid.ask_size)
    assert (Decimal("0.90"), Decimal(250), None, None) == (ask.bid, ask.bid_size, ask.ask, ask.ask_size)


def test_the_size_of_the_last_trade_is_unknown_whatever_volumes_are_sent() -> None:
    quote = quote_of(baseVolume="200", quoteVolume="100", info={"lastQty": "3", "lastSz": "3", "c": ["0.50", "3"]})
    assert (Decimal(200), None) == (quote.volume, quote.last_size)


def test_crossed_prices_keep_their_sizes_and_their_spread_is_unknown() -> None:
    quote = quote_of(bid="0.93", ask="0.92")
    assert (Decimal("0.93"), Decimal(250)) == (quote.bid, quote.bid_size)
    assert (Decimal("0.92"), Decimal("12.5")) == (quote.ask, quote.ask_size)
    assert not spread_known(quote.bid, quote.ask)
    last = BasePrice(Decimal("0.50"), size=None)
    assert [last, last] == [base_price(quote, side, BY_QUOTE) for side in Side]


def test_the_sizes_are_those_of_the_side_that_a_taker_meets() -> None:
    quote = quote_of()
    assert BasePrice(Decimal("0.92"), Decimal("12.5")) == base_price(quote, Side.BUY, BY_QUOTE)
    assert BasePrice(Decimal("0.90"), Decimal(250)) == base_price(quote, Side.SELL, BY_QUOTE)
