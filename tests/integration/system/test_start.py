"""A start loads state, not history."""

from __future__ import annotations

import psycopg
import pytest

from actors import Decision, TradingSystem
from benchmarks.history import fill
from persistence import schema
from persistence.queries.row_lists import LedgerReader
from tests.support.system.running_system import isolated_settings, until

HISTORY = ("trading_decisions", "paper_orders", "paper_fills", "paper_trades")
OTHERS = """
SELECT pid FROM pg_stat_activity
WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()
"""
READ = """
SELECT relname, coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0) FROM pg_stat_user_tables WHERE relname = ANY(%s)
"""


def rows_read(url: str) -> dict[str, int]:
    """Return how many rows of each table the server has ever read.

    A session counts what it has read when it ends, which may be some time after its client has gone; so this waits
    until there is no other one.
    """
    with psycopg.connect(url, autocommit=True) as connection:
        until(lambda: connection.execute(OTHERS).fetchall() == [])
        connection.execute("SELECT pg_stat_force_next_flush()")
        return dict(connection.execute(READ, [list(HISTORY)]).fetchall())


@pytest.mark.slow
def test_a_long_history_is_not_read_at_a_start(embedded_url: str) -> None:
    schema.upgrade(embedded_url)
    fill(embedded_url, decisions=20_000, trades=2_000, positions=100)
    before = rows_read(embedded_url)
    with TradingSystem.start(isolated_settings(embedded_url, prices="simulated")) as system:
        system.submit(Decision(symbol="BTC/USDT", decision="HOLD", confidence=1)).get(timeout=10)
        assert 100 == len(system.ledger_reader.positions())
    after = rows_read(embedded_url)
    # The new decision, the last order of each portfolio, the first fill, and rows read by key.
    assert dict.fromkeys(HISTORY, True) == {table: after[table] - before[table] < 50 for table in HISTORY}
    ledger_reader = LedgerReader(embedded_url)
    assert [] == ledger_reader.ledger_differences()
    ledger_reader.close()
