"""Currencies: the quote currency in the names that files have, and what is not known."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.currencies import (
    ABOUT_ONE_DOLLAR,
    DECIMALS,
    OTHER_BASES,
    PLAIN_QUOTES,
    Pair,
    about_one_dollar,
    asset_class,
    decimals,
    quote_currency,
    split_name,
)


@pytest.mark.parametrize(
    ("name", "base", "quote"),
    [
        ("BTC/USDT", "BTC", "USDT"),
        ("BTC/USDT:USDT", "BTC", "USDT"),
        ("BTC/USD:BTC-240628", "BTC", "USD"),
        ("FOO/BAR", "FOO", "BAR"),
        ("eth/eur", "ETH", "EUR"),
        ("BTCEUR", "BTC", "EUR"),
        ("btcusdt", "BTC", "USDT"),
        ("BTC-USD", "BTC", "USD"),
        ("UNI7083-USD", "UNI7083", "USD"),
        ("ETH_BTC", "ETH", "BTC"),
        ("XBTUSD", "BTC", "USD"),
        ("XBT/EUR", "BTC", "EUR"),
        ("ETHXBT", "ETH", "BTC"),
        ("USDJPY", "USD", "JPY"),
        ("EURUSD", "EUR", "USD"),
        ("EURUSD=X", "EUR", "USD"),
        ("GBPJPY=X", "GBP", "JPY"),
        ("JPY=X", "USD", "JPY"),
        ("XAUUSD", "XAU", "USD"),
        ("BTCTUSD", "BTC", "TUSD"),
        ("BTCBUSD", "BTC", "BUSD"),
        ("BTCFDUSD", "BTC", "FDUSD"),
        ("BNBUSD", "BNB", "USD"),
        ("BNBBUSD", "BNB", "BUSD"),
        ("DOTUSD", "DOT", "USD"),
        ("SHIBUSD", "SHIB", "USD"),
        ("USDTUSD", "USDT", "USD"),
        ("USDCUSDT", "USDC", "USDT"),
        ("OPUSD", "OP", "USD"),
        ("WUSDT", "W", "USDT"),
        ("1000PEPEUSDT", "1000PEPE", "USDT"),
        ("TURBOUSD", "TURBO", "USD"),
        ("BTCTRY", "BTC", "TRY"),
    ],
)
def test_the_currencies_of_a_pair(name: str, base: str, quote: str) -> None:
    assert Pair(base, quote) == split_name(name)
    assert quote == quote_currency(name)


@pytest.mark.parametrize(
    "name",
    [
        "AAPL", "MSFT", "BRK-B", "BRK.B", "BF-A", "GOLD", "ES=F", "^GSPC", "US500", "prices", "COUNTRY", "INDUSTRY",
        "APPLAUD", "PAUD", "USD", "USDT", "BTC", "", "/", "BTC/", "/USDT", "-USD", "BTC-", "FOOTUSD", "EURTUSD",
        "USDTUSDT", "=X", "BTC=X", "ÄÖÜUSD",
    ],
)  # fmt: skip
def test_names_that_tell_no_currency_and_names_with_two_meanings_are_unknown(name: str) -> None:
    assert split_name(name) is None
    assert quote_currency(name) is None


@pytest.mark.parametrize(
    ("name", "quote"),
    [("SAP.DE", "EUR"), ("7203.T", "JPY"), ("0700.HK", "HKD"), ("VOD.L", "GBX"), ("rds.as", "EUR"), ("A.XX", None)],
)
def test_the_exchange_in_the_name_of_a_share_tells_its_currency(name: str, quote: str | None) -> None:
    assert quote == quote_currency(name)


@given(st.sampled_from(sorted(OTHER_BASES - {"OP"})), st.sampled_from(sorted(PLAIN_QUOTES)))
def test_a_usual_pair_means_the_same_in_every_spelling(base: str, quote: str) -> None:
    spellings = [f"{base}/{quote}", f"{base}-{quote}", f"{base}_{quote}", f"{base}{quote}", f"{base}{quote}".lower()]
    assert {Pair(base, quote)} == {split_name(name) for name in spellings}


@given(st.text(max_size=15))
def test_any_text_has_a_currency_or_none(name: str) -> None:
    quote = quote_currency(name)
    assert quote is None or (quote and quote == quote.upper())


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("equity", ["AAPL", "BRK-B", "SAP.DE", "7203.T", "AAPL/USD", "BRK-B/USD", "SAP/EUR", "aapl/usd"]),
        ("fx", ["EURUSD", "EUR/USD", "USDJPY", "EURUSD=X", "GBP-USD"]),
        ("commodity", ["XAUUSD", "XAG/USD"]),
        ("crypto", ["BTC/USDT", "BTCEUR", "ETH_BTC", "XBTUSD", "PAXG/USD", "FOO/USDT", "1000PEPE/USD", "UNI7083-USD",
                    "USDT/USD", "EUR/USDT", "BTC/USDT:USDT"]),
        ("future", ["ES=F"]),
        ("index", ["^GSPC"]),
    ],
)  # fmt: skip
def test_the_asset_class_in_a_name(kind: str, names: list[str]) -> None:
    assert {kind} == {asset_class(name) for name in names}


def test_decimals_of_amounts() -> None:
    assert [8, 8, 2, 2, 2, 0, 0, 3, 2] == [
        decimals(code) for code in ("BTC", "XBT", "USDT", "USD", "EUR", "JPY", "KRW", "KWD", "SOMETHING")
    ]
    assert DECIMALS.keys() == ABOUT_ONE_DOLLAR.keys()


@pytest.mark.parametrize(
    ("expected", "currency"),
    [("1", "USD"), ("1", "USDT"), ("100", "JPY"), ("0.00001", "BTC"), ("0.00001", "XBT"), ("1", "FOO")],
)
def test_an_amount_worth_about_a_dollar(expected: str, currency: str) -> None:
    assert Decimal(expected) == about_one_dollar(currency)
