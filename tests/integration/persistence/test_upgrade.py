"""The upgrade of databases of earlier versions, with rows in them, to the present schema.

Two kinds: the dump of a database that version 0.1.0 served (tests/support/database/dumps), and the schema of an earlier
migration, which is filled with rows of the present one.
"""

from __future__ import annotations

import json
import secrets
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from alembic import command
from alembic.script import ScriptDirectory
from psycopg import sql
from sqlalchemy import make_url

from actors import TradingSystem
from console.cli import main
from domain.errors import DatabaseBusy, DatabaseUnsuitable
from persistence import schema
from persistence.connections import engine_for
from persistence.lease_session import APPLICATION_NAME, lock_key
from persistence.migrations import runner
from persistence.sessions.address import schema_of, with_schema
from persistence.storage.timescale import adopt_timescale
from persistence.stores import halts, retries
from tests.integration.persistence.test_adoption import OLD, UUIDS, psql
from tests.support.database import dumps
from tests.support.database.servers import Server
from tests.support.system.running_system import isolated_settings, running_system, until_all_ended

EARLIER_VERSION = "0004_guards"
WRITERS = {
    # The tables that are filled, in an order that the foreign keys permit, each with the actor that may write it.
    "paper_trading_config": None,
    "trading_decisions": None,
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

PENDING_ID = 13
"""The decision of the dump that has no outcome; those before it have one."""
KEPT = {
    "outcomes": "SELECT id, status, outcome_reason, order_id, processed_at FROM trading_decisions WHERE id < 13"
    " ORDER BY id",
    "orders": "SELECT order_id, portfolio, seq, symbol, side, quantity, equity FROM paper_orders"
    " WHERE decision_id::text <> '13' ORDER BY portfolio, seq",
    "fills": "SELECT order_id, fill_no, quantity, price, commission, cash_delta, asset_delta, filled_at"
    " FROM paper_fills WHERE order_id IN (SELECT order_id FROM trading_decisions WHERE id < 13) ORDER BY filled_at",
    "trades": "SELECT position_id, portfolio, symbol, quantity, entry_price, exit_price, net_pnl, closes, exit_time"
    " FROM paper_trades ORDER BY exit_time",
    "positions": "SELECT position_id, portfolio, symbol, side, quantity, cost, entry_commission, entry_price, opened_at"
    " FROM paper_positions WHERE symbol = 'ETH/USDT' ORDER BY portfolio",
    "equity": "SELECT time, portfolio, cash, positions_value, total_value FROM paper_portfolio_snapshots"
    " WHERE time < '2024-02-01' ORDER BY time, portfolio",
    "failures": "SELECT epoch, number, at, kind, generation, actor, decision_id, error, traceback FROM paper_failures"
    " ORDER BY epoch, number",
    "halts": "SELECT id, at, portfolio, halted, reason FROM paper_halts ORDER BY id",
    "run": "SELECT name, started_at, epoch, version, settings, criteria FROM paper_validation_runs",
    "processes": "SELECT epoch, holder, version, settings, started_at FROM paper_processes WHERE epoch = 1",
}
"""What no later version may change, by columns that each later schema has."""
FILES = "SELECT name, pg_relation_filenode(name) FROM unnest(ARRAY['trading_decisions', 'paper_trading_config']) name"
JUDGED = (
    "SELECT DISTINCT f.real_prices, s.price_source, s.real_prices FROM paper_fills f JOIN v_paper_fill_sources s"
    " USING (order_id, fill_no)"
)
CASH = "SELECT portfolio, current_capital FROM paper_trading_config ORDER BY portfolio"


def upgrade_to(url: str, version: str) -> None:
    """Create or upgrade the schema as the program of an earlier version did at its start."""
    engine = engine_for(url, "schema")
    with engine.connect() as connection:
        with connection.begin():
            schema._create(connection, schema_of(url))
            command.upgrade(runner.config_for(connection, schema_of(url)), version)
        adopt_timescale(connection, schema.read_file("timescale.sql"))
    engine.dispose()


def test_the_versions_are_those_that_alembic_finds(embedded_url: str) -> None:
    engine = engine_for(embedded_url, "schema")
    with engine.connect() as connection:
        scripts = ScriptDirectory.from_config(runner.config_for(connection, "public"))
        assert [script.revision for script in scripts.walk_revisions()] == list(schema.versions()[::-1])
    engine.dispose()


def version_of(url: str) -> str | None:
    engine = engine_for(url, "schema")
    with engine.connect() as connection:
        version = schema.current_version(connection, schema_of(url))
    engine.dispose()
    return version


def copy_rows(url: str, source: str, target: str) -> None:
    """Copy the rows of one schema into another, older one; the source has all columns of the target."""
    with psycopg.connect(url) as connection:
        for table, writer in WRITERS.items():
            target_table, source_table = sql.Identifier(target, table), sql.Identifier(source, table)
            connection.execute("SELECT set_config('paper.writer', %s, true)", [writer or ""])
            if writer is None:  # the triggers of these tables accept new rows only
                connection.execute(sql.SQL("ALTER TABLE {} DISABLE TRIGGER USER").format(target_table))
            columns = connection.execute(
                "SELECT column_name FROM information_schema.columns"
                " WHERE table_schema = %s AND table_name = %s AND is_generated = 'NEVER'",
                [target, table],
            ).fetchall()
            names = sql.SQL(", ").join(sql.Identifier(name) for (name,) in columns)
            # Earlier orders have their own marks.
            values = sql.SQL(", ").join(
                sql.SQL("'{}'::jsonb") if (table, name) == ("paper_orders", "marks") else sql.Identifier(name)
                for (name,) in columns
            )
            copy = sql.SQL("INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE SELECT {} FROM {}")
            connection.execute(copy.format(target_table, names, values, source_table))
            if writer is None:
                connection.execute(sql.SQL("ALTER TABLE {} ENABLE TRIGGER USER").format(target_table))
        connection.execute("SELECT setval(pg_get_serial_sequence(%s, 'id'), 1000)", [f"{target}.trading_decisions"])


def test_a_database_of_an_earlier_schema_is_continued(database_url: str) -> None:
    with running_system(database_url) as system:
        system.execute_order(symbol="BTC/USDT", side="BUY", quantity="0.01")
        system.execute_order(symbol="ETH/USDT", side="BUY", quantity="0.3")
        system.execute_order(symbol="BTC/USDT", side="SELL", quantity="0.004")
    psql(database_url, INSERT)  # pending
    old = with_schema(database_url, "old")
    upgrade_to(old, EARLIER_VERSION)
    copy_rows(database_url, "public", "old")
    positions = "SELECT symbol, quantity, cost, entry_commission FROM paper_positions ORDER BY symbol"
    before = psql(database_url, positions)
    assert not schema.is_current(old)

    assert schema.newest_version() == schema.upgrade(old)
    assert schema.is_current(old)
    path = "SET search_path = old, public"
    assert before == psql(database_url, path, positions)
    assert [] == psql(database_url, path, "SELECT * FROM v_paper_ledger_check")
    with running_system(old) as system:
        until_all_ended(system.ledger_reader)
        assert {"executed": 4} == system.ledger_reader.outcomes()
        assert [] == system.ledger_reader.ledger_differences()
        halts.insert(old, "default", "a test", "a tester", halted=True)
        assert [("default", "a test")] == psql(old, "SELECT portfolio, reason FROM v_paper_halted")
    assert [] == psql(database_url, path, "SELECT * FROM paper_failures")
    assert [(1, 1)] == psql(
        database_url,
        path,
        "SELECT epoch, count(u) FROM paper_processes JOIN paper_uptime u USING (epoch) GROUP BY epoch",
    )


def kept_rows(url: str) -> dict[str, list[tuple[object, ...]]]:
    return {name: psql(url, statement) for name, statement in KEPT.items()}


def test_the_present_program_continues_a_database_that_0_1_0_left(
    database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    dumps.restore(database_url, "0.1.0")
    before, cash = kept_rows(database_url), dict(psql(database_url, CASH))
    assert {"default": Decimal("8806.7204061"), "spring": Decimal("4201.715469506")} == cash
    statuses = [row[1] for row in before["outcomes"]]
    assert {"executed": 5, "rejected": 3, "ignored": 3, "expired": 1} == {
        name: statuses.count(name) for name in statuses
    }

    files = psql(database_url, FILES)
    assert schema.newest_version() == schema.upgrade(database_url)
    assert schema.is_current(database_url)
    assert before == kept_rows(database_url)
    # The new columns rewrote no decision and no portfolio, and the old fills stay marked.
    assert files == psql(database_url, FILES)
    assert [(None, "simulated", False)] == psql(database_url, JUDGED)
    assert [] == psql(database_url, "SELECT * FROM v_paper_ledger_check")

    # 0: the pending decision is years old, and is traded all the same.
    changes: dict[str, Any] = {"prices": "simulated", "price_interval": 0.1, "max_decision_age": 0}
    with TradingSystem.start(isolated_settings(database_url, **changes)) as system:
        until_all_ended(system.ledger_reader)
        assert [] == system.ledger_reader.ledger_differences()
        assert 0 == main(["status", "--json", "--database-url", database_url])
        status = json.loads(capsys.readouterr().out)
    assert before == kept_rows(database_url)
    assert [] == psql(database_url, "SELECT * FROM v_paper_ledger_check")
    ((outcome, orders, spent),) = psql(
        database_url,
        "SELECT status, (SELECT count(*) FROM paper_orders WHERE decision_id = d.id), f.cash_delta"
        f" FROM trading_decisions d JOIN paper_fills f USING (order_id) WHERE id = {PENDING_ID}",
    )
    assert ("executed", 1) == (outcome, orders)
    assert isinstance(spent, Decimal)
    assert {"default": cash["default"] + spent, "spring": cash["spring"]} == dict(psql(database_url, CASH))
    assert (True, {"executed": 6, "rejected": 3, "ignored": 3, "expired": 1}) == (
        status["running"],
        status["decisions"],
    )


@pytest.mark.slow
def test_the_present_report_reads_what_0_1_0_stored(database_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    dumps.restore(database_url, "0.1.0")
    schema.upgrade(database_url)
    assert 0 == main(["report", "--json", "--to", "2024-01-12", "--database-url", database_url])
    first, second = json.loads(capsys.readouterr().out)["portfolios"]
    assert ("default", "10000", "9991.3664061") == (first["portfolio"], first["initial_capital"], first["closing"])
    assert ("spring", "5000", "4998.370555288") == (second["portfolio"], second["initial_capital"], second["closing"])
    # one round trip: 0.01 BTC/USDT, sold in two parts
    results = {name: first["results"][name] for name in ("total_trades", "gross_pnl", "net_pnl", "total_commission")}
    assert results == {
        "total_trades": 1, "gross_pnl": "-2.23224", "net_pnl": "-5.3378389", "total_commission": "4.2923539",
    }  # fmt: skip


def test_a_table_that_an_earlier_version_adopted_names_retries_by_its_own_ids(embedded_url: str) -> None:
    psql(embedded_url, UUIDS, OLD.format("", "gen_random_uuid()", "gen_random_uuid()"))
    upgrade_to(embedded_url, EARLIER_VERSION)
    schema.upgrade(embedded_url)
    assert [("uuid",)] == psql(embedded_url, RETRY_OF)
    ((id_,),) = psql(embedded_url, "SELECT id FROM trading_decisions WHERE decision = 'BUY'")
    retries.retry(embedded_url, str(id_))
    assert [("pending",)] == psql(embedded_url, f"SELECT status FROM trading_decisions WHERE retry_of = '{id_}'")


def test_a_session_that_holds_a_lock_during_the_upgrade_is_named(
    embedded_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("persistence.connections.LOCK_TIMEOUT", "200ms")
    upgrade_to(embedded_url, EARLIER_VERSION)
    with psycopg.connect(embedded_url, application_name="Anna's psql") as reader:
        reader.execute("SELECT count(*) FROM trading_decisions")
        with pytest.raises(DatabaseBusy, match=r"locks are held by session \d+ \(Anna's psql, role "):
            schema.upgrade(embedded_url)
        assert version_of(embedded_url) == EARLIER_VERSION
    schema.upgrade(embedded_url)


def test_a_role_that_does_not_own_trading_decisions_gets_a_message(embedded_server: Server, embedded_url: str) -> None:
    upgrade_to(embedded_url, EARLIER_VERSION)
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
            assert version_of(embedded_url) == EARLIER_VERSION
        finally:
            admin.execute(f"DROP OWNED BY {owner} CASCADE")  # type: ignore[call-overload]
            admin.execute(f"DROP ROLE {owner}")  # type: ignore[call-overload]


@pytest.mark.parametrize(
    "statement",
    [
        "DROP TABLE paper_halts CASCADE",
        "DROP TABLE paper_failures CASCADE",
        "DROP TABLE paper_processes CASCADE",
        "DROP TABLE paper_uptime",
        "DROP TABLE paper_audits",
        "DROP TABLE paper_portfolio_rules",
        "DROP TABLE paper_marks",
    ],
)
def test_a_missing_table_of_a_later_migration_is_reported_at_the_start(embedded_url: str, statement: str) -> None:
    schema.upgrade(embedded_url)
    psql(embedded_url, statement)
    with pytest.raises(DatabaseUnsuitable, match=f"table public.{statement.split()[2]} cannot be used"):
        schema.upgrade(embedded_url)


@pytest.mark.slow
@pytest.mark.parametrize("words", [["status"], ["db", "upgrade"]], ids=" ".join)
def test_a_command_of_a_newer_program_says_that_the_service_is_to_be_restarted(
    embedded_url: str, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    dumps.restore(embedded_url, "0.1.0")
    with psycopg.connect(embedded_url, autocommit=True, application_name=APPLICATION_NAME) as service:
        service.execute("SELECT pg_advisory_lock(%s)", [lock_key(embedded_url)])
        service.execute("UPDATE paper_lease_renewal SET renewed_at = clock_timestamp()")
        assert 3 == main([*words, "--database-url", embedded_url])
    assert capsys.readouterr().err.endswith(
        ". Its tables are older than this program: stop that one and start this one, which upgrades them\n"
    )
