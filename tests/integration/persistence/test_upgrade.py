"""From the schema of the release before, with rows in it, to the present one."""

from __future__ import annotations

import secrets

import psycopg
import pytest
from alembic import command
from alembic.script import ScriptDirectory
from psycopg import sql
from sqlalchemy import make_url

from domain.errors import DatabaseBusy, DatabaseUnsuitable
from persistence import schema
from persistence.connections import engine_for, schema_of, with_schema
from persistence.migrations import runner
from persistence.stores import halts, retries
from tests.integration.persistence.test_adoption import OLD, UUIDS, psql
from tests.support.database.servers import Server
from tests.support.system.running_system import running, until_all_ended

BEFORE = "0004_guards"
ROWS = {
    # What is filled, in an order that the foreign keys take, and who may write it.
    "paper_trading_config": "nobody",
    "trading_decisions": "nobody",
    "paper_orders": "PositionKeeper",
    "paper_fills": "PositionKeeper",
    "paper_positions": "PositionKeeper",
    "paper_trades": "PositionKeeper",
    "paper_portfolio_snapshots": "Snapshotter",
}
INSERT = "INSERT INTO trading_decisions (symbol, decision, confidence) VALUES ('ETH/USDT', 'BUY', 0.75)"
RETRY_OF = (
    "SELECT format_type(atttypid, NULL) FROM pg_attribute"
    " WHERE attrelid = 'trading_decisions'::regclass AND attname = 'retry_of'"
)


def bring_to(url: str, version: str) -> None:
    """What the program of that version did at its start."""
    engine = engine_for(url, "schema")
    with engine.connect() as connection:
        with connection.begin():
            schema._create(connection, schema_of(url))
            command.upgrade(runner.config_for(connection, schema_of(url)), version)
        schema._adopt_timescale(connection)
    engine.dispose()


def test_the_versions_are_those_that_alembic_finds(embedded_url: str) -> None:
    engine = engine_for(embedded_url, "schema")
    with engine.connect() as connection:
        scripts = ScriptDirectory.from_config(runner.config_for(connection, "public"))
        assert [script.revision for script in scripts.walk_revisions()] == schema.versions()[::-1]
    engine.dispose()


def version_of(url: str) -> str | None:
    engine = engine_for(url, "schema")
    with engine.connect() as connection:
        found = schema.current_version(connection, schema_of(url))
    engine.dispose()
    return found


def copy_rows(url: str, source: str, target: str) -> None:
    """Fill the tables of one schema with the rows of another, which has the same columns and more."""
    with psycopg.connect(url) as connection:
        for table, writer in ROWS.items():
            to, of = (sql.Identifier(each, table) for each in (target, source))
            connection.execute("SELECT set_config('paper.writer', %s, true)", [writer])
            if writer == "nobody":  # their triggers take new rows only
                connection.execute(sql.SQL("ALTER TABLE {} DISABLE TRIGGER USER").format(to))
            found = connection.execute(
                "SELECT column_name FROM information_schema.columns"
                " WHERE table_schema = %s AND table_name = %s AND is_generated = 'NEVER'",
                [target, table],
            ).fetchall()
            names = sql.SQL(", ").join(sql.Identifier(name) for (name,) in found)
            copy = sql.SQL("INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE SELECT {} FROM {}")
            connection.execute(copy.format(to, names, names, of))
            if writer == "nobody":
                connection.execute(sql.SQL("ALTER TABLE {} ENABLE TRIGGER USER").format(to))
        connection.execute("SELECT setval(pg_get_serial_sequence(%s, 'id'), 1000)", [f"{target}.trading_decisions"])


def test_a_database_of_the_release_before_goes_on_where_it_stood(database_url: str) -> None:
    with running(database_url) as system:
        system.execute_order(symbol="BTC/USDT", side="BUY", quantity="0.01")
        system.execute_order(symbol="ETH/USDT", side="BUY", quantity="0.3")
        system.execute_order(symbol="BTC/USDT", side="SELL", quantity="0.004")
    psql(database_url, INSERT)  # waits in the table
    old = with_schema(database_url, "old")
    bring_to(old, BEFORE)
    copy_rows(database_url, "public", "old")
    held = "SELECT symbol, quantity, cost, entry_commission FROM paper_positions ORDER BY symbol"
    before = psql(database_url, held)
    assert not schema.is_current(old)

    assert schema.newest_version() == schema.upgrade(old)
    assert schema.is_current(old)
    path = "SET search_path = old, public"
    assert before == psql(database_url, path, held)
    assert [] == psql(database_url, path, "SELECT * FROM v_paper_ledger_check")
    with running(old) as system:
        until_all_ended(system.ledger_reader)
        assert {"executed": 4} == system.ledger_reader.outcomes()
        assert [] == system.ledger_reader.ledger_differences()
        halts.insert(old, "default", "to see that it can be", "me", halted=True)
        assert [("default", "to see that it can be")] == psql(old, "SELECT portfolio, reason FROM v_paper_halted")
    assert [] == psql(database_url, path, "SELECT * FROM paper_failures")
    assert [(1, 1)] == psql(
        database_url,
        path,
        "SELECT epoch, count(u) FROM paper_processes JOIN paper_uptime u USING (epoch) GROUP BY epoch",
    )


def test_a_table_that_was_adopted_by_the_release_before_names_retries_by_its_own_ids(embedded_url: str) -> None:
    psql(embedded_url, UUIDS, OLD.format("", "gen_random_uuid()", "gen_random_uuid()"))
    bring_to(embedded_url, BEFORE)
    schema.upgrade(embedded_url)
    assert [("uuid",)] == psql(embedded_url, RETRY_OF)
    ((id_,),) = psql(embedded_url, "SELECT id FROM trading_decisions WHERE decision = 'BUY'")
    retries.retry(embedded_url, str(id_))
    assert [("pending",)] == psql(embedded_url, f"SELECT status FROM trading_decisions WHERE retry_of = '{id_}'")


def test_a_reader_who_stays_in_a_transaction_is_named_and_not_waited_for_in_silence(
    embedded_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("persistence.connections.LOCK_TIMEOUT", "200ms")
    bring_to(embedded_url, BEFORE)
    with psycopg.connect(embedded_url, application_name="somebody's psql") as reader:
        reader.execute("SELECT count(*) FROM trading_decisions")
        with pytest.raises(DatabaseBusy, match=r"locks are held by session \d+ \(somebody's psql, role "):
            schema.upgrade(embedded_url)
        assert version_of(embedded_url) == BEFORE
    schema.upgrade(embedded_url)


def test_a_role_that_does_not_own_the_table_of_decisions_is_told_so(embedded_server: Server, embedded_url: str) -> None:
    bring_to(embedded_url, BEFORE)
    owner = f"owner_{secrets.token_hex(4)}"
    role = make_url(embedded_url).username
    with embedded_server.connect(make_url(embedded_url).database) as admin:
        for statement in (
            f"CREATE ROLE {owner}",
            f"ALTER TABLE trading_decisions OWNER TO {owner}",
            f"GRANT ALL ON trading_decisions TO {role}",
        ):
            admin.execute(statement)  # type: ignore[call-overload]
        try:
            with pytest.raises(DatabaseUnsuitable, match="must be owner of table trading_decisions"):
                schema.upgrade(embedded_url)
            assert version_of(embedded_url) == BEFORE
        finally:
            admin.execute(f"DROP OWNED BY {owner} CASCADE")  # type: ignore[call-overload]
            admin.execute(f"DROP ROLE {owner}")  # type: ignore[call-overload]


@pytest.mark.parametrize(
    "statement",
    [
        "DROP TABLE paper_halts CASCADE",
        "DROP TABLE paper_failures CASCADE",
        "DROP TABLE paper_processes",
        "DROP TABLE paper_uptime",
        "DROP TABLE paper_audits",
    ],
)
def test_a_table_of_a_later_file_that_is_missing_is_said_at_the_start(embedded_url: str, statement: str) -> None:
    schema.upgrade(embedded_url)
    psql(embedded_url, statement)
    with pytest.raises(DatabaseUnsuitable, match=f"table public.{statement.split()[2]} cannot be used"):
        schema.upgrade(embedded_url)
