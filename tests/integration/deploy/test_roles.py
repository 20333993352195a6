"""deploy/timescaledb/roles.sh makes a role for each task, and the program gives it the rights for that alone."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Iterator

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from actors import Decision, TradingSystem
from persistence import schema
from persistence.roles.administration import RoleAdministration
from persistence.roles.rights import Role
from tests.support.database.roles import PASSWORD, make_reader, reader_url, remove_role, run_script
from tests.support.database.server import url_of
from tests.support.database.servers import Server
from tests.support.system.running_system import running_system


@pytest.fixture
def url(server: Server) -> Iterator[str]:
    """A database whose tables came after the reader, as on a new volume."""
    if not server.may_stop:
        pytest.skip("roles are made on servers of the tests' own alone")
    made = server.create_database()
    assert "may read" in make_reader(server, made, "the first one")
    schema.upgrade(made)
    yield made
    remove_role(server, made)
    server.drop_database(made)


@pytest.mark.slow
def test_the_superuser_who_makes_it_runs_nothing_that_is_planted(server: Server, url: str) -> None:
    with psycopg.connect(url) as owner:  # it fits better than PostgreSQL's own, which takes anything
        owner.execute(
            "CREATE FUNCTION public.format(text, name) RETURNS text LANGUAGE plpgsql AS"
            " $$ BEGIN RAISE EXCEPTION 'planted ran as %', current_user; END $$"
        )
    assert "may read" in make_reader(server, url)


def test_it_reads_everything_and_does_nothing_else(server: Server, url: str) -> None:
    with psycopg.connect(url) as owner:
        owner.execute("CREATE TABLE a_later_one AS SELECT 42 AS answer")
        owner.execute("CREATE VIEW v_a_later_one AS SELECT * FROM a_later_one")
        relations = owner.execute(
            "SELECT oid::regclass::text FROM pg_class WHERE relnamespace = 'public'::regnamespace"
            " AND relkind IN ('r', 'v') AND pg_get_userbyid(relowner) = current_user"
        ).fetchall()
    assert {"trading_decisions", "v_paper_ledger_check", "a_later_one", "v_a_later_one"} < {
        name for (name,) in relations
    }
    with psycopg.connect(reader_url(url), autocommit=True) as reader:
        for (name,) in relations:
            reader.execute(f"SELECT count(*) FROM {name}")
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            reader.execute("CREATE TEMP TABLE mine (number int)")
        for statement in (
            "INSERT INTO trading_decisions (symbol, decision, confidence) VALUES ('BTC/USDT', 'BUY', 1)",
            "UPDATE paper_trading_config SET slippage_pct = 0",
            "DELETE FROM market_prices",
            "CREATE TABLE mine (number int)",
            "SELECT rolpassword FROM pg_authid",
        ):
            # Read-only transactions are a setting that every session can change; privileges are not.
            with reader.transaction(force_rollback=True):
                reader.execute("SET TRANSACTION READ WRITE")
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    reader.execute(statement)


def test_run_again_it_changes_the_password(server: Server, url: str) -> None:
    make_reader(server, url)
    with server.connect() as admin:
        row = admin.execute("SELECT rolpassword FROM pg_authid WHERE rolname = 'reader'").fetchone()
    assert row is not None
    # RFC 5803: SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey
    secret = re.fullmatch(r"SCRAM-SHA-256\$(\d+):([^$]+)\$([^:]+):.*", row[0])
    assert secret is not None
    salted = hashlib.pbkdf2_hmac("sha256", PASSWORD.encode(), base64.b64decode(secret[2]), int(secret[1]))
    key = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    assert base64.b64encode(key).decode() == secret[3]


def test_without_a_password_there_is_none(embedded_server: Server) -> None:
    made = embedded_server.create_database()
    assert "no role reader is made" in make_reader(embedded_server, made, "")
    with embedded_server.connect() as admin:
        assert [] == admin.execute("SELECT FROM pg_roles WHERE rolname = 'reader'").fetchall()
    embedded_server.drop_database(made)


def test_service_and_sender_work_with_the_rights_that_the_owner_gives(server: Server) -> None:
    if not server.may_stop:
        pytest.skip("roles are made on servers of the tests' own alone")
    url = server.create_database()
    names = ("paper_service", "paper_sender")
    try:
        printed = run_script(server, url, owner_password="o", service_password="se", sender_password=PASSWORD)
        assert "the role paper owns database" in printed
        assert "READER_PASSWORD is not set, so no role reader is made" in printed
        service, sender = (url_of(conninfo_to_dict(url) | {"user": name}) for name in names)
        # As the container `upgrade` does it, as often as it starts.
        for _ in range(2):
            schema.upgrade(url)
            RoleAdministration(url).adopt(Role("paper_service", serves=True))
            RoleAdministration(url).adopt(Role("paper_sender", sends=True))
        with running_system(service) as system, TradingSystem.attach(sender) as client:
            sent = Decision(symbol="BTC/USDT", decision="BUY", confidence="0.75")
            assert "executed" == client.submit(sent).get(timeout=20).status
            assert [] == system.ledger_reader.ledger_differences()
        with psycopg.connect(service) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("DROP TABLE paper_fills CASCADE")
        with server.connect(str(conninfo_to_dict(url)["dbname"])) as admin:
            admin.execute("CREATE ROLE stranger LOGIN")
        with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
            psycopg.connect(url_of(conninfo_to_dict(url) | {"user": "stranger"}))
    finally:
        with server.connect() as admin:  # the owner of the other tests' databases is as it was
            admin.execute("ALTER ROLE paper CONNECTION LIMIT -1")
            admin.execute(sql.SQL("ALTER ROLE paper PASSWORD {}").format(sql.Literal(server._password)))
        for name in (*names, "stranger"):
            remove_role(server, url, name)
        server.drop_database(url)
