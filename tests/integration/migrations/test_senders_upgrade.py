"""The upgrade to stored senders: rows in every state are kept as they are, and keys stay unique all the time."""

from __future__ import annotations

from datetime import timedelta

import psycopg

from persistence import schema
from tests.integration.persistence.test_adoption import psql
from tests.integration.persistence.test_upgrade import FILES, upgrade_to
from tests.support.database.set_time import database_time
from tests.support.system.running_system import running_system, until_all_ended

BEFORE = "0033_lease_session"
ROWS = """
INSERT INTO trading_decisions (symbol, decision, confidence, created_at, idempotency_key, status, outcome_reason,
                               order_id, processed_at)
VALUES ('BTC/USDT', 'BUY', 1, %(at)s, 'pending', 'pending', NULL, gen_random_uuid(), NULL),
       ('BTC/USDT', 'BUY', 1, %(at)s, 'executed', 'executed', 'bought 1', gen_random_uuid(), %(at)s),
       ('BTC/USDT', 'BUY', 1, %(at)s, 'open', 'open', 'open: BUY', gen_random_uuid(), NULL),
       ('BTC/USDT', 'HOLD', 1, %(at)s, NULL, 'ignored', 'hold: nothing to do', NULL, %(at)s),
       ('BTC/USDT', 'SELL', 1, %(at)s, NULL, 'rejected', 'nothing held: x', NULL, %(at)s),
       ('BTC/USDT', 'BUY', 1, %(at)s, NULL, 'expired', 'expired: x', NULL, %(at)s),
       ('BTC/USDT', 'BUY', 1, %(at)s, NULL, 'cancelled', NULL, NULL, %(at)s),
       ('ETH/USDT', 'BUY', 1, %(at)s - interval '1 minute', NULL, 'pending', NULL, NULL, NULL)
"""
KEPT = "SELECT to_jsonb(d) - ARRAY['sent_by', 'received_at'] FROM trading_decisions d ORDER BY id"
UNIQUE = """
SELECT pg_get_indexdef(indexrelid) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
WHERE indrelid = 'trading_decisions'::regclass AND indisunique AND c.relname LIKE 'idempotency_key%'
"""
TAKEN_BACK = """
UPDATE trading_decisions SET status = 'rejected', order_id = NULL, processed_at = coalesce(processed_at, paper_now())
WHERE status IN ('executed', 'open') AND order_id NOT IN (SELECT order_id FROM paper_orders)
"""


def test_rows_in_every_state_are_kept_and_those_that_wait_come_first(embedded_url: str) -> None:
    upgrade_to(embedded_url, BEFORE)
    with psycopg.connect(embedded_url) as owner:
        owner.execute("ALTER TABLE trading_decisions DISABLE TRIGGER USER")
        owner.execute(ROWS, {"at": database_time(embedded_url) - timedelta(minutes=2)})
        owner.execute("ALTER TABLE trading_decisions ENABLE TRIGGER USER")
    before, files = psql(embedded_url, KEPT), psql(embedded_url, FILES)
    schema.upgrade(embedded_url)
    assert before == psql(embedded_url, KEPT)
    assert files == psql(embedded_url, FILES)  # no row was written
    senders = "SELECT DISTINCT sent_by, received_at FROM trading_decisions"
    assert [(None, None)] == psql(embedded_url, senders)
    ((index,),) = psql(embedded_url, UNIQUE)
    assert index.endswith("USING btree (idempotency_key, sent_by) WHERE (idempotency_key IS NOT NULL)")

    psql(embedded_url, "INSERT INTO trading_decisions (symbol, decision, confidence) VALUES ('SOL/USDT', 'BUY', 1)")
    with running_system(embedded_url) as system:
        # What older versions could not prevent is named, and mended by its owner; the program trades on meanwhile.
        flaws = [row["what"] for row in system.ledger_reader.ledger_differences()]
        assert 2 == flaws.count("law 2")
        psql(embedded_url, TAKEN_BACK)
        until_all_ended(system.ledger_reader)
        assert [] == system.ledger_reader.ledger_differences()
        rows = system.ledger_reader.rows(
            "SELECT o.symbol FROM paper_orders o JOIN trading_decisions d ON d.id = o.decision_id ORDER BY o.seq"
        )
        assert ["ETH/USDT", "BTC/USDT", "SOL/USDT"] == [row["symbol"] for row in rows]
