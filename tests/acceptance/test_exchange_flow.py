"""Ten minutes of a market in ten seconds: the real program, the real ccxt, TimescaleDB, and a failing exchange.

300 decisions are inserted by SQL while the exchange answers with 429, 500, garbage and half answers, hangs, drops its
sockets, suspends one market, delists another, and sends invalid prices.
"""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import psycopg
import pytest

from domain.trading.decision import Reason
from persistence.queries.row_lists import LedgerReader
from tests.support.exchange.server import ExchangeServer
from tests.support.system.program import Program, environment
from tests.support.system.running_system import assert_sound, until, until_all_ended
from tests.support.values.exact_arithmetic import FILLS, Rules, assert_by_hand, trades_by_hand

SECONDS = 600
SPEED = 60
DECISIONS = 300
SYMBOLS = {"BTC/USDT": 0, "ETH/USDT": 0, "SOL/USDT": 60, "XRP/USDT": 150, "ADA/USDT": 240}
"""Each market, and the second from which it is traded: each is first requested while the exchange fails."""
SPELLINGS: list[Callable[[str], str]] = [
    str, str.lower, lambda symbol: symbol.replace("/", "-"), lambda symbol: symbol.replace("/", ""),
]  # fmt: skip
NOT_TRADED = {"NOPE/USDT": "unknown symbol", "BTC/EUR": "other currency", "DOT/USDT": "unknown symbol"}
RULES = Rules(
    ticks={"BTC/USDT": "0.1", "ETH/USDT": "0.01", "SOL/USDT": "0.01", "XRP/USDT": "0.00001", "ADA/USDT": "0.000001"},
    steps={"BTC/USDT": "1e-8", "ETH/USDT": "1e-8", "SOL/USDT": "1e-6", "XRP/USDT": "1e-5", "ADA/USDT": "1e-4"},
)
INVALID_PRICES = {
    "ETH/USDT": ["0", "-3950.01", "3950010000"],
    "BTC/USDT": ["110485800000", "0.1"],
    "SOL/USDT": ["-1", "0"],
}
INSERT = """
INSERT INTO trading_decisions (symbol, decision, confidence, risk_score, quantity, expires_at, strategy)
VALUES (%(symbol)s, %(decision)s, %(confidence)s, %(risk_score)s, %(quantity)s, %(expires_at)s, 'flow')
"""


class Exchange:
    """The script of the market: its faults and prices, second by second."""

    def __init__(self, server: ExchangeServer) -> None:
        self._server = server
        self._random = random.Random(7)
        self._prices = {"BTC/USDT": "110485.8", "ETH/USDT": "3950.01", "SOL/USDT": "190.25", "XRP/USDT": "2.45000",
                        "ADA/USDT": "0.800000"}  # fmt: skip
        self._faults: dict[int, Callable[[], None]] = {
            58: lambda: server.fault("429"),
            140: lambda: server.fault("garbage"),
            149: lambda: server.fault("500", 2),
            200: server.drop_sockets,
            205: lambda: server.fault("half", 2),
            238: lambda: server.fault("hang"),
            300: lambda: self._send_invalid("BTC/USDT"),
            330: lambda: self._send_invalid("ETH/USDT"),
            345: lambda: server.send_raw('{"channel":"ticker","data":[{"symbol":'),
            360: lambda: self._send_invalid("SOL/USDT"),
            400: lambda: server.fault("unknown"),
            401: server.drop_sockets,
            420: lambda: server.suspend("ADA/USDT"),
            450: self._delist,
        }

    def second(self, number: int) -> None:
        """Play one second."""
        if number in self._faults:
            self._faults[number]()
        for symbol, price in self._prices.items():
            moved = Decimal(price) * (1 + Decimal(self._random.randint(-20, 20)) / 10_000)
            self._prices[symbol] = str(moved.quantize(Decimal(price)))
            self._server.set_price(symbol, self._prices[symbol])

    def _send_invalid(self, symbol: str) -> None:
        for price in INVALID_PRICES[symbol]:
            self._server.set_price(symbol, price)
            self._server.set_price(symbol, self._prices[symbol])

    def _delist(self) -> None:
        del self._prices["XRP/USDT"]
        self._server.remove("XRP/USDT")


def decisions() -> Iterator[dict[str, Any]]:
    """Yield an agent's decisions, one for every two seconds."""
    draw = random.Random(11)
    for number in range(DECISIONS):
        traded = [symbol for symbol, since in SYMBOLS.items() if number * SECONDS // DECISIONS >= since]
        symbol = draw.choice(SPELLINGS)(draw.choice(traded))
        row: dict[str, Any] = {
            "symbol": symbol,
            "decision": draw.choice(["BUY", "BUY", "buy", "SELL", "SELL", "HOLD"]),
            "confidence": Decimal(draw.randint(55, 100)) / 100,
            "risk_score": draw.choice([None, Decimal("0.1"), Decimal("0.9")]),
            "quantity": Decimal("0.02") if symbol.upper().startswith("ETH") and number % 3 == 0 else None,
            "expires_at": "2020-01-01T00:00:00Z" if number % 50 == 49 else None,
        }
        if number % 25 == 12:
            not_traded = list(NOT_TRADED)[number // 25 % 3]
            row |= {"symbol": not_traded, "decision": "BUY", "confidence": 1, "expires_at": None}
        yield row


@pytest.fixture
def server() -> Iterator[ExchangeServer]:
    with ExchangeServer() as running:
        yield running


def play(server: ExchangeServer, database_url: str) -> None:
    """Play ten minutes of the market, and insert the decisions at their times."""
    market, rows = Exchange(server), decisions()
    begin, pause = time.monotonic(), threading.Event()
    with psycopg.connect(database_url, autocommit=True) as agent:
        for second in range(SECONDS):
            market.second(second)
            if second % (SECONDS // DECISIONS) == 0:
                agent.execute(INSERT, next(rows))
            pause.wait(max(0.0, begin + (second + 1) / SPEED - time.monotonic()))  # at the market's speed


@pytest.mark.slow
def test_300_decisions_while_everything_fails(server: ExchangeServer, timescale_url: str, tmp_path: Path) -> None:
    options = json.dumps({**server.kraken, "timeout": 700})
    env = environment(
        tmp_path,
        database_url=timescale_url,
        exchange="kraken",
        exchange_options=options,
        exchange_trusted_hosts="127.0.0.1",
        max_price_age="3",
    )
    with Program("start", env=env) as service:
        service.wait_for("Serving")
        ledger = LedgerReader(timescale_url)
        play(server, timescale_url)
        until_all_ended(ledger, 30)
        until(lambda: not server.faults_left, 30)
        assert_sound(ledger, DECISIONS)
        rows = ledger.rows("SELECT symbol, status, outcome_reason, order_id FROM trading_decisions ORDER BY id")
        fills = ledger.rows(FILLS)
        trades = ledger.rows("SELECT order_id, realized_pnl, net_pnl FROM paper_trades ORDER BY exit_time")
        (portfolio,) = ledger.rows("SELECT current_capital FROM paper_trading_config")
        ledger.close()
        stopped = service.stop()
    assert 0 == stopped.code
    assert "Traceback" not in stopped.err

    # Every outcome is explained.
    codes = [row["outcome_reason"].partition(":")[0] for row in rows if row["status"] != "executed"]
    assert set(codes) <= set(Reason) - {Reason.INTERNAL_ERROR}
    not_traded = {
        (row["symbol"], row["outcome_reason"].partition(":")[0]) for row in rows if row["symbol"] in NOT_TRADED
    }
    # A decision that came before the first list of markets had loaded got no price.
    assert (
        set(NOT_TRADED.items())
        <= not_traded
        <= {*NOT_TRADED.items(), *((symbol, "no price in time") for symbol in NOT_TRADED)}
    )
    assert set(codes) >= {
        "hold",
        "no price in time",
        "confidence below threshold",
        "expired",
        "nothing held",
        "unknown symbol",
    }
    executed = [row for row in rows if row["status"] == "executed"]
    assert len(executed) == len(fills) > 80
    assert {row["order_id"] for row in executed} == {fill["order_id"] for fill in fills}
    assert SYMBOLS.keys() == {fill["symbol"] for fill in fills}

    # Every price was a valid one of the exchange.
    invalid = {Decimal(price) for prices in INVALID_PRICES.values() for price in prices}
    for fill in fills:
        assert fill["base_price"] in {Decimal(price) for price in server.served[fill["symbol"]]} - invalid

    sample = [*fills[:3], next(f for f in fills if f["side"] == "SELL"), next(f for f in fills if f["requested"])]
    for fill in sample:
        assert_by_hand(fill, RULES)
    results = [(trade["order_id"], Fraction(trade["realized_pnl"]), Fraction(trade["net_pnl"])) for trade in trades]
    assert sorted(trades_by_hand(fills)) == sorted(results)
    assert len(results) > 5
    assert Decimal(10_000) + sum(fill["cash_delta"] for fill in fills) == portfolio["current_capital"]
