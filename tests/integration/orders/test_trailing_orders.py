"""Trailing stops in the books: their marks are stored by themselves, and survive each kill."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from domain.errors import Fenced
from domain.trading.arithmetic import plain
from domain.trading.bookkeeping import apply
from domain.trading.events import OrderAmended
from domain.trading.open_orders.open_order import TrailingMark
from domain.trading.open_orders.settlement import Advance
from domain.trading.portfolio import Progress
from domain.types import Generation, OrderId, Symbol
from persistence.queries.open_orders import open_orders
from tests.integration.orders.test_open_orders import Market, market
from tests.integration.persistence.test_stores import FIRST, InMemory, Stores, real, stores
from tests.support.values.builders import BTC, BY_QUOTE, ETH, NOON, rules, uid

__all__ = ["market", "real", "stores"]  # fixtures


def test_a_trailing_stop_keeps_its_mark_and_triggers(market: Market) -> None:
    market.price("100", "99.9", "100.1")
    market.send("BUY", "4", trailing_stop_pct="0.05")
    market.send("BUY", "1", order_type="trailing_stop", trail="3")
    assert [Decimal(95), Decimal(103)] == stops(market)
    market.price("110", "109.9", "110.1")  # triggers the BUY
    assert [Decimal("104.5")] == stops(market)
    market.price("105", "104.9", "105.1")
    assert [Decimal("104.5")] == stops(market)
    market.price("104.5", "104.4", "104.6")
    assert [] == list(market.state.open_orders)
    assert Decimal(1) == market.state.positions[BTC].quantity


def test_several_targets_are_stored_with_the_entry_and_open_as_its_fills_come(market: Market) -> None:
    market.price("100", "99.9", "100.1", "1")
    market.send("BUY", "4", order_type="limit", limit_price="101", take_profits="110:0.5,130:0.25", stop_loss="90")
    expected = [(1, "3", None), (2, "1", "90"), (3, "0.5", "110"), (4, "0.25", "130")]
    assert expected == legs(market)
    market.price("100", "99.9", "100.1")
    assert [(2, "4", "90"), (3, "2", "110"), (4, "1", "130")] == legs(market)
    market.price("111", "110.5", "111")
    assert [(2, "2", "90"), (4, "1", "130")] == legs(market)


def legs(market: Market) -> list[tuple[int, str, str | None]]:
    """Return leg, open quantity, and the price of an exit, as they are stored."""
    return [
        (
            one.order.leg,
            plain(one.remaining),
            plain(one.order.own_price) if one.order.is_exit and one.order.own_price else None,
        )
        for one in market.state.open_orders
    ]


def stops(market: Market) -> list[Decimal | None]:
    """Return the present stop prices as they are stored; the console shows the same."""
    expected = [one.stop_price for one in market.state.open_orders]
    if isinstance(market.stores, Stores):
        assert expected == [row["stop_price"] for row in open_orders(market.stores.ledger_reader)]
        (position, *_) = market.stores.ledger_reader.positions()
        exits = [one.stop_price for one in market.state.open_orders if one.order.is_exit]
        assert (exits or [None])[0] == position["stop_price"]
    return expected


def test_marks_of_a_generation_that_is_over_are_fenced_and_those_of_ended_orders_are_left_out(stores: Any) -> None:
    if isinstance(stores, InMemory):
        stores.ledger.open_portfolio(replace(rules(execution=BY_QUOTE), created_at=NOON))
    market = Market(stores)
    market.price("100", "99.9", "100.1")
    market.send("BUY", "4", trailing_stop="5")
    (one,) = market.state.open_orders
    other = TrailingMark(OrderId(uid(99)), Decimal(7), 1)
    stores.ledger.save_advance(FIRST, Advance((TrailingMark(one.order.order_id, Decimal(107), 12), other)))
    (one,) = market.state.open_orders
    assert (Decimal(107), 12, Decimal(102)) == (one.mark, one.mark_no, one.stop_price)
    market.send("SELL", "1")  # reduces the exit, and leaves its mark
    (one,) = market.state.open_orders
    assert (Decimal(107), 12, Decimal(3)) == (one.mark, one.mark_no, one.remaining)
    with pytest.raises(Fenced):
        stores.ledger.save_advance(Generation(FIRST + 1), Advance((other,)))
    state = market.state
    later = OrderAmended(state.version + 1, one.order, one.reserved, 20, NOON, "a test", Decimal(109))
    stores.ledger.commit(FIRST, [apply(state, later)])
    (one,) = market.state.open_orders
    assert (Decimal(109), 20) == (one.mark, one.sees_after)


def test_how_far_each_symbol_was_seen_is_stored_and_stays_where_an_event_does_not_say_it(stores: Any) -> None:
    if isinstance(stores, InMemory):
        stores.ledger.open_portfolio(replace(rules(execution=BY_QUOTE), created_at=NOON))
    market = Market(stores)
    market.price("100", "99.9", "100.1")
    market.send("BUY", "4", stop_loss="90")
    behind = {Symbol(ETH): NOON + timedelta(seconds=3)}
    stored = Progress(NOON + timedelta(seconds=9), 7, behind=behind)
    stores.ledger.save_advance(FIRST, Advance(progress={market.state.name: stored}))
    assert stored == market.state.progress
    (one,) = market.state.open_orders
    state = replace(market.state, progress=Progress(settled_no=7))
    later = OrderAmended(state.version + 1, one.order, one.reserved, 20, NOON, "a test", since_at=NOON)
    stores.ledger.commit(FIRST, [apply(state, later)])
    assert (stored, [NOON]) == (market.state.progress, [one.since_at for one in market.state.open_orders])
    moved = stored.moved_to(NOON + timedelta(seconds=9))
    stores.ledger.save_advance(FIRST, Advance(progress={market.state.name: moved}))
    assert (moved, {}) == (market.state.progress, market.state.progress.behind)
