"""A database with an attack on terminals in every text."""

from __future__ import annotations

import psycopg
from psycopg import sql

from tests.support.planted_escapes import PLANTED, PLANTED_DIRECTIONS, PLANTED_NAME
from tests.support.screens.fixed_database import NOW

COLUMNS = """
SELECT c.table_name, c.column_name FROM information_schema.columns c
JOIN information_schema.tables t USING (table_schema, table_name)
WHERE t.table_type = 'BASE TABLE' AND c.table_schema = 'public' AND c.data_type IN ('text', 'character varying')
  AND c.table_name <> 'paper_schema_version' ORDER BY 1, 2
"""
UPDATES = (
    "UPDATE {table} SET {column} = coalesce({column}, '') || {text}",
    "UPDATE {table} SET {column} = {column} || {text} WHERE {column} IS NOT NULL",
)
DECISION = """
INSERT INTO trading_decisions (symbol, decision, confidence, portfolio, strategy, reasoning, idempotency_key,
                               created_at, status, outcome_reason, processed_at)
VALUES ({0}, 'BUY', 0.7, {0}, {0}, {0}, {0}, {1}, 'rejected', {0}, {1}) RETURNING id
"""
HALT = "INSERT INTO paper_halts (portfolio, halted, reason, by_whom) VALUES ('cautious', true, {0}, left({0}, 100))"
AUDIT = "UPDATE paper_audits SET differences = jsonb_build_array({0}::text)"
PROCESS = "UPDATE paper_processes SET settings = settings || jsonb_build_object('price_source', 'simulated' || {0})"


def plant(url: str) -> set[str]:
    """Append the attack to the texts of a database that `fixed_database.write` has filled.

    Returns:
        The columns that take no such text, because their values are fixed words or keys: ``table.column``.
    """
    refused = set()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SET paper.writer = 'PositionKeeper'")
        columns = connection.execute(COLUMNS).fetchall()
        tables = sorted({table for table, _ in columns})
        for table in tables:
            connection.execute(sql.SQL("ALTER TABLE {} DISABLE TRIGGER USER").format(sql.Identifier(table)))
        for table, column in columns:
            if not any(_planted(connection, table, column, update, text) for update, text in _attempts()):
                refused.add(f"{table}.{column}")
        for statement in (DECISION, HALT, AUDIT, PROCESS):
            connection.execute(sql.SQL(statement).format(sql.Literal(PLANTED), sql.Literal(NOW)))
        for table in tables:
            connection.execute(sql.SQL("ALTER TABLE {} ENABLE TRIGGER USER").format(sql.Identifier(table)))
    return refused


def _attempts() -> list[tuple[str, str]]:
    return [(update, text) for text in (PLANTED, PLANTED_NAME, PLANTED_DIRECTIONS) for update in UPDATES]


def _planted(connection: psycopg.Connection, table: str, column: str, update: str, text: str) -> bool:
    """Return whether a column takes a text."""
    statement = sql.SQL(update).format(  # type: ignore[arg-type]
        table=sql.Identifier(table), column=sql.Identifier(column), text=sql.Literal(text)
    )
    try:
        connection.execute(statement)
    except (psycopg.IntegrityError, psycopg.errors.StringDataRightTruncation):
        return False
    return True
