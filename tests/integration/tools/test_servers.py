"""The servers that other tests stand on do what their description says."""

from __future__ import annotations

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from persistence import schema
from tests.support.database.servers import TIMESCALEDB, Server, ServerPool, Unavailable, url_of
from tests.support.system.load import feed
from tests.support.system.running_system import decision_rows


def number(url: str, query: str) -> int:
    with psycopg.connect(url, autocommit=True) as connection:
        row = connection.execute(query).fetchone()
        assert row is not None
        return int(row[0])


def test_database_belongs_to_a_plain_role(every_server: Server, every_url: str) -> None:
    with psycopg.connect(every_url) as connection:
        row = connection.execute(
            "SELECT 1, rolsuper, rolcreaterole, rolcreatedb, pg_get_userbyid(datdba) = current_user"
            " FROM pg_roles, pg_database WHERE rolname = current_user AND datname = current_database()"
        ).fetchone()
    if every_server.may_stop:
        assert row == (1, False, False, False, True)
    else:
        assert row is not None
        assert row[4]


def test_version_is_what_the_name_says(every_server: Server, every_url: str) -> None:
    if not every_server.may_stop:
        pytest.skip("whose TEST_TIMESCALEDB_URL it is chooses the version")
    version = number(every_url, "SELECT current_setting('server_version_num')")
    assert version // 10_000 == int(every_server.name.partition("-")[2])


def test_databases_are_separate_and_empty(every_server: Server) -> None:
    first, second = every_server.create_database(), every_server.create_database()
    with psycopg.connect(first) as connection:
        connection.execute("CREATE TABLE kept (a integer)")
    assert number(second, "SELECT count(*) FROM pg_class WHERE relname = 'kept'") == 0
    assert number(second, "SELECT count(*) FROM pg_extension WHERE extname = 'timescaledb'") == 0
    with psycopg.connect(first):  # an open connection does not keep a database
        every_server.drop_database(first)
    every_server.drop_database(second)
    with pytest.raises(psycopg.OperationalError, match="does not exist"):
        psycopg.connect(first)


REFUSED_COMMIT = """
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'refused'; END $$;
CREATE CONSTRAINT TRIGGER refused AFTER INSERT ON trading_decisions
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION refuse()
"""


def test_decisions_whose_commit_is_refused_leave_no_connection_open(embedded_url: str) -> None:
    schema.upgrade(embedded_url)
    with psycopg.connect(embedded_url) as owner:
        owner.execute(REFUSED_COMMIT)
    feed(embedded_url, decision_rows(2), patient=False)  # an open connection is a warning, and so an error
    assert 0 == number(embedded_url, "SELECT count(*) FROM trading_decisions")


def test_timescaledb_can_be_used_by_the_plain_role(every_server: Server, every_url: str) -> None:
    with psycopg.connect(every_url) as connection:
        loaded = connection.execute("SELECT current_setting('timescaledb.disable_load', true) IS NOT NULL").fetchone()
        assert loaded == (every_server.name == TIMESCALEDB,)
        if loaded == (False,):
            return
        connection.execute("CREATE EXTENSION IF NOT EXISTS timescaledb")
        connection.execute("CREATE TABLE readings (time timestamptz NOT NULL, value numeric)")
        connection.execute("SELECT create_hypertable('readings', 'time')")
        connection.execute("INSERT INTO readings SELECT now() - i * interval '10 days', i FROM generate_series(1, 9) i")
        assert connection.execute("SELECT count(*) FROM timescaledb_information.chunks").fetchall() >= [(9,)]


@pytest.mark.parametrize("immediate", [False, True])
def test_restart_keeps_data_and_url(every_server: Server, every_url: str, *, immediate: bool) -> None:
    with psycopg.connect(every_url) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS a")
    every_server.restart(immediate=immediate)
    assert number(every_url, "SELECT a FROM kept") == 42


def test_stopped_server_refuses_and_starts_again(every_server: Server, every_url: str) -> None:
    every_server.start()  # runs already: nothing happens
    every_server.stop()
    assert not every_server.answers()
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(every_url)
    every_server.start()
    assert number(every_url, "SELECT 1") == 1


def test_server_fixture_gives_databases(server: Server, database_url: str, embedded_url: str) -> None:
    assert number(database_url, "SELECT 1") == number(embedded_url, "SELECT 1") == 1
    assert database_url != embedded_url
    assert server.running


def test_configured_server_is_used_and_left_clean(monkeypatch: pytest.MonkeyPatch, embedded_server: Server) -> None:
    """A server that other people run: a role that is no superuser makes databases there, and nothing of them stays."""
    with embedded_server.connect() as admin:
        admin.execute("CREATE ROLE anybody LOGIN CREATEDB CREATEROLE")
        admin.execute("GRANT CONNECT ON DATABASE postgres TO anybody")  # which tests of roles take from everybody
        before = admin.execute("SELECT count(*) FROM pg_roles").fetchall()
    configured = conninfo_to_dict(embedded_server.admin_url) | {"user": "anybody", "password": "a b/c@d"}
    monkeypatch.setenv("TEST_TIMESCALEDB_URL", url_of(configured))
    servers = ServerPool()
    theirs = servers.get(TIMESCALEDB)
    url = theirs.create_database()
    assert number(url, "SELECT count(*) FROM pg_roles WHERE rolname = current_user AND NOT rolsuper") == 1
    assert conninfo_to_dict(url)["user"] != "anybody"
    with pytest.raises(Unavailable, match="may not stop"):
        theirs.stop()
    servers.close()
    with embedded_server.connect() as admin:
        assert admin.execute("SELECT count(*) FROM pg_roles").fetchall() == before
        admin.execute("DROP OWNED BY anybody")
        admin.execute("DROP ROLE anybody")


def test_configured_server_that_is_away_is_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_TIMESCALEDB_URL", "postgresql://nobody:secret@127.0.0.1:1/postgres")
    with pytest.raises(Unavailable, match="TEST_TIMESCALEDB_URL cannot be reached") as reason:
        ServerPool().get(TIMESCALEDB)
    assert "secret" not in str(reason.value)


def test_missing_timescaledb_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.support.database.timescaledb.docker_image", lambda: None)
    monkeypatch.delenv("TEST_TIMESCALEDB_URL", raising=False)
    monkeypatch.delenv("TIMESCALEDB_SCRIPT", raising=False)
    servers = ServerPool()
    with pytest.raises(Unavailable, match="TIMESCALEDB_SCRIPT=1"):
        servers.get(TIMESCALEDB)
    assert list(servers.missing) == [TIMESCALEDB]


@pytest.mark.parametrize(
    "params",
    [
        {"host": "127.0.0.1", "port": "5433", "user": "a@b", "password": "p:/?#% w", "dbname": "d"},
        {"host": "/tmp/some folder", "user": "paper", "dbname": "d/e"},
        {"host": "::1", "user": "u", "dbname": "d", "sslmode": "require"},
        {"host": "one,two", "port": "1,2", "user": "u", "dbname": "d"},
        {"dbname": "d"},
    ],
)
def test_url_says_what_libpq_reads(params: dict[str, str]) -> None:
    assert conninfo_to_dict(url_of(params)) == params
