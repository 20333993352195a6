"""The prices at which open orders wait, and which symbols are watched for them."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from domain.trading.open_orders.levels import Levels
from domain.trading.open_orders.open_order import OpenOrder
from domain.trading.open_orders.sequencer import Sequencer
from domain.types import OrderType, PortfolioName, Symbol
from tests.support.values.builders import BTC, NOON, instant, market_order
from tests.support.values.order_engine import Trade, market_data

NAME = PortfolioName("default")


def resting(seq: int, side: str, *, limit: str | None = None, stop: str | None = None, since: int = 1) -> OpenOrder:
    order = replace(
        market_order(side, seq=seq).order,
        order_type=OrderType.LIMIT if stop is None else OrderType.STOP if limit is None else OrderType.STOP_LIMIT,
        limit_price=None if limit is None else Decimal(limit),
        stop_price=None if stop is None else Decimal(stop),
    )
    return OpenOrder(order, since)


ORDERS = [
    resting(1, "BUY", limit="95"),
    resting(2, "BUY", limit="90"),
    resting(3, "SELL", limit="105"),
    resting(4, "SELL", stop="92"),
    resting(5, "BUY", stop="110"),
    resting(6, "BUY", stop="108", limit="109"),
]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ("100", []),
        ("95.01 95.01/104.99", []),
        ("95", [1]),
        ("100 99/95", [1]),
        ("91", [1, 4]),
        ("105", [3]),
        ("109", [3, 6]),
        ("bar 100 110 90 100", [1, 2, 3, 4, 5, 6]),
        ("bar 100 104 96 100", []),
    ],
)
def test_data_find_the_orders_that_they_may_reach(data: str, expected: list[int]) -> None:
    levels = Levels()
    for one in ORDERS:
        levels.update(NAME, one)
    names = {one.order.order_id: one.order.seq for one in ORDERS}
    reached = levels.reached(market_data(data, NOON)).get(NAME, [])
    assert expected == sorted(names[order_id] for order_id in reached)


def test_a_triggered_stop_limit_waits_at_its_limit_and_an_ended_order_nowhere() -> None:
    levels, one = Levels(), ORDERS[5]
    levels.update(NAME, one)
    levels.update(NAME, replace(one, triggered_at=NOON))
    assert {} == levels.reached(market_data("110", NOON))
    assert {NAME: [one.order.order_id]} == levels.reached(market_data("109", NOON))
    levels.remove(one)
    levels.remove(one)  # it has ended already
    assert {} == levels.reached(market_data("109", NOON))


def test_the_symbols_with_open_orders_are_watched_from_the_oldest_of_them_on() -> None:
    levels = Levels()
    levels.update(NAME, resting(1, "BUY", limit="95", since=7))
    levels.update(NAME, resting(2, "BUY", limit="94", since=5))
    assert ({BTC: 5}, 1) == (levels.watched, levels.symbols_changed)
    levels.remove(resting(2, "BUY", limit="94"))
    assert ({BTC: 7}, 1) == (levels.watched, levels.symbols_changed)
    levels.remove(resting(1, "BUY", limit="95"))
    assert ({}, 2) == (levels.watched, levels.symbols_changed)


def test_an_order_expires_once_and_not_after_its_end() -> None:
    levels, one = Levels(), resting(1, "BUY", limit="95")
    one = replace(one, order=replace(one.order, expires_at=NOON))
    levels.update(NAME, one)
    levels.update(NAME, replace(one, filled=Decimal("0.5")))
    assert {NAME: [one.order.order_id]} == levels.expired(NOON)
    assert {} == levels.expired(NOON)
    other = resting(2, "BUY", limit="95")
    other = replace(other, order=replace(other.order, expires_at=NOON))
    levels.update(NAME, other)
    levels.remove(other)
    assert {} == levels.expired(NOON)


def test_ends_of_orders_leave_no_expiries_behind_and_the_others_expire_in_their_order() -> None:
    levels, expiries = Levels(), []
    for number in range(1, 2_001):
        one = resting(number, "BUY", limit="95")
        one = replace(one, order=replace(one.order, expires_at=NOON + timedelta(seconds=2_001 - number)))
        levels.update(NAME, one)
        if number % 500:
            levels.remove(one)
        else:
            expiries.append(one.order.order_id)
    assert levels.expiries < 100
    assert {NAME: expiries[::-1]} == levels.expired(NOON + timedelta(hours=1))


def test_the_orders_of_a_removed_portfolio_are_watched_no_more() -> None:
    trade = Trade()
    trade.see("100")
    trade.send("BUY 1 limit 95")
    sequencer = Sequencer()
    sequencer.begin([trade.state])
    assert {BTC: 1} == sequencer.watched
    sequencer.on_rules([])
    assert {} == sequencer.watched
    assert [] == sequencer.on_data(replace(market_data("90", NOON), data_no=9), instant())


class CountedOrders(dict[Any, Any]):
    """The orders of a symbol, which count how often all of them are read."""

    reads = 0

    def values(self) -> Any:
        self.reads += 1
        return super().values()


def test_the_first_number_of_a_symbol_follows_its_orders_and_is_looked_for_only_when_the_first_one_left() -> None:
    draw, levels, present = random.Random(1), Levels(), dict[int, OpenOrder]()
    for _ in range(500):
        seq = draw.randint(1, 20)
        one = resting(seq, "BUY", limit="95", since=draw.randint(1, 9))
        if seq in present and draw.random() < 0.5:
            levels.remove(present.pop(seq))
        else:
            levels.update(NAME, one)
            present[seq] = one
        expected = {BTC: min(one.since for one in present.values())} if present else {}
        assert expected == levels.watched
    levels = Levels()
    levels.update(NAME, resting(1, "BUY", limit="95", since=1))
    of_symbol = levels._by_symbol[Symbol(BTC)]
    of_symbol.orders = counted = CountedOrders(of_symbol.orders)
    for seq in range(2, 100):
        levels.update(NAME, resting(seq, "BUY", limit="95", since=seq))
        assert {BTC: 1} == levels.watched
    assert 0 == counted.reads
    levels.remove(resting(1, "BUY", limit="95"))
    assert [{BTC: 2}] * 2 == [levels.watched, levels.watched]
    assert 1 == counted.reads
