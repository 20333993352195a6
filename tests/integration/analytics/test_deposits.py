"""The view of metrics and the metrics of Python agree: on cash paid in and out, and on returns that hardly differ."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import psycopg
import pytest

from domain.analytics.performance import performance
from domain.analytics.returns import DAY, NEARLY_CONSTANT
from persistence import schema
from persistence.connections import engine_for, transaction
from persistence.queries.history import consistent_read, read_history
from persistence.rows import one_row
from persistence.stores import portfolios

pytestmark = pytest.mark.clock
VALUES = [1_000, 1_040, 1_010, 1_100, 990, 1_020, 1_090, 1_130, 1_050, 1_180, 1_260, 1_200, 1_250]
FLOWS = {3: 5_000, 7: -4_500, 10: 250}


def test_sharpe_and_drawdown_leave_deposits_out(embedded_url: str) -> None:
    schema.upgrade(embedded_url)
    portfolios.create(embedded_url, "default", {"initial_capital": 1_000})
    portfolios.create(embedded_url, "plain", {"initial_capital": 1_000})
    first = datetime(2026, 1, 5, tzinfo=UTC)
    scale, net = Decimal(1), 0
    with psycopg.connect(embedded_url) as connection:
        connection.execute("ALTER TABLE paper_trading_config DISABLE TRIGGER USER")
        connection.execute("UPDATE paper_trading_config SET created_at = %s", [first - timedelta(hours=1)])
        for day, value in enumerate(VALUES):
            with_flows = value * scale
            if flow := FLOWS.get(day):
                scale, net = scale * (with_flows + flow) / with_flows, net + flow
                deposit(connection, flow, first + timedelta(days=day))
            snapshot(connection, "default", first + timedelta(days=day), value * scale, net)
            snapshot(connection, "plain", first + timedelta(days=day), Decimal(value), 0)
        columns = "sharpe_ratio, max_drawdown"
        rows = connection.execute(f"SELECT {columns} FROM v_paper_performance_metrics ORDER BY portfolio").fetchall()
    with_deposits, without = rows
    assert [round(one, 8) for one in without] == [round(one, 8) for one in with_deposits]
    assert Decimal("0.1") == with_deposits[1].quantize(Decimal("0.0001"))
    engine = engine_for(embedded_url, "test")
    with consistent_read(engine) as cursor:
        of_python = performance(read_history(cursor, "default", thinned=True))
    engine.dispose()
    assert of_python.sharpe_ratio.value is not None
    assert [round(one, 8) for one in with_deposits] == [
        round(of_python.sharpe_ratio.value, 8), round(of_python.max_drawdown.fraction, 8)
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("swing", "reason"),
    [("0", NEARLY_CONSTANT), ("1e-10", NEARLY_CONSTANT), ("1e-8", None)],
)
def test_returns_that_hardly_differ_have_no_sharpe_ratio(embedded_url: str, swing: str, reason: str | None) -> None:
    schema.upgrade(embedded_url)
    portfolios.create(embedded_url, "default", {"initial_capital": 1_000})
    value = Decimal(1_000)
    engine = engine_for(embedded_url, "test", writer="Snapshotter")
    with transaction(engine) as cursor:  # one transaction has one time: no midnight passes between two statements
        cursor.execute("ALTER TABLE paper_trading_config DISABLE TRIGGER USER")
        first = one_row(cursor, "SELECT now()")[0].replace(hour=0, minute=0, second=0, microsecond=0) - 12 * DAY
        cursor.execute("UPDATE paper_trading_config SET created_at = %s", [first - DAY])
        for day in range(13):
            value *= Decimal("1.001") + Decimal(swing) * (-1) ** day
            snapshot(cursor.connection, "default", first + day * DAY, value, 0)
        columns = "sharpe_ratio, sharpe_reason"
        row = one_row(cursor, f"SELECT {columns} FROM v_paper_performance_metrics")
        of_python = performance(read_history(cursor, "default", thinned=True)).sharpe_ratio
    engine.dispose()
    assert (reason, reason) == (row[1], of_python.reason)
    assert (reason is not None, row[0] is None) == (of_python.value is None, of_python.value is None)


def snapshot(connection: psycopg.Connection, name: str, time: datetime, value: Decimal, net: int) -> None:
    connection.execute("SET LOCAL paper.writer = 'Snapshotter'")
    connection.execute(
        "INSERT INTO paper_portfolio_snapshots (time, portfolio, cash, positions_value, total_value, total_pnl,"
        " total_pnl_pct, daily_pnl, num_positions, allocation, net_deposits)"
        " VALUES (%(time)s, %(name)s, round(%(value)s, 12), 0, round(%(value)s, 12), 0, 0, 0, 0, '{}', %(net)s)",
        {"time": time, "name": name, "value": value, "net": net},
    )


def deposit(connection: psycopg.Connection, amount: int, at: datetime) -> None:
    kind = "deposit" if amount > 0 else "withdrawal"
    values = {"kind": kind, "amount": abs(amount), "at": at, "delta": amount}
    connection.execute(
        "INSERT INTO paper_account_requests (portfolio, kind, amount, reason)"
        " VALUES ('default', %(kind)s, %(amount)s, 'a')",
        values,
    )
    connection.execute("SET LOCAL paper.writer = 'PositionKeeper'")
    connection.execute(
        "INSERT INTO paper_account_events (portfolio, version, request_id, kind, at, data_no, amount, cash_delta,"
        " asset_delta, new_asset_delta, cash, orders, reason, author)"
        " SELECT portfolio, id, id, kind, %(at)s, 0, amount, %(delta)s, 0, 0, 0, 0, reason, author"
        " FROM paper_account_requests ORDER BY id DESC LIMIT 1",
        values,
    )
