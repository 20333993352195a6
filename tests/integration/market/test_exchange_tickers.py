"""Which prices of large exchanges hold bid, ask and sizes, by the real ccxt: the table in docs/prices.md.

The messages are those of the exchanges' documentation, shortened to what ccxt reads.
"""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Mapping
from decimal import Decimal
from typing import Any
from unittest.mock import AsyncMock

import pytest

from market.exchange.exchange_clock import ExchangeClock
from market.exchange.market_list import MarketListCheck
from market.exchange.parsing import quotes
from market.exchange.venue import Venue
from tests.support.values.builders import instant

EVERYTHING = ("1", "1.1", "2", "3", "4")
WITHOUT_SIZES = ("1", "1.1", None, "3", None)
LAST_ONLY = ("1", None, None, None, None)
"""Last trade, bid and its size, ask and its size."""
BYBIT_STREAM = {"symbol": "BTCUSDT", "lastPrice": "1", "volume24h": "9", "usdIndexPrice": "1"}
BYBIT = BYBIT_STREAM | {"bid1Price": "1.1", "bid1Size": "2", "ask1Price": "3", "ask1Size": "4"}
COINBASE_STREAM = {"type": "ticker", "product_id": "BTC-USD", "price": "1", "volume_24_h": "9"}
TICKERS: list[tuple[str, str, Mapping[str, Any], tuple[str | None, ...]]] = [
    (
        "binance",
        "parse_ticker",
        {"symbol": "BTCUSDT", "lastPrice": "1", "lastQty": "7", "bidPrice": "1.1", "bidQty": "2", "askPrice": "3",
         "askQty": "4", "volume": "9"},
        EVERYTHING,
    ),
    ("binance", "parse_ws_ticker", {"e": "24hrMiniTicker", "s": "BTCUSDT", "c": "1", "v": "9"}, LAST_ONLY),
    (
        "binance",
        "parse_ws_ticker",
        {"e": "24hrTicker", "s": "BTCUSDT", "c": "1", "Q": "7", "b": "1.1", "B": "2", "a": "3", "A": "4", "v": "9"},
        EVERYTHING,
    ),
    (
        "kraken",
        "parse_ticker",
        {"a": ["3", "5", "4"], "b": ["1.1", "5", "2"], "c": ["1", "7"], "v": ["8", "9"], "p": ["1", "1"]},
        EVERYTHING,
    ),
    (
        "okx",
        "parse_ticker",
        {"instType": "SPOT", "instId": "BTC-USDT", "last": "1", "lastSz": "7", "bidPx": "1.1", "bidSz": "2",
         "askPx": "3", "askSz": "4", "vol24h": "9"},
        EVERYTHING,
    ),
    ("bybit", "parse_ticker", BYBIT, EVERYTHING),
    ("bybit", "parse_ticker", BYBIT_STREAM, LAST_ONLY),
    ("bitstamp", "parse_ticker", {"pair": "BTC/USD", "last": "1", "bid": "1.1", "ask": "3", "volume": "9"},
     WITHOUT_SIZES),
    ("coinbase", "parse_ticker", {"product_id": "BTC-USD", "price": "1", "volume_24h": "9"}, LAST_ONLY),
    ("coinbase", "parse_ws_ticker", COINBASE_STREAM, LAST_ONLY),  # ticker_batch, of several symbols
    (
        "coinbase",
        "parse_ws_ticker",  # ticker, of one symbol
        COINBASE_STREAM
        | {"best_bid": "1.1", "best_bid_quantity": "2", "best_ask": "3", "best_ask_quantity": "4"},
        EVERYTHING,
    ),
]  # fmt: skip


def exchange_of(name: str) -> Any:
    exchange = getattr(importlib.import_module(f"ccxt.pro.{name}"), name)()
    exchange.number = str
    return exchange


def parts(ticker: Mapping[str, Any]) -> tuple[Decimal | None, ...]:
    ((quote,), _) = quotes([ticker], "test", instant(), ExchangeClock(60), real=True)
    assert quote.last_size is None
    return quote.price, quote.bid, quote.bid_size, quote.ask, quote.ask_size


def numbers(texts: tuple[str | None, ...]) -> tuple[Decimal | None, ...]:
    return tuple(None if text is None else Decimal(text) for text in texts)


@pytest.mark.parametrize(("name", "parser", "message", "expected"), TICKERS)
def test_what_a_ticker_holds(
    name: str, parser: str, message: Mapping[str, Any], expected: tuple[str | None, ...]
) -> None:
    further = ["spot"] if (name, parser) == ("binance", "parse_ws_ticker") else []
    assert numbers(expected) == parts(getattr(exchange_of(name), parser)(dict(message), *further))


def test_one_symbol_of_coinbase_has_bid_and_ask() -> None:
    exchange = exchange_of("coinbase")
    exchange.markets = {"BTC/USD": {"id": "BTC-USD", "symbol": "BTC/USD"}}
    exchange.market = exchange.markets.get
    answer = {"trades": [{"product_id": "BTC-USD", "price": "1", "size": "7"}], "best_bid": "1.1", "best_ask": "3"}
    exchange.v3PublicGetBrokerageMarketProductsProductIdTicker = AsyncMock(return_value=answer)
    assert numbers(WITHOUT_SIZES) == parts(asyncio.run(exchange.fetch_ticker("BTC/USD")))


@pytest.mark.parametrize(
    ("options", "stream"),
    [
        ({}, "ticker"),
        ({"options": {"recvWindow": 1}}, "ticker"),
        ({"options": {"watchTickers": {"name": "miniTicker"}}}, "miniTicker"),
    ],
)
def test_binance_streams_bid_and_ask_unless_the_options_say_otherwise(options: dict[str, Any], stream: str) -> None:
    exchange = Venue("binance", options, 1.0, MarketListCheck((), 1.0))._ccxt
    assert (stream, "ticker") == (
        exchange.options["watchTickers"]["name"], exchange.options["tickerChannelsMap"]["24hrTicker"],
    )  # fmt: skip


@pytest.mark.parametrize(
    ("name", "turned_off", "streams"),
    [
        ("bybit", (), True),
        ("bybit", ("watchTickers", "watchTicker"), False),
        ("coinbase", ("watchTickers", "fetchTickers"), True),
    ],
)
def test_the_options_can_turn_off_a_stream_or_joint_requests(
    name: str, turned_off: tuple[str, ...], streams: bool
) -> None:
    venue = Venue(name, {"has": dict.fromkeys(turned_off, False)}, 1.0, MarketListCheck((), 1.0))
    assert (streams, True) == (venue.streams, venue.answers)
    kinds = {kind: venue._ccxt.has[kind] for kind in ("watchTickers", "watchTicker", "fetchTickers", "fetchTicker")}
    assert {kind: kind not in turned_off for kind in kinds} == kinds
