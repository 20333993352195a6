"""An existing table of decisions is adopted in place; one that cannot be adopted is refused and stays unchanged."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from loguru import logger

from actors import Decision
from domain.errors import DatabaseBusy, DatabaseUnsuitable
from persistence import adoption, schema
from persistence.lease import Lease
from persistence.queries.row_lists import LedgerReader
from persistence.stores.intake.backlog import Backlog, include_backlog
from tests.support.system.running_system import running_system, until_all_ended

PAGE = (Path(__file__).parents[3] / "docs" / "database.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```sql\n(CREATE TABLE trading_decisions.*?)```\n\n```\n(.*?)```", PAGE, re.DOTALL)
MINIMAL, FLOATS, UUIDS = (before.strip().removesuffix(";") for before, _ in EXAMPLES)
AFTER = """
SELECT format('%-17s%s%s', attname, format_type(atttypid, atttypmod),
              CASE WHEN attnotnull THEN ' NOT NULL' ELSE '' END
              || coalesce(' DEFAULT ' || pg_get_expr(adbin, adrelid),
                          CASE attidentity WHEN '' THEN '' ELSE ' IDENTITY' END))
FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
WHERE attrelid = 'trading_decisions'::regclass AND attnum > 0 ORDER BY attnum
"""
OLD = (
    "INSERT INTO trading_decisions (id, symbol, decision, confidence, created_at) {} VALUES"
    " ({}, 'BTC/USDT', 'BUY', 0.75, '2026-01-05 12:00'), ({}, 'BTC/USDT', 'buyy', 7, '2026-01-05 13:00')"
)
IDS = {MINIMAL: ("1001", "1002"), FLOATS: ("1001", "1002"), UUIDS: ("gen_random_uuid()", "gen_random_uuid()")}


def psql(url: str, *statements: str) -> list[tuple[object, ...]]:
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in statements:
            cursor = connection.execute(statement)
        return cursor.fetchall() if cursor.description else []


@pytest.mark.parametrize(("before", "after"), EXAMPLES, ids=["minimal", "floats", "uuids"])
def test_the_page_shows_each_table_after_adoption(embedded_url: str, before: str, after: str) -> None:
    psql(embedded_url, before)
    schema.upgrade(embedded_url)
    assert [line.rstrip() for line in after.splitlines()] == [str(row[0]).rstrip() for row in psql(embedded_url, AFTER)]


@pytest.mark.slow
@pytest.mark.parametrize("table", [MINIMAL, FLOATS, UUIDS], ids=["minimal", "floats", "uuids"])
def test_adopted_with_its_rows_and_traded(database_url: str, table: str) -> None:
    psql(database_url, table, OLD.format("OVERRIDING SYSTEM VALUE" if table == FLOATS else "", *IDS[table]))
    with running_system(database_url) as system:
        assert system.ledger_reader.outcomes() == {"ignored": 2}
        assert {row["outcome_reason"] for row in system.ledger_reader.decisions()} == {adoption.REASON}
        psql(
            database_url,
            "INSERT INTO trading_decisions (symbol, decision, confidence) VALUES ('BTC/USDT', 'BUY', 0.8)",
        )
        until_all_ended(system.ledger_reader)
        sent = Decision(symbol="ETH/USDT", decision="BUY", confidence="0.75", quantity="0.01")
        outcome = system.submit(sent).get(timeout=10)
        assert outcome.status == "executed"
        row = system.ledger_reader.decision(outcome.decision_id)
        assert row["created_at"].tzinfo is not None
        assert str(row["confidence"]).rstrip("0") == "0.75"
        held = system.submit(Decision(symbol="DEAD/USDT", decision="HOLD", confidence=1)).get(timeout=10)
        assert held.status == "ignored"
        week = timedelta(days=7)
        assert Backlog(inserted=0, refused=0, too_old=2) == include_backlog(database_url, week)
        assert Backlog(inserted=1, refused=1, too_old=0) == include_backlog(database_url, timedelta(0))
        assert Backlog(inserted=0, refused=1, too_old=0) == include_backlog(database_url, timedelta(0))
        until_all_ended(system.ledger_reader)
        assert system.ledger_reader.outcomes() == {"executed": 3, "ignored": 3}
        assert system.ledger_reader.ledger_differences() == []
        for wrong in ("'NaN'", "2", "NULL"):
            with pytest.raises(psycopg.errors.CheckViolation if wrong != "NULL" else psycopg.IntegrityError):
                psql(
                    database_url,
                    f"INSERT INTO trading_decisions (symbol, decision, confidence) VALUES ('A', 'BUY', {wrong})",
                )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("ALTER TABLE trading_decisions DROP reasoning", "without column reasoning"),
        ("ALTER TABLE trading_decisions ADD status text", "has column status, which this program writes itself"),
        ("ALTER TABLE trading_decisions ADD retry_of text", "RENAME COLUMN retry_of TO my_retry_of"),
        ("ALTER TABLE trading_decisions ADD received_at date", "RENAME COLUMN received_at TO my_received_at"),
        ("ALTER TABLE trading_decisions DROP CONSTRAINT trading_decisions_pkey", "ADD PRIMARY KEY"),
        ("ALTER TABLE trading_decisions ALTER id DROP DEFAULT", "ADD GENERATED BY DEFAULT AS IDENTITY"),
        ("ALTER TABLE trading_decisions ALTER confidence TYPE boolean USING true", "column confidence of table"),
        ("ALTER TABLE trading_decisions RENAME TO t; CREATE VIEW trading_decisions AS SELECT * FROM t", "is a view"),
        ("ALTER TABLE trading_decisions ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY", "row security hides"),
        ("CREATE TABLE paper_fills (x int)", "a name that this program needs is taken"),
    ],
)
def test_a_refusal_is_one_line_and_changes_nothing(embedded_url: str, change: str, message: str) -> None:
    psql(embedded_url, MINIMAL, change)
    tables = "SELECT relname, relnatts FROM pg_class WHERE relnamespace = 'public'::regnamespace ORDER BY 1"
    before = psql(embedded_url, tables)
    with pytest.raises(DatabaseUnsuitable, match=message) as refusal:
        schema.upgrade(embedded_url)
    assert "\n" not in str(refusal.value)
    assert before == psql(embedded_url, tables)


@pytest.mark.parametrize("moment", ["infinity", "-infinity", "20000-01-01", "0044-03-15 BC", None])
def test_old_rows_with_times_that_python_cannot_represent_are_readable(embedded_url: str, moment: str | None) -> None:
    with psycopg.connect(embedded_url, autocommit=True) as connection:
        connection.execute(
            FLOATS.replace("created_at timestamp NOT NULL", "created_at timestamp, expires_at timestamp")
        )
        connection.execute(
            "INSERT INTO trading_decisions (symbol, decision, confidence, created_at, expires_at)"
            " VALUES ('BTC/USDT', 'BUY', 'NaN', %s, %s)",
            [moment, moment],
        )
    schema.upgrade(embedded_url)
    ledger_reader = LedgerReader(embedded_url)
    values = [(row["created_at"], row["expires_at"], str(row["confidence"])) for row in ledger_reader.decisions()]
    ledger_reader.close()
    assert [(None, None, "NaN")] == values


def test_a_column_with_a_default_needs_no_value_and_the_log_warns_of_one_without(embedded_url: str) -> None:
    defaults = "reasoning SET DEFAULT '', ALTER current_price SET DEFAULT 1"
    needed = "current_price SET NOT NULL, ALTER reasoning SET NOT NULL"
    psql(embedded_url, MINIMAL, f"ALTER TABLE trading_decisions ALTER {defaults}, ALTER {needed}")
    psql(embedded_url, "ALTER TABLE trading_decisions ADD model text NOT NULL, ADD quantity numeric NOT NULL DEFAULT 1")
    warnings: list[str] = []
    sink = logger.add(warnings.append, level="WARNING", format="{message}")
    with running_system(embedded_url) as system:
        logger.remove(sink)
        assert ["model, quantity"] == [
            line.partition(" requires ")[2].partition(" in each row")[0] for line in warnings
        ]
        psql(embedded_url, "ALTER TABLE trading_decisions ALTER model DROP NOT NULL")
        sent = [Decision(symbol="BTC/USDT", decision="BUY", confidence=1, quantity="0.01"),
                Decision(symbol="BTC/USDT", decision="SELL", confidence=1, quantity="0.01", reasoning="r", strategy="s",
                         current_price=2)]  # fmt: skip
        outcomes = [system.submit(decision).get(timeout=10) for decision in sent]
        rows = [system.ledger_reader.decision(outcome.decision_id) for outcome in outcomes]
        assert ["executed", "executed"] == [row["status"] for row in rows]
        evidence = [(row["reasoning"], row["current_price"], row["strategy"]) for row in rows]
        assert [("", 1, None), ("r", 2, "s")] == evidence


TWICE = """
ALTER TABLE trading_decisions ALTER id ADD GENERATED ALWAYS AS IDENTITY;
INSERT INTO trading_decisions (idempotency_key) VALUES ('k'), ('k')
"""
COLUMNS = MINIMAL.replace("id serial PRIMARY KEY", "id bigint NOT NULL").strip().removesuffix(")")


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        (f"{COLUMNS}) PARTITION BY RANGE (created_at)", "is a partitioned table"),
        (f"{MINIMAL}; CREATE TABLE more () INHERITS (trading_decisions)", "is part of an inheritance"),
        ("CREATE SEQUENCE trading_decisions", "is not a table"),
        (f"{COLUMNS}, idempotency_key text, PRIMARY KEY (id)); {TWICE}", "'k' is in two rows"),
    ],
)  # fmt: skip
def test_anything_but_an_ordinary_table_is_refused(embedded_url: str, tables: str, message: str) -> None:
    psql(embedded_url, tables)
    with pytest.raises(DatabaseUnsuitable, match=message):
        schema.upgrade(embedded_url)


def test_a_hypertable_is_refused(timescale_url: str) -> None:
    hypertable = "SELECT create_hypertable('trading_decisions', 'created_at')"
    psql(timescale_url, "CREATE EXTENSION IF NOT EXISTS timescaledb", f"{COLUMNS})", hypertable)
    with pytest.raises(DatabaseUnsuitable, match="is a hypertable, and only an ordinary table can be adopted"):
        schema.upgrade(timescale_url)


@pytest.mark.slow
def test_a_lock_timeout_names_the_session_with_the_lock(embedded_url: str) -> None:
    psql(embedded_url, MINIMAL)
    with psycopg.connect(embedded_url, application_name="report") as other:
        other.execute("LOCK TABLE trading_decisions IN SHARE MODE")
        with pytest.raises(DatabaseBusy, match=rf"session {other.info.backend_pid} \(report"):
            schema.upgrade(embedded_url)
    lease = Lease.take(embedded_url)
    schema.upgrade(embedded_url)
    lease.release()
