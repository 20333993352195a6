"""Refusals without a price: HOLD, low confidence, unknown symbols, other currencies."""

from __future__ import annotations

import pytest

from domain.trading.instruments import Unresolved
from domain.trading.sizing import pre_trade_check
from domain.types import OutcomeStatus
from tests.support.values.builders import (
    instrument,
    received,
    refused,
    rules,
)

CURRENCIES = frozenset({"USD", "USDT", "USDC"})


def test_hold_is_ignored_with_the_reason() -> None:
    refused(
        "hold: nothing to do",
        pre_trade_check(received("HOLD"), rules(), instrument(), CURRENCIES),
        OutcomeStatus.IGNORED,
    )
    unsure = received("HOLD", confidence=0)
    refused(
        "hold: nothing to do",
        pre_trade_check(unsure, rules(), Unresolved("no such thing"), CURRENCIES),
        OutcomeStatus.IGNORED,
    )


@pytest.mark.parametrize("action", ["BUY", "SELL"])
@pytest.mark.parametrize(("confidence", "threshold"), [("0.6", "0.6"), ("0.60", "0.6"), ("1", "1"), ("0", "0")])
def test_filter_threshold_is_inclusive(action: str, confidence: str, threshold: str) -> None:
    decision = received(action, confidence=confidence)
    assert pre_trade_check(decision, rules(decision_confidence_threshold=threshold), instrument(), CURRENCIES) is None


@pytest.mark.parametrize("action", ["BUY", "SELL"])
def test_filter_ignores_what_is_below_the_threshold_with_the_reason(action: str) -> None:
    decision = received(action, confidence="0.599999")
    expected = "confidence below threshold: 0.599999 is below 0.6"
    refused(expected, pre_trade_check(decision, rules(), instrument(), CURRENCIES), OutcomeStatus.IGNORED)


def test_unknown_symbol_is_rejected_with_the_books_own_sentence() -> None:
    expected = "unknown symbol: 'FOO' is not traded here"
    refused(
        expected, pre_trade_check(received(symbol="FOO"), rules(), Unresolved("'FOO' is not traded here"), CURRENCIES)
    )


@pytest.mark.parametrize("own", ["USD", "USDT", "USDC"])
@pytest.mark.parametrize("other", ["USD", "USDT", "USDC"])
def test_currencies_that_count_one_to_one_pass(own: str, other: str) -> None:
    assert pre_trade_check(received(), rules(currency=own), instrument(currency=other), CURRENCIES) is None


@pytest.mark.parametrize("none_the_same", [frozenset[str](), frozenset({"USDT"}), CURRENCIES])
def test_currency_of_the_portfolio_itself_passes(none_the_same: frozenset[str]) -> None:
    assert (
        pre_trade_check(received(), rules(currency="EUR"), instrument("BTC/EUR", currency="EUR"), none_the_same) is None
    )


@pytest.mark.parametrize("own", ["USD", "USDT", "EUR", "BTC"])
def test_a_symbol_whose_currency_is_unknown_is_not_bought_and_can_be_sold(own: str) -> None:
    share = instrument("AAPL", currency=None)
    expected = (
        "other currency: the currency of AAPL's prices is unknown; a name such as AAPL/USD, or quote_currency, tells it"
    )
    refused(expected, pre_trade_check(received(), rules(currency=own), share, CURRENCIES))
    for action in ("SELL", "PROTECT"):
        assert pre_trade_check(received(action), rules(currency=own), share, CURRENCIES) is None


@pytest.mark.parametrize(
    ("own", "other", "same"),
    [
        ("USDT", "EUR", CURRENCIES),
        ("EUR", "USDT", CURRENCIES),
        ("USDT", "USD", frozenset({"USD", "USDC"})),
        ("USDT", "USD", frozenset({"USDT", "USDC"})),
        ("USDT", "USD", frozenset[str]()),
    ],
)
def test_other_currency_is_rejected_with_that_reason(own: str, other: str, same: frozenset[str]) -> None:
    what = instrument(f"BTC/{other}", currency=other)
    expected = f"other currency: BTC/{other} trades in {other}, the portfolio holds {own}"
    refused(expected, pre_trade_check(received(), rules(currency=own), what, same))
