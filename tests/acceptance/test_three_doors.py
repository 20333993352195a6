"""Decisions through all three doors at once into the running service, on each database; five fills by hand."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from math import floor
from pathlib import Path
from typing import Any

from persistence.queries import Books
from tests.acceptance.process import ROOT, Program, environment, run
from tests.integration.running import assert_sound, until_all_ended
from tests.servers import wheel

BY_PSQL = """
INSERT INTO trading_decisions (symbol, decision, confidence, risk_score, strategy, reasoning)
SELECT (ARRAY['BTC/USDT', 'eth-usdt', 'SOLUSDT', 'XRP/USDT', 'NOPE/USDT'])[1 + i % 5],
       (ARRAY['BUY', 'BUY', 'SELL', 'HOLD'])[1 + (i / 5) % 4],
       0.5 + (i % 10) / 20.0, (i % 7) / 7.0, 'psql', 'number ' || i
FROM generate_series(1, 200) i
"""

BY_PYTHON = """
import sys
from actors import Decision, TradingSystem
with TradingSystem.attach(sys.argv[1]) as system:
    futures = [
        system.submit(Decision(symbol="DOGE/USDT", decision="BUY", confidence="0.7", quantity=100 + number))
        for number in range(20)
    ]
    print([str(future.get(timeout=30).status) for future in futures].count("executed"))
"""


def test_200_by_psql_20_by_command_20_from_python(database_url: str, tmp_path: Path) -> None:
    env = environment(tmp_path / "home", database_url=database_url, prices="simulated")
    psql = shutil.which("psql") or str(wheel() / "pginstall18" / "bin" / "psql")
    with Program("start", env=env) as service, ThreadPoolExecutor(2) as pool:
        service.wait_for("Serving")
        books = Books(database_url)
        python = subprocess.Popen(
            [sys.executable, "-c", BY_PYTHON, database_url], env=env, cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        subprocess.run([psql, "-qX", "-v", "ON_ERROR_STOP=1", "-c", BY_PSQL, database_url], check=True, timeout=30)
        commands = [
            pool.submit(
                run, "decide", "BUY", "BTC/USDT", "--confidence", "0.9", "--quantity", "0.0005", "--json", env=env
            )
            for _ in range(20)
        ]
        assert [0] * 20 == [command.result().code for command in commands]
        assert "20\n" == python.communicate(timeout=60)[0]
        until_all_ended(books, 10)
        assert_sound(books, 240)
        rows = books.rows(FILLS)
        sample = [next(r for r in rows if r["symbol"] == symbol) for symbol in TICKS]
        assert len(sample) == 5
        for row in [*sample, next(r for r in rows if r["side"] == "SELL")]:
            assert_by_hand(row)
        stopped = service.stop()
        assert 0 == stopped.code
        assert_sound(books, 240)
        books.close()


FILLS = """
SELECT o.*, f.base_price, f.price, f.notional, f.cash_delta, d.confidence, d.risk_score, d.quantity AS asked,
       10000 + coalesce(sum(f.cash_delta) OVER earlier, 0) AS cash_before,
       coalesce(sum(f.asset_delta) OVER (PARTITION BY f.symbol ORDER BY o.seq ROWS BETWEEN UNBOUNDED PRECEDING
                                         AND 1 PRECEDING), 0) AS held_before
FROM paper_orders o JOIN paper_fills f USING (order_id) JOIN trading_decisions d ON d.id = o.decision_id
WINDOW earlier AS (ORDER BY o.seq ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
ORDER BY o.seq
"""

TICKS = {"BTC/USDT": "0.01", "ETH/USDT": "0.01", "SOL/USDT": "0.01", "XRP/USDT": "0.0001", "DOGE/USDT": "0.00001"}
STEPS = {"BTC/USDT": "1e-8", "ETH/USDT": "1e-8", "SOL/USDT": "1e-4", "XRP/USDT": "1e-2", "DOGE/USDT": "1e-2"}


def nearest(value: Fraction, quantum: str) -> Fraction:
    return floor(value / Fraction(quantum) + Fraction(1, 2)) * Fraction(quantum)


def assert_by_hand(row: dict[str, Any]) -> None:
    """DESIGN's arithmetic once more, in fractions: size, slippage, price, commission and cash of one order."""
    base, quantity = Fraction(row["base_price"]), Fraction(row["quantity"])
    assert quantity == size_by_hand(row, base)
    u = Fraction(1, 2) + Fraction(int.from_bytes(hashlib.sha256(str(row["order_id"]).encode()).digest()[:8]), 2**64)
    notional = nearest(quantity * base, "1e-12")
    rate = nearest(Fraction("0.0005") * 2 * (1 + min(notional / 100_000, Fraction(4))) * u, "1e-12")
    price = nearest(base * (1 + rate if row["side"] == "BUY" else 1 - rate), TICKS[row["symbol"]])
    assert price == Fraction(row["price"])
    paid = nearest(quantity * price, "1e-12")
    commission = max(nearest(paid / 1000, "1e-12"), Fraction(1))
    assert (paid, commission) == (Fraction(row["notional"]), Fraction(row["commission"]))
    cash = -paid - commission if row["side"] == "BUY" else paid - commission
    assert cash == Fraction(row["cash_delta"])
    assert nearest(quantity * abs(price - base), "1e-12") == Fraction(row["slippage"])


def size_by_hand(row: dict[str, Any], base: Fraction) -> Fraction:
    """How much: what was asked for, all that was held, or the budget within room (cash was enough for the sample)."""
    held = Fraction(row["held_before"])
    marks = {symbol: Fraction(price) for symbol, price in row["marks"].items()}
    assert row["symbol"] not in marks
    if row["asked"] is not None:
        return Fraction(row["asked"])
    if row["side"] == "SELL":
        return held
    equity, step = Fraction(row["equity"]), Fraction(STEPS[row["symbol"]])
    risk = Fraction("0.3") if row["risk_score"] is None else Fraction(row["risk_score"])
    budget = Fraction("0.2") * equity * Fraction(row["confidence"]) / Fraction("0.8") * (1 - risk / 2)
    room = nearest(equity / 5, "1e-12") - nearest(held * base, "1e-12")
    assert Fraction(row["cash_before"]) > budget * Fraction("1.02")
    return floor(min(nearest(budget, "1e-12"), room) / base / step) * step
