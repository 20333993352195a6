"""What a reference of people names: it is found by an index, whatever it is."""

from __future__ import annotations

from uuid import UUID

import pytest
from sqlalchemy import text

from persistence import schema
from persistence.queries.decision_chain import ORDERS
from persistence.queries.references import BY_KEY, BY_UID, ORDER, portfolio_of_target
from persistence.queries.row_lists import WAITING, LedgerReader
from tests.integration.persistence.test_adoption import psql
from tests.support.database import dumps

UID = UUID("11111111-2222-3333-4444-555555555555")


def test_each_reference_leads_to_the_portfolio(empty_embedded_url: str) -> None:
    dumps.restore(empty_embedded_url, "0.1.0")
    schema.upgrade(empty_embedded_url)
    ((id_,),) = psql(
        empty_embedded_url,
        "INSERT INTO trading_decisions (uid, portfolio, symbol, decision, confidence, idempotency_key)"
        f" VALUES ('{UID}', 'spring', 'A', 'BUY', 1, 'my key') RETURNING id",
    )
    ((order_id,),) = psql(empty_embedded_url, "SELECT order_id FROM paper_orders WHERE portfolio = 'spring' LIMIT 1")
    reader = LedgerReader(empty_embedded_url)
    for reference in (str(id_), f"00{id_}", str(UID), str(UID).replace("-", ""), "my key", str(order_id)):
        assert "spring" == portfolio_of_target(reader, reference)
    for nothing in ("99999999999", "9" * 30, "all", "BTC/USDT", str(UID)[:-1] + "6", ""):
        assert portfolio_of_target(reader, nothing) is None
    reader.close()


@pytest.mark.parametrize("statement", [BY_UID, BY_KEY, ORDER, ORDERS, WAITING])
def test_no_look_up_reads_a_whole_table(embedded_url: str, statement: str) -> None:
    schema.upgrade(embedded_url)
    reader = LedgerReader(embedded_url)
    with reader._engine.connect() as connection:
        # In an empty table, a scan is cheapest; this makes PostgreSQL use an index where it can.
        connection.execute(text("SET LOCAL enable_seqscan = off"))
        values = {"uid": UID, "key": "my key", "order_id": UID, "id": 1}
        parameters = {name: value for name, value in values.items() if f":{name}" in statement}
        plan = "\n".join(connection.execute(text(f"EXPLAIN {statement}"), parameters).scalars())
    reader.close()
    assert "Seq Scan" not in plan
    assert "Index" in plan
