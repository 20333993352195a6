"""``python -m benchmarks.history``: how long a start takes on a long history, until the first decision is accepted.

State is loaded, history is not: a million past decisions, 200 000 trades and 1 000 open positions must not matter.
"""

from __future__ import annotations

import sys
import time

from loguru import logger

from actors import Decision, Settings, TradingSystem
from benchmarks.database import connect, temporary_database, temporary_folder
from persistence import schema
from persistence.queries.row_lists import LedgerReader

DECISIONS, TRADES, POSITIONS = 1_000_000, 200_000, 1_000
LIMIT = 3.0
"""Seconds that are promised on the 2-core machine of development."""

# A consistent ledger: orders 1 to 2·trades buy and sell 0.01 of SOLD/USDT in turn, the rest buy 0.001 of what is held.
# All prices are 100 and nothing costs anything; decisions that are no order's were ignored.
FILL = """
INSERT INTO paper_trading_config (portfolio, name, initial_capital, current_capital, commission_pct, min_commission)
VALUES ('default', 'default', 1000000, 1000000, 0, 0);
ALTER TABLE trading_decisions DISABLE TRIGGER USER;
INSERT INTO trading_decisions (id, symbol, decision, confidence, created_at, status, outcome_reason, order_id,
                               processed_at)
OVERRIDING SYSTEM VALUE
SELECT n, 'BTC/USDT', 'BUY', 0.5, now() - interval '1 year' + n * interval '10 seconds',
       CASE WHEN n <= {orders} THEN 'executed' ELSE 'ignored' END, 'long ago',
       CASE WHEN n <= {orders} THEN md5('order' || n)::uuid END, now()
FROM generate_series(1, {decisions}) n;
SELECT setval(pg_get_serial_sequence('trading_decisions', 'id'), {decisions});
ALTER TABLE trading_decisions ENABLE TRIGGER USER;
CREATE TEMPORARY TABLE legs AS
SELECT n, md5('order' || n)::uuid AS order_id,
       CASE WHEN n <= 2 * {trades} AND n % 2 = 0 THEN 'SELL' ELSE 'BUY' END AS side,
       CASE WHEN n <= 2 * {trades} THEN 'SOLD/USDT' ELSE 'HELD' || n || '/USDT' END AS symbol,
       CASE WHEN n <= 2 * {trades} THEN 0.01 ELSE 0.001 END AS quantity,
       md5('position' || CASE WHEN n <= 2 * {trades} THEN (n + 1) / 2 ELSE n END)::uuid AS position_id,
       now() - interval '1 year' + n * interval '10 seconds' AS at
FROM generate_series(1, {orders}) n;
INSERT INTO paper_orders SELECT order_id, n, 'default', 'crypto', 1, n, symbol, side, 'market', quantity, NULL,
       'filled', quantity, 100, 0, 0, NULL, 1, 1000000, '{{}}', at, at FROM legs;
INSERT INTO paper_fills SELECT order_id, 1, position_id, 'default', 'crypto', symbol, side, quantity, 100, 100, at, at,
       'simulated', NULL, NULL, 0, quantity * 100, 0, CASE side WHEN 'BUY' THEN -quantity * 100 ELSE quantity * 100 END,
       CASE side WHEN 'BUY' THEN quantity ELSE -quantity END, at FROM legs;
INSERT INTO paper_trades SELECT position_id, order_id, 1, 'default', 'crypto', symbol, 'LONG', quantity, 100, 100, 1, 1,
       0, 0, at, at, interval '10 seconds', 0, 0, 0, true, NULL FROM legs WHERE side = 'SELL';
INSERT INTO paper_positions SELECT position_id, 'default', 'crypto', symbol, 'LONG', quantity, 0.1, 0, 100, 100,
       0.1, 0, NULL, at FROM legs WHERE n > 2 * {trades};
UPDATE paper_trading_config SET current_capital = 1000000 - {positions} * 0.1;
"""


def fill(database_url: str, decisions: int, trades: int, positions: int) -> None:
    """Write a history into an empty database that has the schema."""
    counts = {"decisions": decisions, "trades": trades, "positions": positions, "orders": 2 * trades + positions}
    with connect(database_url, writer="PositionKeeper") as connection:
        for statement in FILL.format(**counts).split(";\n"):
            if statement.strip():
                connection.execute(statement)
        connection.execute("ANALYZE")


def first_accepted(database_url: str) -> float:
    """Return how many seconds a start takes until the first decision is accepted."""
    settings = Settings.isolated(database_url=database_url, prices="simulated", symbols=("BTC/USDT",))
    begun = time.monotonic()
    with TradingSystem.start(settings) as system:
        system.submit(Decision(symbol="BTC/USDT", decision="BUY", confidence=1, quantity="0.001"))
        return time.monotonic() - begun


def main() -> int:
    """Measure and print."""
    logger.remove()
    with temporary_folder() as folder, temporary_database(None, folder) as url:
        schema.upgrade(url)
        begun = time.monotonic()
        fill(url, DECISIONS, TRADES, POSITIONS)
        print(f"filled in {time.monotonic() - begun:.1f} s", file=sys.stderr)
        took = [first_accepted(url) for _ in range(3)]
        ledger_reader = LedgerReader(url)
        differences = ledger_reader.ledger_differences()
        ledger_reader.close()
    print(
        f"{DECISIONS:,} past decisions, {TRADES:,} trades, {POSITIONS:,} open positions: "
        f"first decision accepted {min(took):.2f} to {max(took):.2f} s after the start began (promised: {LIMIT:g} s)"
    )
    for difference in differences:
        print(difference["difference"])
    return 0 if max(took) < LIMIT and not differences else 1


if __name__ == "__main__":
    sys.exit(main())
