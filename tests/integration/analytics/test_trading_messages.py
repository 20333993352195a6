"""Messages about trading of a real system, and what they read from a real database."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import psycopg
import pytest

from actors import Decision, TradingSystem
from actors.runtime.timer import SystemClock
from console.alerts.trading import TradingMessages
from domain.alarms import Alarm
from domain.trading.instruments import Instrument
from domain.types import Symbol
from persistence import schema
from persistence.queries.trading_messages import TradingMessageReader
from persistence.stores import portfolios
from tests.support.database.set_time import database_time
from tests.support.exchange.fixed_price_source import FixedPriceSource
from tests.support.system.running_system import isolated_settings, until

HOUR = timedelta(hours=1)


def decide(system: TradingSystem, action: str, quantity: str) -> None:
    decision = Decision(symbol="BTC/USDT", decision=action, confidence=1, quantity=quantity)
    assert "executed" == system.submit(decision).get(timeout=10).status.value


@pytest.mark.slow
def test_messages_of_a_running_system_and_its_summary(database_url: str) -> None:
    alarms: list[Alarm] = []

    def send(sent: Iterable[Alarm]) -> None:
        alarms.extend(sent)

    settings = isolated_settings(database_url, alert_trading="fill, position_closed")
    messages = TradingMessages(settings.message_rules(), send, SystemClock())
    source = FixedPriceSource({"BTC/USDT": "110485.85"}, SystemClock(), 0.1, [Instrument(Symbol("BTC/USDT"), "USDT")])
    schema.upgrade(database_url)
    begin = database_time(database_url)
    with (
        TradingSystem.start(settings, source=source, observer=messages) as system,
        messages.serving(system.database_url, "simulated", real_prices=False),
    ):
        decide(system, "BUY", "0.016")
        decide(system, "SELL", "0.004")
        decide(system, "SELL", "0.012")
        until(lambda: sum(alarm.count for alarm in alarms) == 4)
        portfolios.create(database_url, "later", settings.new_portfolio())
    kinds = sorted((alarm.kind.value, alarm.text.partition(" at ")[0]) for alarm in alarms)
    assert [
        ("fill", "default: bought 0.016 BTC/USDT"),
        ("fill", "default: sold 0.004 BTC/USDT"),
        ("fill", "default: sold 0.012 BTC/USDT"),
        ("position_closed", "default: closed LONG BTC/USDT"),
    ] == kinds
    with psycopg.connect(database_url) as session:
        row = session.execute("SELECT sum(net_pnl), sum(cost) FROM paper_trades").fetchone()
        assert row is not None
        net, cost = row
    (closed,) = [alarm.text for alarm in alarms if alarm.kind.value == "position_closed"]
    assert f", net {net:+.2f} USDT ({net / cost * 100:+.2f} %), after " in closed
    now = database_time(database_url)
    reader = TradingMessageReader(database_url)
    try:
        summaries = {row.portfolio: row for row in reader.summaries(begin, now)}
        summary = summaries["default"]
        assert (3, 1, 0, net) == (summary.fills, summary.closed, summary.won, summary.net)
        assert {"executed": 3} == summary.decisions
        assert (Decimal(10_000), 10_000 + net) == (summary.opening_value, summary.total_value)
        assert (Decimal(10_000), 0, 0) == (summary.peak, summary.deposits, summary.num_positions)
        assert [] == reader.summaries(begin - 2 * HOUR, begin - HOUR)  # nothing existed then
        later = {row.portfolio: row for row in reader.summaries(now, now + HOUR)}
        assert (0, 0, {}, 10_000 + net) == (
            later["default"].fills, later["default"].closed, later["default"].decisions, later["default"].opening_value
        )  # fmt: skip
        peak = reader.peak("default", now)
        assert peak is not None
        assert (Decimal(10_000), 10_000 + net, Decimal(0)) == (peak.value, peak.gained, peak.net_deposits)
        assert reader.peak("default", begin - HOUR) is None
        assert {} == reader.round_trips([])
    finally:
        reader.close()


def test_whether_a_process_served_at_a_moment(embedded_url: str) -> None:
    noon = datetime(2026, 1, 5, 12, tzinfo=UTC)
    schema.upgrade(embedded_url)
    with psycopg.connect(embedded_url) as session:
        session.execute("SET paper.writer = 'Supervisor'")
        session.execute("INSERT INTO paper_uptime VALUES (1, %s, %s)", [noon - HOUR, noon + timedelta(seconds=10)])
    reader = TradingMessageReader(embedded_url)
    try:
        assert [False, True, True, False] == [
            reader.served(noon + timedelta(seconds=seconds)) for seconds in (-3_601, -3_600, 0, 1)
        ]
    finally:
        reader.close()
