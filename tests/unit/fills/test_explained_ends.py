"""Explanations of a price that a limit holds back, and of an exit that the fill of another order has ended."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from console.service.explanation import explained
from domain.trading import execution
from domain.trading.orders import Fill
from domain.types import OrderType, TimeInForce
from tests.support.values.builders import NOON
from tests.support.values.evidence import met, met_evidence
from tests.unit.console.test_explanation import five_of_two, rows


@pytest.fixture(autouse=True)
def even_draw(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every draw is 1."""
    monkeypatch.setattr(execution, "slippage_draw", lambda _: Decimal(1))


def test_a_price_that_its_limit_holds_back_is_not_called_rounded() -> None:
    event = met("BUY", 1, 10_000, 9_999, 10_001, offered=2)
    order = replace(
        event.order, order_type=OrderType.LIMIT, limit_price=Decimal("10001.50"), time_in_force=TimeInForce.IOC
    )
    fill = execution.fill_order(order, event.fill.quote, NOON)
    assert isinstance(fill, Fill)
    document = rows(met_evidence(replace(event, order=order, fill=fill)))
    (part,) = document["orders"]
    part["events"] = [
        {"version": 0, "kind": "accepted", "limit_price": order.limit_price, "stop_price": None, "recovered": False,
         "at": NOON}
    ]  # fmt: skip
    part["order"] |= {"status": "filled", "ended_at": None}
    explanation = explained(document)
    at = explanation["lines"].index("  price       10,001 × (1 + 0.00025) = 10,003.50025; rounded up to the tick")
    assert "              0.01: 10,003.51, but never worse than the limit: 10,001.5" == explanation["lines"][at + 1]
    assert "  recomputed  the same to the last digit" == explanation["lines"][-1]


def test_an_exit_that_another_one_ended_says_why() -> None:
    document = rows(five_of_two())
    (part,) = document["orders"]
    reason = "cancelled: position closed by order 1"
    part["order"] |= {"status": "cancelled", "ended_at": NOON + timedelta(seconds=2), "end_reason": reason}
    ended = f"  cancelled   2026-01-05 12:00:02.000 UTC: {reason}"
    assert 1 == explained(document)["lines"].count(ended)
