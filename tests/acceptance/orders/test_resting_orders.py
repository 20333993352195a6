"""Orders that rest, on an exchange: the real program, the real ccxt, a gap in prices, and a kill -9 in the middle."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from persistence.queries.row_lists import LedgerReader
from tests.support.exchange.server import ExchangeServer
from tests.support.system.program import Program, environment, run, run_all
from tests.support.system.running_system import until

BRACKETS = {"ETH/USDT": "0.2", "SOL/USDT": "4", "XRP/USDT": "300"}
LEGS = """
SELECT o.decision_id, o.leg, o.status, o.filled_quantity, f.quantity, f.price, f.base_price, f.liquidity
FROM paper_orders o LEFT JOIN paper_fills f USING (order_id) ORDER BY o.decision_id, o.leg, f.fill_no
"""
RESERVED = "SELECT sum(reserved) AS reserved FROM paper_orders WHERE status = 'open'"


@pytest.fixture
def server() -> Iterator[ExchangeServer]:
    with ExchangeServer() as running:
        running.set_price("BTC/USDT", "100000", bid="99990", ask="100010")
        running.set_price("ETH/USDT", "4000", bid="3999", ask="4001")
        running.set_price("SOL/USDT", "190", bid="189.9", ask="190.1")
        running.set_price("XRP/USDT", "2.5", bid="2.499", ask="2.501", ask_size="1000")
        yield running


class Ledger:
    """What the database holds of the orders."""

    def __init__(self, url: str) -> None:
        self.reader = LedgerReader(url)

    def leg(self, decision: int, leg: int = 1) -> dict[str, Any]:
        """Return the order of a leg with its last fill."""
        rows = [row for row in self.reader.rows(LEGS) if (row["decision_id"], row["leg"]) == (decision, leg)]
        return rows[-1]

    def until_filled(self, decision: int, leg: int = 1) -> dict[str, Any]:
        """Wait until the order of a leg is filled; return it."""
        until(lambda: self.leg(decision, leg)["status"] == "filled")
        return self.leg(decision, leg)

    @property
    def reserved(self) -> Decimal | None:
        reserved: Decimal | None = self.reader.rows(RESERVED)[0]["reserved"]
        return reserved


def open_orders(env: dict[str, str]) -> list[dict[str, Any]]:
    """Return what ``run.py orders --open`` lists."""
    listed: list[dict[str, Any]] = run("orders", "--open", "--json", env=env).json["orders"]
    return listed


def numbers(listed: list[dict[str, Any]]) -> list[tuple[int, int]]:
    """Return decision and leg of each order."""
    return [(order["decision_id"], order["leg"]) for order in listed]


def state_of_limit(ledger: Ledger) -> tuple[str, Decimal, str]:
    """Return the state of decision 1's order, and price and liquidity of its last fill."""
    row = ledger.leg(1)
    return row["status"], row["price"], row["liquidity"]


def decide(env: dict[str, str], line: str) -> str:
    """Send a decision as it is typed; return the line that answers it."""
    ended = run("decide", *line.split(), "--confidence", "0.9", "--wait", env=env)
    assert 0 == ended.code, ended.err
    return ended.out.splitlines()[0]


def test_resting_orders_and_brackets_over_a_kill(server: ExchangeServer, embedded_url: str, tmp_path: Path) -> None:
    options = json.dumps(server.kraken)
    env = environment(
        tmp_path,
        database_url=embedded_url,
        exchange="kraken",
        exchange_options=options,
        exchange_trusted_hosts="127.0.0.1",
    )
    ledger = Ledger(embedded_url)
    with Program("start", env=env) as service:
        service.wait_for("Serving")
        limit = "BUY BTC/USDT --quantity 0.005 --order-type limit --limit"
        assert "decision 1 is open: BUY 0.005 BTC/USDT, limit 99000" == decide(env, f"{limit} 99000")
        assert "decision 2 is open: BUY 0.005 BTC/USDT, limit 90000" == decide(env, f"{limit} 90000")
        assert "decision 3 accepted: BUY ETH/USDT" == decide(
            env, "BUY ETH/USDT --quantity 0.2 --stop-loss 3900 --take-profit 4300"
        )
        assert "decision 4 accepted: BUY SOL/USDT" == decide(
            env, "BUY SOL/USDT --quantity 4 --stop-loss 180 --take-profit 200"
        )
        assert "decision 5 accepted: BUY XRP/USDT" == decide(
            env, "BUY XRP/USDT --quantity 300 --stop-loss 2.4 --take-profit 10%"
        )
        assert [(1, 1), (2, 1), (3, 2), (3, 3), (4, 2), (4, 3), (5, 2), (5, 3)] == numbers(open_orders(env))

        server.wait_for("subscribe trades", len({"BTC", "ETH", "SOL", "XRP"}))
        # A trade beyond the limit: the order is a maker, and gets its limit for the quantity of that trade.
        server.trade("BTC/USDT", ("98998", "0.002"))
        until(lambda: ledger.leg(1)["filled_quantity"] == Decimal("0.002"))
        assert ("open", Decimal(99000), "maker") == state_of_limit(ledger)
        # A gap: nobody traded between 3 950 and 3 700, and the stop gets the bid behind it.
        server.set_price("ETH/USDT", "3950", bid="3949", ask="3951")
        server.set_price("ETH/USDT", "3705", bid="3700", ask="3710")
        stopped = ledger.until_filled(3, 2)
        assert (Decimal(3700), "taker") == (stopped["base_price"], stopped["liquidity"])
        assert Decimal(3690) < stopped["price"] <= Decimal(3700)
        assert "cancelled" == ledger.leg(3, 3)["status"]
        before, reserved = open_orders(env), ledger.reserved
        assert [(1, 1), (2, 1), (4, 2), (4, 3), (5, 2), (5, 3)] == numbers(before)
        assert Decimal(748) == reserved  # 0.003 × 99 000, whose commission of 1 is paid, and 451 of decision 2
        service.stop(signal.SIGKILL)

    # While it is away the market falls through the stop of decision 5.
    server.set_price("XRP/USDT", "2.21", bid="2.2", ask="2.22")
    with Program("start", env=env) as service:
        service.wait_for("Serving")
        stopped = ledger.until_filled(5, 2)
        assert (Decimal("2.2"), "taker") == (stopped["base_price"], stopped["liquidity"])
        assert [order for order in before if order["decision_id"] < 5] == open_orders(env)
        assert reserved == ledger.reserved

        server.set_price("BTC/USDT", "98995", bid="98980", ask="98999")
        ledger.until_filled(1)
        assert ("filled", Decimal(99000), "maker") == state_of_limit(ledger)
        server.set_price("SOL/USDT", "200.2", bid="200.1", ask="200.3")
        taken = ledger.until_filled(4, 3)
        assert (Decimal(200), "maker") == (taken["price"], taken["liquidity"])
        assert "cancelled" == ledger.leg(4, 2)["status"]

        cancelled = run("cancel", "2", env=env)
        assert "decision 6, cancel: executed: cancelled: 1 order of decision 2\n" == cancelled.out
        assert None is ledger.reserved
        assert [] == open_orders(env)
        *explained, status = run_all(*(f"explain {decision}" for decision in range(1, 7)), "status", env=env)
        ended = service.stop()
    assert (0, False) == (ended.code, "Traceback" in ended.err)
    assert [] == ledger.reader.ledger_differences()
    ledger.reader.close()
    # Decision 1 has one order with fills; a bracket has its entry and one exit; decisions 2 and 6 have none.
    assert [(0, 1), (0, 0), (0, 2), (0, 2), (0, 2), (0, 0)] == [
        (result.code, result.out.count("recomputed  the same to the last digit")) for result in explained
    ]
    assert "by decision 6" in explained[1].out, explained[1].out
    assert (0, True) == (status.code, "books      balance" in status.out)
    check = run("check", env=env)
    assert (0, "") == (check.code, check.err)
