"""Random orders and prices: after each commit what is loaded equals what was in memory, to the last digit."""

from __future__ import annotations

import random
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from tests.integration.orders.test_open_orders import Market, open_of
from tests.integration.persistence.test_stores import Stores, real
from tests.support.slow_cases import slow_after_first

__all__ = ["real"]  # a fixture
STEPS = 120


@pytest.mark.parametrize("seed", slow_after_first([1, 2, 3]))
def test_what_is_loaded_equals_what_was_in_memory(real: Stores, seed: int) -> None:
    draw = random.Random(seed)
    market = Market(real)
    price = Decimal(100)
    for _ in range(STEPS):
        match draw.choice(["price", "price", "price", "order", "order", "order", "cancel", "time", "kill"]):
            case "price":
                price = max(price + Decimal(draw.randint(-300, 300)) / 100, Decimal(20))
                spread = Decimal(draw.randint(1, 30)) / 100
                size = str(Decimal(draw.randint(1, 9_999_999)) / 1_000_000) if draw.random() < 0.7 else None
                market.price(str(price), str(price - spread), str(price + spread), size)
            case "order":
                send_order(market, draw, price)
            case "cancel":
                market.send("CANCEL", target="all" if draw.random() < 0.3 else str(draw.randint(1, market.number or 1)))
            case "time":
                market.time(draw.randint(1, 5))
            case "kill":
                market.restart()
    market.price(str(price), str(price), str(price))
    market.send("CANCEL", target="all")
    assert [] == open_of(market)
    assert market.state.cash == market.state.free_cash


def send_order(market: Market, draw: random.Random, price: Decimal) -> None:
    """Send a random BUY or SELL; only a BUY has exits."""
    side, fields = draw.choice(["BUY", "BUY", "SELL"]), terms(draw, price, market)
    if side == "SELL":
        fields.pop("stop_loss_pct", None)
        fields.pop("take_profit_pct", None)
    market.send(side, **fields)


def terms(draw: random.Random, price: Decimal, market: Market) -> dict[str, Any]:
    """Return random terms of an order near a price."""
    quantity = str(Decimal(draw.randint(200_000, 40_000_000)) / 10_000_000)
    level = str(price + Decimal(draw.randint(-400, 400)) / 100)
    kind = draw.choice(["market", "limit", "limit", "stop", "stop_limit"])
    fields: dict[str, Any] = {"quantity": quantity, "order_type": kind}
    if kind in {"limit", "stop_limit"}:
        fields["limit_price"] = level
    if kind in {"stop", "stop_limit"}:
        fields["stop_price"] = str(price + Decimal(draw.randint(-400, 400)) / 100)
    if kind == "limit":
        fields["time_in_force"] = draw.choice([None, "GTC", "IOC", "FOK", "GTD"])
        if fields["time_in_force"] == "GTD":
            fields["order_expires_at"] = market.now + timedelta(seconds=draw.randint(1, 20))
    if draw.random() < 0.5:
        fields["stop_loss_pct"] = str(Decimal(draw.randint(1, 900)) / 10_000)
    if draw.random() < 0.5:
        fields["take_profit_pct"] = str(Decimal(draw.randint(1, 900)) / 10_000)
    return fields
