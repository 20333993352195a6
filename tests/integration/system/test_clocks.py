"""A system on a machine whose clock differs from the database's: everything is dated by the database's."""

from __future__ import annotations

from datetime import datetime, timedelta

import psycopg
import pytest

from actors import TradingSystem
from actors.runtime.timer import SystemClock
from domain.alarms import AlarmKind
from domain.clocks.database_clock import DatabaseClock
from domain.trading.instruments import Instrument
from domain.types import Symbol
from persistence import lease
from tests.support.captured_log import captured_log
from tests.support.exchange.fixed_price_source import FixedPriceSource
from tests.support.system.recorded_alarms import RecordedAlarms
from tests.support.system.running_system import PRICES, isolated_settings, until

pytestmark = pytest.mark.clock
YEARS = timedelta(days=730)
TIMES = """
SELECT 'snapshot', min(time), max(time) FROM paper_portfolio_snapshots
UNION ALL SELECT 'price', min(time), max(time) FROM market_prices
UNION ALL SELECT 'order', min(created_at), max(ended_at) FROM paper_orders
UNION ALL SELECT 'fill', min(filled_at), max(filled_at) FROM paper_fills
"""
GTD = """
INSERT INTO trading_decisions (symbol, decision, confidence, quantity, order_type, limit_price, time_in_force,
                               order_expires_at)
VALUES ('BTC/USDT', 'BUY', 1, 0.001, 'limit', 90000, 'GTD', clock_timestamp() + %s)
"""
EXPIRES = """
INSERT INTO trading_decisions (symbol, decision, confidence, quantity, expires_at)
VALUES ('BTC/USDT', 'BUY', 1, 0.001, clock_timestamp() + interval '1 minute')
"""


class SetClock(SystemClock):
    """A machine's clock that the test sets."""

    ahead = timedelta(0)

    def now(self) -> datetime:
        return super().now() + self.ahead


@pytest.mark.parametrize("ahead", [YEARS, -YEARS])
def test_times_and_expiry_are_the_database_s(
    embedded_url: str, ahead: timedelta, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "RENEWAL_INTERVAL_S", 0.1)
    machine = SetClock()
    clock = DatabaseClock(machine)
    source = FixedPriceSource(PRICES, clock, 0.1, [Instrument(Symbol(symbol), "USDT") for symbol in PRICES])
    alarms = RecordedAlarms()
    began = SystemClock().now() - timedelta(seconds=2)
    settings = isolated_settings(embedded_url, snapshot_interval=1)
    with (
        captured_log("actors.supervision.clock_watch") as log,
        TradingSystem.start(settings, source=source, clock=clock, alarms=alarms) as system,
        psycopg.connect(embedded_url, autocommit=True) as sender,
    ):
        machine.ahead = ahead
        sender.execute(EXPIRES)
        sender.execute(GTD, [timedelta(seconds=1)])
        sender.execute(GTD, [timedelta(hours=1)])
        until(lambda: system.ledger_reader.outcomes() == {"executed": 1, "expired": 1, "open": 1})
        until(lambda: system.status().clock_problem is not None)
        until(lambda: system.ledger_reader.rows("SELECT count(*) AS n FROM paper_portfolio_snapshots")[0]["n"] > 1)
        assert abs(system.clock.now() - SystemClock().now()) < timedelta(seconds=2)
        problem = system.status().clock_problem
        machine.ahead = timedelta(0)
        until(lambda: system.status().clock_problem is None)
        until(lambda: len(log) == 2)
    side = "ahead of" if ahead > timedelta(0) else "behind"
    text = f"this machine's clock is 730 d {side} the database's; times and expiry go by the database's"
    over = "the clocks of this machine and the database agree again"
    assert text == problem
    assert [f"WARNING {text}", f"INFO {over}"] == log
    assert [(text, False), (over, True)] == [
        (alarm.text, alarm.over) for alarm in alarms.alarms if alarm.kind is AlarmKind.CLOCK
    ]
    with psycopg.connect(embedded_url) as connection:
        for name, first, last in connection.execute(TIMES).fetchall():
            assert began <= first <= last <= SystemClock().now() + timedelta(seconds=2), name
