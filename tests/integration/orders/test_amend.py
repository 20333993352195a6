"""AMEND in the books: every change is there after its commit, and what is loaded equals what was in memory."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest

from console.service.explanation import explain
from domain.trading.decision import CancelTarget
from domain.trading.instruments import InstrumentCatalog
from domain.trading.open_orders.open_order import TrailingMark
from domain.trading.open_orders.settlement import Advance
from domain.trading.orders import Trail
from domain.types import OutcomeStatus
from tests.integration.orders.test_open_orders import Market, market, open_of
from tests.integration.persistence.test_stores import FIRST, Stores, real, stores
from tests.support.values.builders import BTC, NOON, instant, instrument

__all__ = ["market", "real", "stores"]  # fixtures


def test_an_open_order_gets_new_values_and_its_decision_stays_open(market: Market) -> None:
    market.price("100", "99.9", "100.1")
    entry = market.send("BUY", "4", order_type="limit", limit_price="99")
    second = market.send("BUY", "1", order_type="limit", limit_price="99")
    (order, _) = market.state.open_orders
    less = market.send("AMEND", "3", target=str(entry))
    higher = market.send("AMEND", target=str(order.order.order_id), limit_price="99.505")
    assert [(1, "limit", Decimal(1), Decimal(100)), (1, "limit", Decimal(3), Decimal("299.5"))] == open_of(market)
    assert market.is_open(entry)
    assert [
        (OutcomeStatus.EXECUTED, "amended: quantity 4 -> 3", order.order.order_id),
        (OutcomeStatus.EXECUTED, "amended: limit 99 -> 99.5 (99.505 was requested)", order.order.order_id),
    ] == [(one.status, one.reason, one.order_id) for one in map(market.outcome, (less, higher))]
    market.price("99.4", "99.3", "99.4", "1")
    market.price("98.9", "98.4", "98.9")
    assert [] == open_of(market)
    assert "bought 3 BTC/USDT at" in market.outcome(entry).reason
    assert OutcomeStatus.EXECUTED is market.outcome(second).status


def test_a_limit_that_is_met_takes_at_once_in_the_same_commit(market: Market) -> None:
    market.price("100", "99.9", "100.1", "2")
    entry = market.send("BUY", "5", order_type="limit", limit_price="99", stop_loss_pct="0.05")
    amend = market.send("AMEND", target=str(entry), limit_price="101")
    assert [(1, "limit", Decimal(3)), (2, "stop", Decimal(2))] == [one[:3] for one in open_of(market)]
    assert market.is_open(entry)
    assert "amended: limit 99 -> 101" == market.outcome(amend).reason
    market.price("100", "99.9", "100.1")
    assert Decimal(5) == market.state.positions[BTC].quantity
    (stop,) = market.state.open_orders
    market.send("AMEND", target=str(stop.order.order_id), stop_price="99", quantity="4")
    market.price("98", "97.9", "98.1")
    assert Decimal(1) == market.state.positions[BTC].quantity


def test_what_an_old_order_took_by_an_amend_is_gone_from_the_quote_after_a_restart_too(market: Market) -> None:
    market.price("100", "99.9", "100.1")
    entry = market.send("BUY", "5", order_type="limit", limit_price="99")
    market.time(120)
    market.price("100", "99.9", "100.1", "9")
    market.send("BUY", "1")
    market.send("AMEND", target=str(entry), limit_price="101")
    assert Decimal(6) == market.state.taken[BTC].bought


def test_an_amended_exit_keeps_its_price_where_its_entry_is_filled_further(market: Market) -> None:
    market.price("100", "99.9", "100.1", "2")
    market.send("BUY", "5", order_type="limit", limit_price="101", stop_loss_pct="0.05")
    stop = next(one for one in market.state.open_orders if one.order.is_exit)
    market.send("AMEND", target=str(stop.order.order_id), stop_price="97")
    market.price("100", "99.9", "100.1")
    (stop,) = market.state.open_orders
    assert (Decimal(97), True) == (stop.order.stop_price, stop.order.amended)
    assert Decimal(5) == market.state.positions[BTC].quantity == stop.order.quantity


def test_the_quantity_that_is_filled_ends_the_order(market: Market) -> None:
    market.price("100", "99.9", "100.1", "2")
    entry = market.send("BUY", "5", order_type="limit", limit_price="101")
    amend = market.send("AMEND", "2", target=str(entry))
    assert [] == open_of(market)
    assert market.outcome(entry).reason.endswith(f"2 of 5 filled, the rest cancelled by decision {amend}")
    late = market.send("AMEND", "3", target=str(entry))
    assert market.outcome(late).reason.startswith("nothing to amend: already executed: bought 2 BTC/USDT at ")


def test_the_expiry_of_an_order_moves(market: Market) -> None:
    market.price("100", "99.9", "100.1")
    entry = market.send("BUY", "1", order_type="limit", limit_price="90")
    market.send("AMEND", target=str(entry), order_expires_at=NOON + timedelta(seconds=10))
    market.price("100", "99.9", "100.1")
    market.send("AMEND", target=str(entry), order_expires_at=NOON + timedelta(seconds=30))
    market.time(20)
    assert market.is_open(entry)
    market.time(20)
    assert OutcomeStatus.EXPIRED is market.outcome(entry).status


def test_a_trailing_stop_gets_another_trail_and_keeps_its_mark(market: Market) -> None:
    market.price("100", "99.9", "100.1")
    market.send("BUY", "4", trailing_stop="10")
    market.price("110", "109.9", "110.1")
    market.price("105", "104.9", "105.1")
    market.price("108", "107.9", "108.1")
    (stop,) = market.state.open_orders
    target = str(stop.order.order_id)
    amend = market.send("AMEND", target=target, trail="4")  # the stop is 106, which 105 has passed before
    assert (OutcomeStatus.EXECUTED, "amended: trail 10 -> 4") == (
        market.outcome(amend).status, market.outcome(amend).reason,
    )  # fmt: skip
    (stop,) = market.state.open_orders
    assert (Decimal(110), Decimal(106), 4) == (stop.mark, stop.stop_price, stop.since)
    market.send("AMEND", target=target, trail_pct="0.05")
    (stop,) = market.state.open_orders
    assert (Trail(Decimal("0.05"), is_fraction=True), Decimal("104.5")) == (stop.order.trail, stop.stop_price)
    refused = market.send("AMEND", target=target, trail="1")
    assert "invalid: trail 1 puts the stop at 109; it must be below the mark, 108" == market.outcome(refused).reason
    market.price("112", "111.9", "112.1")
    market.price("106.4", "106.3", "106.5")  # 5 % below 112
    assert [] == list(market.state.open_orders)


@pytest.mark.slow
def test_a_mark_from_before_an_amend_does_not_replace_that_of_the_amend(real: Stores) -> None:
    market = Market(real)
    market.price("100", "99.9", "100.1")
    market.send("BUY", "4", trailing_stop="10")
    market.price("110", "109.9", "110.1")
    (stop,) = market.state.open_orders
    market.send("AMEND", target=str(stop.order.order_id), trail="4")
    old = TrailingMark(stop.order.order_id, Decimal(105), 2)  # it was on its way when the AMEND was written
    real.ledger.save_advance(FIRST, Advance((old,)))
    (stop,) = market.state.open_orders
    assert (Decimal(110), Decimal(106)) == (stop.mark, stop.stop_price)


@pytest.mark.parametrize("target", ["all", "symbol", "ALL"])
def test_an_amend_names_one_order(market: Market, target: str) -> None:
    market.price("100", "99.9", "100.1")
    market.send("BUY", "1", order_type="limit", limit_price="90")
    amend = market.send("AMEND", "2", target=target)
    assert f"nothing to amend: an AMEND names one order, not {target!r}" == market.outcome(amend).reason
    assert 1 == len(market.state.open_orders)


def test_what_happened_to_an_amended_order_is_explained_and_recomputed(real: Stores) -> None:
    market = Market(real)
    market.price("100", "99.9", "100.1", "1")
    entry = market.send("BUY", "4", order_type="limit", limit_price="101")
    amend = market.send("AMEND", "3", target=str(entry), limit_price="99")
    market.price("98.5", "98.4", "98.9")
    explanation = explain(real.ledger_reader, str(entry))
    assert explanation["same"] is True  # each fill by the limit that the order had then
    text = " ".join(" ".join(explanation["lines"]).split())
    assert f"UTC: quantity 3, limit 99: by decision {amend}: limit 101 -> 99, quantity 4 -> 3" in text
    fills = [one["fill"] for part in explanation["orders"] for one in part["fills"]]
    assert [("taker", 1), ("maker", 2)] == [(fill["liquidity"], fill["quantity"]) for fill in fills]
    assert Decimal(99) < fills[0]["price"] <= Decimal(101)
    assert Decimal(99) == fills[1]["price"]
    lines = explain(real.ledger_reader, str(amend))["lines"]
    assert f"Decision {amend}: AMEND {entry}: quantity 3, limit 99, portfolio default" == lines[0]


def test_the_target_of_an_amend_is_found_by_every_name_of_it(market: Market) -> None:
    market.price("100", "99.9", "100.1")
    entry = market.send("BUY", "5", order_type="limit", limit_price="90", idempotency_key="my order")
    (order,) = market.state.open_orders
    names: list[Any] = [entry, f" {entry} ", "my order", order.order.order_id]
    for less, name in enumerate(names, start=1):
        amend = market.send("AMEND", str(5 - less), target=str(name))
        assert f"amended: quantity {6 - less} -> {5 - less}" == market.outcome(amend).reason
    assert CancelTarget(decision_id=entry) != CancelTarget(order_id=order.order.order_id)


# The fees of the venue, by the stores.


def test_an_order_keeps_the_fees_of_the_venue_over_restarts_and_is_recomputed_by_them(real: Stores) -> None:
    with psycopg.connect(real.url) as connection:
        connection.execute("UPDATE paper_trading_config SET fees = 'venue', price_rule = 'quote'")
    market = Market(real)
    fees = {"maker_fee": Decimal("0.0016"), "taker_fee": Decimal("0.0026")}

    def restart() -> None:
        Market.restart(market)
        what = replace(instrument(min_notional="1.5", min_quantity="0.001", step="0.0001"), **fees)
        market.engine.on_instruments(InstrumentCatalog([what]), instant(market.now))

    market.restart = restart  # type: ignore[method-assign]
    market.restart()
    market.price("100", "99.9", "100.1", "9")
    entry = market.send("BUY", "19", order_type="limit", limit_price="100.1")
    (one,) = market.state.open_orders
    assert (Decimal("0.0016"), Decimal("0.0026")) == (one.order.costs.maker_fee, one.order.costs.taker_fee)
    with psycopg.connect(real.url) as connection:
        connection.execute("UPDATE paper_trading_config SET fees = 'own'")
    market.restart()
    market.price("100", "99.9", "100")
    explanation = explain(real.ledger_reader, str(entry))
    assert explanation["same"] is True
    fills = [one["fill"] for part in explanation["orders"] for one in part["fills"]]
    assert [(Decimal(9), Decimal("2.34234")), (Decimal(10), Decimal("1.6016"))] == [
        (fill["quantity"], fill["commission"]) for fill in fills
    ]
    assert "  commission  0.0026, the venue's rate for takers, of 900.9: 2.34234" in explanation["lines"]
