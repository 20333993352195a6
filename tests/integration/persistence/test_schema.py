"""The schema on every supported server: migrations, views, and one run from decision to report."""

from __future__ import annotations

from decimal import Decimal

import psycopg
import pytest

from actors import Decision
from domain.errors import DatabaseUnsuitable
from persistence import schema
from persistence.connections import probe
from tests.support.database.servers import TIMESCALEDB, Server
from tests.support.system.running_system import running_system, until_all_ended

VIEWS = (
    "v_paper_portfolio_overview",
    "v_paper_open_positions",
    "v_paper_recent_trades",
    "v_paper_performance_metrics",
    "v_paper_ledger_check",
)

HISTORY = """
SELECT time, total_value, total_pnl, total_pnl_pct, num_positions
FROM paper_portfolio_snapshots
WHERE time >= NOW() - INTERVAL '7 days'
ORDER BY time
"""

WIN_RATE = """
SELECT symbol, COUNT(*), SUM(CASE WHEN realized_pnl > 0 THEN 1 ELSE 0 END), ROUND(AVG(realized_pnl), 2)
FROM paper_trades
WHERE exit_time >= NOW() - INTERVAL '30 days'
GROUP BY symbol
ORDER BY symbol
"""


def test_one_run_from_decision_to_views(every_server: Server, every_url: str) -> None:
    with running_system(every_url, slippage_pct=Decimal(0)) as system:
        system.execute_order(symbol="BTC/USDT", side="BUY", quantity="0.01")
        system.execute_order(symbol="ETH/USDT", side="BUY", quantity="0.3")
        system.execute_order(symbol="BTC/USDT", side="SELL", quantity="0.004")
        assert system.submit(Decision(symbol="BTC/USDT", decision="SELL", confidence=1)).get(timeout=10).order_id
        until_all_ended(system.ledger_reader)
        (default,) = system.ledger_reader.portfolios()
        # Bought 0.01 at 110485.85 and 0.3 at 3950.01, sold the BTC at the same price: only commissions are lost.
        lost = Decimal("1.1048585") + Decimal("1.185003") + Decimal(1) + Decimal(1)
        assert -lost == default["total_pnl"]
        performance = system.performance_summary()
        assert tuple(performance[k] for k in ("total_trades", "winning_trades", "losing_trades")) == (1, 0, 1)
        assert Decimal("-3.1048585") == performance["avg_loss"]
        assert performance["sharpe_reason"] == "0 of at least 10 daily returns"
        assert performance["sharpe_ratio"] is None
    with psycopg.connect(every_url) as connection:
        rows = {view: connection.execute(f"SELECT * FROM {view}").fetchall() for view in VIEWS}
        assert [len(rows[view]) for view in VIEWS] == [1, 1, 2, 1, 0]
        history = connection.execute(HISTORY).fetchall()
        assert [(Decimal(10_000) - lost, -lost, 1)] == [(r[1], r[2], r[4]) for r in history[-1:]]
        assert [("BTC/USDT", 2, 0, Decimal(0))] == connection.execute(WIN_RATE).fetchall()
        (value,) = connection.execute("SELECT get_portfolio_value()").fetchone() or (None,)
        assert Decimal(10_000) - lost == value
        (pnl,) = connection.execute(
            "SELECT calculate_position_pnl(position_id, 3960.01) FROM paper_positions"
        ).fetchone() or (None,)
        assert Decimal(3) == pnl


def test_hypertables_exist_only_with_timescaledb(every_server: Server, every_url: str) -> None:
    schema.upgrade(every_url)
    schema.upgrade(every_url)
    assert schema.is_current(every_url)
    with psycopg.connect(every_url) as connection:
        if every_server.name != TIMESCALEDB:
            assert "without TimescaleDB" in probe(every_url)
            return
        hypertables = connection.execute(
            "SELECT hypertable_name::text FROM timescaledb_information.hypertables ORDER BY 1"
        )
        assert hypertables.fetchall() == [("market_prices",), ("paper_portfolio_snapshots",), ("paper_trades",)]
        assert ", TimescaleDB 2." in probe(every_url)


def test_a_database_newer_than_the_program_is_refused(embedded_url: str) -> None:
    schema.upgrade(embedded_url)
    with psycopg.connect(embedded_url) as connection:
        connection.execute("UPDATE paper_schema_version SET version_num = '9999_from_the_future'")
    with pytest.raises(DatabaseUnsuitable, match="has schema 9999_from_the_future, which is newer than this program's"):
        schema.upgrade(embedded_url)


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("UPDATE paper_positions SET quantity = 1", "portfolio default holds 1.000000000000000000 BTC/USDT"),
        ("UPDATE paper_positions SET cost = 1", "account for 1.000000000000"),
        ("UPDATE paper_positions SET entry_commission = 0", "in commissions, its trades and positions account for"),
        ("DELETE FROM paper_positions", "portfolio default holds 0 BTC/USDT"),
        ("DELETE FROM paper_fills", "its fills make it 0"),
        ("UPDATE trading_decisions SET status = 'rejected'", "but its decision 1 is rejected"),
        ("DELETE FROM trading_decisions", "but its decision 1 is gone"),
        ("UPDATE trading_decisions SET outcome_reason = ''", "decision 1 is executed without a reason"),
        ("UPDATE trading_decisions SET order_id = gen_random_uuid()", "does not exist"),
        ("UPDATE paper_portfolio_state SET version = 7", "has version 7, its last event has version 1"),
    ],
)
def test_the_ledger_check_finds(embedded_url: str, statement: str, message: str) -> None:
    with running_system(embedded_url) as system:
        system.execute_order(symbol="BTC/USDT", side="BUY", quantity="0.01")
        assert system.ledger_reader.ledger_differences() == []
    with psycopg.connect(embedded_url) as connection:
        connection.execute("SET paper.writer = 'PositionKeeper'")
        connection.execute("ALTER TABLE trading_decisions DISABLE TRIGGER USER")  # they refuse some of these statements
        connection.execute(statement)
        differences = connection.execute("SELECT difference FROM v_paper_ledger_check").fetchall()
    assert message in "\n".join(difference for (difference,) in differences)
