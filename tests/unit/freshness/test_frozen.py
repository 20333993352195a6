"""Symbols of which an exchange repeats one answer while prices of others change."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from domain.market_data.frozen import FrozenSymbols
from domain.trading.freshness.age import ClockKind, Freshness, TimeMark
from domain.trading.quotes import Quote
from domain.types import Symbol
from tests.support.values.builders import BTC, ETH, NOON, quote

LAG = timedelta(seconds=60)


class Market:
    """Quotes of two symbols, by seconds since noon."""

    def __init__(self) -> None:
        self.symbols = FrozenSymbols(LAG)

    def see(self, second: float, price: int, symbol: Symbol = BTC, **fields: object) -> bool:
        at = NOON + timedelta(seconds=second)
        freshness = Freshness(at, ClockKind.OWN, TimeMark.NO_TIME)
        seen: Quote = replace(quote(price, symbol, at), **{"freshness": freshness, **fields})  # type: ignore[arg-type]
        return self.symbols.see(seen)

    def lively(self, changes: int = 20, every_s: float = 1) -> float:
        """Let BTC change so often; return the second of the last change."""
        for number in range(changes + 1):
            assert not self.see(number * every_s, 100 + number)
        return changes * every_s


def test_a_lively_symbol_without_a_change_is_frozen_while_another_changes() -> None:
    market = Market()
    last = market.lively()
    market.see(last, 10, ETH)
    assert not market.see(last + 60, 120)
    market.see(last + 60.5, 11, ETH)
    assert market.see(last + 61, 120)
    assert NOON + timedelta(seconds=last) == market.symbols.last_change(BTC).time  # type: ignore[union-attr]
    assert market.see(last + 4000, 120), "until it changes, whatever the others do"
    assert not market.see(last + 4001, 121)


def test_an_exchange_where_nothing_changes_is_quiet_or_closed() -> None:
    market = Market()
    last = market.lively()
    for second in (0.0, last + 1, last + 100, last + 1000):
        market.see(second, 10, ETH)
        assert not market.see(last + 1000, 120)
    market.see(last + 1001, 11, ETH)
    assert market.see(last + 1002, 120)


@pytest.mark.parametrize(
    ("changes", "every_s", "frozen"), [(19, 1, False), (20, 1, True), (20, 188, True), (20, 200, False)]
)
def test_a_symbol_that_changes_seldom_is_not_expected_to_change(changes: int, every_s: float, frozen: bool) -> None:
    market = Market()
    last = market.lively(changes, every_s)
    market.see(last, 10, ETH)
    market.see(last + 60, 11, ETH)
    assert frozen is market.see(last + 61, 100 + changes)


@pytest.mark.parametrize(
    "changed",
    [
        {"bid": Decimal(1)},
        {"ask_size": Decimal(1)},
        {"volume": Decimal(1)},
        {"freshness": Freshness(NOON, ClockKind.OWN)},  # with a time of the exchange: that has changed
    ],
)
def test_each_field_counts(changed: dict[str, object]) -> None:
    market = Market()
    last = market.lively()
    market.see(last, 10, ETH)
    market.see(last + 60, 11, ETH)
    assert not market.see(last + 61, 120, **changed)
