"""The spread that fills paid is a cost of its own in reports, beside the slippage."""

from __future__ import annotations

from decimal import Decimal

from domain.trading.arithmetic import total
from persistence.connections import engine_for
from tests.integration.orders.test_open_orders import Market
from tests.integration.persistence.test_stores import Stores, real, stores
from tests.support.database.reports import history_now

__all__ = ["real", "stores"]  # fixtures


def test_the_spread_of_takers_and_makers_is_counted(real: Stores) -> None:
    market = Market(real)
    market.price("100", "99.9", "100.1")
    market.send("BUY", "4")  # meets 100.10, the mark is 100: 0.40
    market.send("BUY", "2", order_type="limit", limit_price="99")
    market.price("98.9", "98.8", "98.9")  # gets 99, the mark is 98.90: 0.20
    market.price("101", "100.5", "101.5")
    market.send("SELL", "6")  # meets 100.50, the mark is 101: 3
    engine = engine_for(real.url, "reader")
    executions = history_now(engine, "default").trade_history.executions
    engine.dispose()
    assert [Decimal("0.4"), Decimal("0.2"), Decimal(3)] == [one.spread for one in executions]
    fills = real.ledger_reader.rows("SELECT slippage_cost + size_cost + random_cost AS slippage FROM paper_fills")
    slippage = total(one.slippage for one in executions)
    assert abs(slippage - total(row["slippage"] for row in fills)) < Decimal("1e-10")
