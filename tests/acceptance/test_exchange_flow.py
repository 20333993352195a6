"""Ten minutes of a market in ten seconds: the real program, the real ccxt, TimescaleDB, and all that goes wrong.

300 decisions come in by SQL while the exchange answers with 429, 500, garbage and halves, hangs, drops its sockets,
shuts one market and loses another, and sends prices that are none.
"""

from __future__ import annotations

import json
import random
import threading
import time
from collections import Counter
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
FASTER = 60
DECISIONS = 300
SYMBOLS = {"BTC/USDT": 0, "ETH/USDT": 0, "SOL/USDT": 60, "XRP/USDT": 150, "ADA/USDT": 240}
"""Each market, and the second from which it is traded: so each comes as a question to an exchange that is failing."""
SPELLINGS: list[Callable[[str], str]] = [
    str, str.lower, lambda symbol: symbol.replace("/", "-"), lambda symbol: symbol.replace("/", ""),
]  # fmt: skip
NOT_TRADED = {"NOPE/USDT": "unknown symbol", "BTC/EUR": "other currency", "DOT/USDT": "unknown symbol"}
RULES = Rules(
    ticks={"BTC/USDT": "0.1", "ETH/USDT": "0.01", "SOL/USDT": "0.01", "XRP/USDT": "0.00001", "ADA/USDT": "0.000001"},
    steps={"BTC/USDT": "1e-8", "ETH/USDT": "1e-8", "SOL/USDT": "1e-6", "XRP/USDT": "1e-5", "ADA/USDT": "1e-4"},
)
SENSELESS = {"ETH/USDT": ["0", "-3950.01", "3950010000"], "BTC/USDT": ["110485800000", "0.1"], "SOL/USDT": ["-1", "0"]}
INSERT = """
INSERT INTO trading_decisions (symbol, decision, confidence, risk_score, quantity, expires_at, strategy)
VALUES (%(symbol)s, %(decision)s, %(confidence)s, %(risk_score)s, %(quantity)s, %(expires_at)s, 'flow')
"""


class Exchange:
    """The market's script: what happens in each of its seconds."""

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
            300: lambda: self._senseless("BTC/USDT"),
            330: lambda: self._senseless("ETH/USDT"),
            345: lambda: server.send_raw('{"channel":"ticker","data":[{"symbol":'),
            360: lambda: self._senseless("SOL/USDT"),
            400: lambda: server.fault("unknown"),
            401: server.drop_sockets,
            420: lambda: server.suspend("ADA/USDT"),
            450: self._vanish,
        }

    def second(self, number: int) -> None:
        """Let a second go by."""
        if number in self._faults:
            self._faults[number]()
        for symbol, price in self._prices.items():
            moved = Decimal(price) * (1 + Decimal(self._random.randint(-20, 20)) / 10_000)
            self._prices[symbol] = str(moved.quantize(Decimal(price)))
            self._server.set_price(symbol, self._prices[symbol])

    def _senseless(self, symbol: str) -> None:
        for price in SENSELESS[symbol]:
            self._server.set_price(symbol, price)
            self._server.set_price(symbol, self._prices[symbol])

    def _vanish(self) -> None:
        del self._prices["XRP/USDT"]
        self._server.remove("XRP/USDT")


def decisions() -> Iterator[dict[str, Any]]:
    """What an agent wants, one every two seconds."""
    chance = random.Random(11)
    for number in range(DECISIONS):
        traded = [symbol for symbol, since in SYMBOLS.items() if number * SECONDS // DECISIONS >= since]
        symbol = chance.choice(SPELLINGS)(chance.choice(traded))
        wanted: dict[str, Any] = {
            "symbol": symbol,
            "decision": chance.choice(["BUY", "BUY", "buy", "SELL", "SELL", "HOLD"]),
            "confidence": Decimal(chance.randint(55, 100)) / 100,
            "risk_score": chance.choice([None, Decimal("0.1"), Decimal("0.9")]),
            "quantity": Decimal("0.02") if symbol.upper().startswith("ETH") and number % 3 == 0 else None,
            "expires_at": "2020-01-01T00:00:00Z" if number % 50 == 49 else None,
        }
        if number % 25 == 12:
            nowhere = list(NOT_TRADED)[number // 25 % 3]
            wanted |= {"symbol": nowhere, "decision": "BUY", "confidence": 1, "expires_at": None}
        yield wanted


@pytest.fixture
def server() -> Iterator[ExchangeServer]:
    with ExchangeServer() as running:
        yield running


def play(server: ExchangeServer, database_url: str) -> None:
    """Let ten minutes go by, and insert the decisions as they come."""
    market, coming = Exchange(server), decisions()
    begin, pause = time.monotonic(), threading.Event()
    with psycopg.connect(database_url, autocommit=True) as agent:
        for second in range(SECONDS):
            market.second(second)
            if second % (SECONDS // DECISIONS) == 0:
                agent.execute(INSERT, next(coming))
            pause.wait(max(0.0, begin + (second + 1) / FASTER - time.monotonic()))  # the market's own pace


def test_300_decisions_while_everything_fails(server: ExchangeServer, timescale_url: str, tmp_path: Path) -> None:
    options = json.dumps({**server.kraken, "timeout": 700})
    env = environment(
        tmp_path, database_url=timescale_url, exchange="kraken", exchange_options=options, max_price_age="3"
    )
    with Program("start", env=env) as service:
        service.wait_for("Serving")
        books = LedgerReader(timescale_url)
        play(server, timescale_url)
        until_all_ended(books, 30)
        until(lambda: not server.faults_left, 30)
        assert_sound(books, DECISIONS)
        rows = books.rows("SELECT symbol, status, outcome_reason, order_id FROM trading_decisions ORDER BY id")
        fills = books.rows(FILLS)
        trades = books.rows("SELECT order_id, realized_pnl, net_pnl FROM paper_trades ORDER BY exit_time")
        (portfolio,) = books.rows("SELECT current_capital FROM paper_trading_config")
        books.close()
        stopped = service.stop()
    assert 0 == stopped.code
    assert "Traceback" not in stopped.err

    # Every outcome is explained.
    words = [row["outcome_reason"].partition(":")[0] for row in rows if row["status"] != "executed"]
    assert set(words) <= set(Reason) - {Reason.INTERNAL_ERROR}
    told = Counter(words)
    nowhere = {(row["symbol"], row["outcome_reason"].partition(":")[0]) for row in rows if row["symbol"] in NOT_TRADED}
    # One that came while the exchange did not even tell what it trades waited in vain.
    assert (
        set(NOT_TRADED.items())
        <= nowhere
        <= {*NOT_TRADED.items(), *((each, "no price in time") for each in NOT_TRADED)}
    )
    assert told.keys() >= {
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

    # Every price was the exchange's, and made sense.
    senseless = {Decimal(price) for prices in SENSELESS.values() for price in prices}
    for fill in fills:
        assert fill["base_price"] in {Decimal(price) for price in server.served[fill["symbol"]]} - senseless

    sample = [*fills[:3], next(f for f in fills if f["side"] == "SELL"), next(f for f in fills if f["asked"])]
    for fill in sample:
        assert_by_hand(fill, RULES)
    results = [(trade["order_id"], Fraction(trade["realized_pnl"]), Fraction(trade["net_pnl"])) for trade in trades]
    assert sorted(trades_by_hand(fills)) == sorted(results)
    assert len(results) > 5
    assert Decimal(10_000) + sum(fill["cash_delta"] for fill in fills) == portfolio["current_capital"]
