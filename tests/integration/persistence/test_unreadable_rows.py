"""A row that the server cannot read is rejected; the others of its batch are executed."""

from __future__ import annotations

import psycopg
import pytest
from psycopg import sql

from persistence.queries.row_lists import LedgerReader
from tests.support.system.running_system import running_system, until_all_ended

GOOD = "INSERT INTO {} (symbol, decision, confidence) VALUES (%s, 'BUY', 0.9)"
BAD = "INSERT INTO {} (symbol, decision, confidence, strategy) VALUES ('ETH/USDT', 'BUY', 0.9, {})"


def outcomes(ledger_reader: LedgerReader) -> list[tuple[str, str]]:
    """Return status and reason of each decision, in the order of the ids; without the reason if it was executed."""
    rows = ledger_reader.rows("SELECT status, outcome_reason FROM trading_decisions ORDER BY id")
    return [(row["status"], row["outcome_reason"] if row["status"] != "executed" else "") for row in rows]


def insert(url: str, table: str, bad: sql.Composable) -> None:
    name = sql.Identifier(table)
    with psycopg.connect(url) as agent:
        agent.execute(sql.SQL(GOOD).format(name), ["BTC/USDT"])
        agent.execute(sql.SQL(BAD).format(name, bad))
        agent.execute(sql.SQL(GOOD).format(name), ["SOL/USDT"])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("strategy", "reason"),
    [
        ("(1 / (NOT d.strategy = 'bad')::int)::text", "division by zero"),
        ("public.complain(d.strategy)", "not this one"),
        ("convert_from(decode('ff', 'hex'), 'UTF8')", 'invalid byte sequence for encoding "UTF8": 0xff'),
    ],
    ids=["divides_by_zero", "raises", "encoding"],
)
def test_a_value_that_the_server_cannot_compute(database_url: str, strategy: str, reason: str) -> None:
    """A view in place of the table simulates such a value."""
    with running_system(database_url) as system:
        with psycopg.connect(database_url) as owner:
            owner.execute(
                "CREATE FUNCTION complain(text) RETURNS text STABLE LANGUAGE plpgsql AS"
                " $$ BEGIN IF $1 = 'bad' THEN RAISE EXCEPTION 'not this one'; END IF; RETURN $1; END $$"
            )
            columns = owner.execute(
                "SELECT string_agg(CASE attname WHEN 'strategy' THEN"
                f" $$CASE WHEN d.strategy = 'bad' THEN {strategy} END AS strategy$$ ELSE 'd.' || attname END, ', ')"
                " FROM pg_attribute WHERE attrelid = 'trading_decisions'::regclass AND attnum > 0 AND NOT attisdropped"
            ).fetchone()
            assert columns is not None
            owner.execute("ALTER TABLE trading_decisions RENAME TO kept_decisions")
            owner.execute(f"CREATE VIEW trading_decisions AS SELECT {columns[0]} FROM kept_decisions d")  # type: ignore[call-overload]
        insert(database_url, "kept_decisions", sql.Literal("bad"))
        until_all_ended(system.ledger_reader)
        assert outcomes(system.ledger_reader) == [
            ("executed", ""),
            ("rejected", f"invalid: {reason}"),
            ("executed", ""),
        ]
        assert system.ledger_reader.ledger_differences() == []
        assert system.wait(0) is None
