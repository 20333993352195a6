"""A file of bars in a real system: resting orders meet whole bars, and the greatest speed leaves no prices out."""

from __future__ import annotations

import math
import threading
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from actors import Decision, TradingSystem
from actors.runtime.timer import SystemClock
from market.base import MonotonicTimer
from market.files.file_source import MAX_WAITING, FilePrices
from market.files.opening import open_files
from tests.support.system.running_system import isolated_settings, until

BEGIN = datetime(2025, 1, 1, tzinfo=UTC)
QUIET_BARS = 12_000
"""More than the buffer of market data keeps one by one."""
FILLS = "SELECT quantity, price, liquidity, ambiguous FROM paper_fills ORDER BY order_id"


class GatedTimer(MonotonicTimer):
    """A timer by which the first prices are due at once, and all others when the gate is opened."""

    def __init__(self) -> None:
        self.gate = threading.Event()

    def seconds(self) -> float:
        return math.inf if self.gate.is_set() else 0.0

    def wait(self, stopped: threading.Event, seconds: float) -> bool:
        if self.gate.is_set():
            return stopped.wait(seconds)
        while not self.gate.wait(0.01):
            if stopped.is_set():
                return True
        return False


def bars_file(folder: Path, bars: list[str]) -> Path:
    """Write minute bars: open, high, low, close, volume."""
    rows = [f"{(BEGIN + timedelta(minutes=n)).isoformat()},{bar}" for n, bar in enumerate(bars)]
    path = folder / "BTC_USDT-1m.csv"
    path.write_text("\n".join(["time,open,high,low,close,volume", *rows]))
    return path


def test_resting_orders_meet_each_bar_at_the_greatest_speed(embedded_url: str, tmp_path: Path) -> None:
    nothing_traded, reached = "94,94,94,94,0", "100,101,94,96,30"
    quiet = ["100,101,96,100,50"] * QUIET_BARS
    path = bars_file(tmp_path, ["100,100,100,100,1", *quiet, nothing_traded, reached, "96,100,96,100,50"])
    timer, clock = GatedTimer(), SystemClock()
    source = FilePrices(open_files(str(path), clock.now()), 1.0, clock, timer)
    with TradingSystem.start(isolated_settings(embedded_url, price_grace=300), source=source) as system:
        wiring, reader = system._parts.wiring, system.ledger_reader
        order = Decision(
            symbol="BTC/USDT", decision="BUY", confidence=1, quantity="5", order_type="limit", limit_price="95"
        )
        assert "open" == system.submit(order).get(timeout=30).status
        timer.gate.set()
        # A restart matches the bars again that were kept for the order.
        for actor, played in (("ExecutionSimulator", QUIET_BARS // 3), ("PositionKeeper", QUIET_BARS // 2)):
            until(lambda played=played: source._played > played)
            system.crash(actor)
        until(lambda: bool(reader.rows(FILLS)), seconds=90)
        (fill,) = reader.rows(FILLS)
        # A tenth of the volume of the one bar that reached it: nothing was left out, and nothing was folded.
        expected = {"quantity": 3, "price": 95, "liquidity": "maker", "ambiguous": False}
        assert expected == fill
        until(lambda: source._played == QUIET_BARS + 4)
        # A market order meets the last close, of 100.
        assert "filled" == system.execute_order(symbol="BTC/USDT", side="BUY", quantity="1")["status"]
        (price,) = (row["price"] for row in reader.rows(FILLS) if row["liquidity"] == "taker")
        assert Decimal(100) <= price <= Decimal(101)
        assert [] == reader.ledger_differences()
        waited = [wiring.hosts[name].mailbox.max_waiting for name in ("PriceTracker", "ExecutionSimulator")]
        assert max(waited) <= MAX_WAITING + 10
        assert 0 == wiring.market_data.dropped
