"""Callers of `submit` and `execute_order` whose orders rest: in the process of the system, and in another one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest

from actors import Decision, TradingSystem
from actors.client import AttachedSystem, TradingClient
from actors.runtime.pykka_adapter import Timeout
from domain.errors import InvalidDecision, InvalidRequest, OrderRejected
from tests.support.system.running_system import running_system


@pytest.fixture(params=["inside", "attached"])
def client(request: pytest.FixtureRequest, embedded_url: str) -> Iterator[TradingClient]:
    """A client of a system at fixed prices: BTC/USDT 110 485.85."""
    with running_system(embedded_url) as system:
        if request.param == "inside":
            yield system
        else:
            with closing(TradingSystem.attach(embedded_url)) as attached:
                assert isinstance(attached, AttachedSystem)
                yield attached


def limit(**changes: object) -> Decision:
    fields = {"symbol": "BTC/USDT", "decision": "BUY", "confidence": 1, "quantity": "0.01", **changes}
    return Decision(**{"order_type": "limit", "limit_price": "95000", **fields})


def cancel(client: TradingClient, target: object) -> str:
    sent = Decision(symbol="*", decision="CANCEL", confidence=1, target=str(target))
    return client.submit(sent).get(timeout=10).reason


def test_a_caller_gets_the_open_order_or_waits_for_its_end(client: TradingClient) -> None:
    opened = client.submit(limit()).get(timeout=10)
    assert ("open", "open: BUY 0.01 BTC/USDT, limit 95000") == (opened.status, opened.reason)
    assert opened.order_id is not None
    ended = client.submit(limit(), wait="ended")
    with pytest.raises(Timeout):
        ended.get(timeout=0.3)
    assert "cancelled: 2 orders of portfolio default" == cancel(client, "all")
    assert ("cancelled", "cancelled: by decision 3") == (ended.get(timeout=10).status, ended.get(timeout=10).reason)


def test_a_caller_that_waits_for_nothing_but_the_commit(client: TradingClient) -> None:
    decision = limit(idempotency_key="signal")
    accepted = client.submit(decision, wait="accepted").get(timeout=0)
    assert ("pending", "accepted: the decision is committed", None) == (
        accepted.status, accepted.reason, accepted.order_id,
    )  # fmt: skip
    assert accepted.decision_id == client.ledger_reader.decision(accepted.decision_id)["id"]
    assert "open" == client.submit(decision).get(timeout=10).status
    assert "open" == client.submit(decision, wait="accepted").get(timeout=0).status
    terms = {"order_type": "limit", "limit_price": 95_000}
    order = client.execute_order("BTC/USDT", "BUY", "0.01", wait="accepted", **terms)
    assert accepted.decision_id < order.pop("decision_id")
    assert {"order_id": None, "status": "pending"} == order
    assert "cancelled: 2 orders of portfolio default" == cancel(client, "all")
    bought = client.execute_order("BTC/USDT", "BUY", "0.01", wait="open")
    assert "filled" == bought["status"]
    with pytest.raises(InvalidRequest, match="must be accepted, open or ended"):
        client.execute_order("BTC/USDT", "BUY", "0.01", wait="filled")  # type: ignore[arg-type]


def test_a_decision_that_is_sent_again_answers_while_its_order_rests(client: TradingClient) -> None:
    decision = limit(idempotency_key="signal")
    first = client.submit(decision).get(timeout=10)
    again = client.submit(decision).get(timeout=10)
    assert (first.status, first.order_id) == (again.status, again.order_id)


def test_execute_order_returns_an_order_that_rests(client: TradingClient) -> None:
    order = client.execute_order("BTC/USDT", "BUY", "0.01", order_type="limit", limit_price=95000, stop_loss_pct="0.05")
    assert ("open", "limit", 95000, 0) == tuple(
        order[name] for name in ("status", "order_type", "limit_price", "filled_quantity")
    )
    assert f"cancelled: 1 order of decision {order['decision_id']}" == cancel(client, order["decision_id"])
    with pytest.raises(OrderRejected, match="no fill at that price"):
        client.execute_order("BTC/USDT", "BUY", "0.01", order_type="limit", limit_price=95000, time_in_force="FOK")
    with pytest.raises(InvalidDecision, match="limit_price needs order_type limit or stop_limit"):
        client.execute_order("BTC/USDT", "BUY", "0.01", limit_price=95000)
    filled = client.execute_order("BTC/USDT", "BUY", "0.01", stop_loss=100_000, take_profit=120_000)
    assert "filled" == filled["status"]
    assert [100_000] == [row["stop_price"] for row in client.positions()]
