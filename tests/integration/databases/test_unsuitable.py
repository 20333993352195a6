"""What a database must be like: `start`, `check` and the other commands refuse one with the same sentence."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from actors import TradingSystem
from console.cli import main
from domain.errors import DatabaseUnsuitable
from persistence import schema
from persistence.connections import RESTORING
from tests.support.database.server import url_of
from tests.support.database.servers import TIMESCALEDB, Server, ServerPool
from tests.support.system.running_system import running_system

ADOPTED = (
    "CREATE TABLE trading_decisions (id bigserial PRIMARY KEY, symbol text, decision text, confidence numeric,"
    ' reasoning text, current_price numeric, "timestamp" timestamptz)'
)
COLUMNS = "SELECT array_agg(attname ORDER BY attnum) FROM pg_attribute WHERE attrelid = 'trading_decisions'::regclass"


@contextmanager
def encoded(server: Server, encoding: str) -> Iterator[str]:
    """Make a database of this encoding, owned by the plain role; drop it afterwards."""
    params = conninfo_to_dict(server.create_database())
    name = f"{params['dbname']}_{encoding.lower()}"
    with server.connect() as admin:
        admin.execute(
            sql.SQL("CREATE DATABASE {} OWNER {} TEMPLATE template0 ENCODING {} LOCALE 'C'").format(
                sql.Identifier(name), sql.Identifier(str(params["user"])), sql.Literal(encoding)
            )
        )
    url = url_of(params | {"dbname": name})
    try:
        yield url
    finally:
        server.drop_database(url)
        server.drop_database(url_of(params))


def refusals(url: str, commands: list[list[str]], capsys: pytest.CaptureFixture[str]) -> set[str]:
    """Run commands; return the sentences with which they fail."""
    sentences = set()
    for command in commands:
        assert 1 == main([*command, "--json", f"--database-url={url}"]), command
        document = json.loads(capsys.readouterr().out)
        assert "database_unsuitable" == document["code"]
        sentences.add(document["error"])
    return sentences


STARTS = [["start", "--prices=simulated"], ["check", "--prices=simulated"], ["db", "upgrade"]]
OTHERS = [["status"], ["decide", "BUY", "BTC/USDT", "--confidence=1"], ["decisions"], ["positions"], ["report"]]


@pytest.mark.parametrize("encoding", ["SQL_ASCII", "LATIN1"])
def test_an_encoding_that_cannot_hold_every_text(
    embedded_server: Server, encoding: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with encoded(embedded_server, encoding) as url:
        sentences = refusals(url, [*STARTS, *OTHERS], capsys)
        with pytest.raises(DatabaseUnsuitable, match=f"has the encoding {encoding}, and the program needs UTF8"):
            TradingSystem.attach(url)
    (sentence,) = sentences
    assert "make a database with CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0" in sentence


def rule(connection: psycopg.Connection) -> str:
    connection.execute("CREATE TABLE notes (id bigint)")
    connection.execute("CREATE RULE noted AS ON UPDATE TO trading_decisions DO ALSO INSERT INTO notes VALUES (NEW.id)")
    return (
        "the rule noted changes what is written to table trading_decisions, and the program's statements fail with it: "
        "DROP RULE noted ON trading_decisions; use a trigger instead"
    )


def missing_column(connection: psycopg.Connection) -> str:
    connection.execute("ALTER TABLE paper_fills RENAME bid TO away")
    return 'table public.paper_fills cannot be used: column "bid" does not exist'


def read_only(connection: psycopg.Connection) -> str:
    name = sql.Identifier(connection.info.dbname)
    connection.execute(sql.SQL("ALTER DATABASE {} SET default_transaction_read_only = on").format(name))
    return "the database is read-only"


@pytest.mark.parametrize("change", [rule, missing_column, read_only], ids=lambda change: change.__name__)
def test_check_refuses_what_start_refuses_in_tables_of_the_newest_schema(
    embedded_url: str, change: Callable[[psycopg.Connection], str], capsys: pytest.CaptureFixture[str]
) -> None:
    schema.upgrade(embedded_url)
    with psycopg.connect(embedded_url) as connection:
        expected = change(connection)
    (sentence,) = {one.partition("LINE")[0] for one in refusals(embedded_url, STARTS[:2], capsys)}
    assert expected in sentence


def not_adoptable(connection: psycopg.Connection) -> str:
    connection.execute(ADOPTED)
    return "table public.trading_decisions cannot be adopted without column created_at"


def no_right(connection: psycopg.Connection) -> str:
    name = sql.Identifier(connection.info.dbname)
    connection.execute(sql.SQL("REVOKE CREATE ON DATABASE {} FROM CURRENT_USER").format(name))
    return "there is no schema own, and role"


@pytest.mark.parametrize("change", [not_adoptable, no_right], ids=lambda change: change.__name__)
def test_check_refuses_what_start_refuses_in_a_database_without_the_schema(
    empty_embedded_url: str,
    change: Callable[[psycopg.Connection], str],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with psycopg.connect(empty_embedded_url) as connection:
        expected = change(connection)
    if change is no_right:
        monkeypatch.setenv("PAPER_DATABASE_SCHEMA", "own")
    (sentence,) = refusals(empty_embedded_url, STARTS, capsys)
    assert expected in sentence


def test_a_check_before_the_first_start_changes_nothing(
    empty_embedded_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with psycopg.connect(empty_embedded_url, autocommit=True) as connection:
        connection.execute(ADOPTED.replace('"timestamp"', "created_at"))
        before = connection.execute(COLUMNS).fetchone()
        assert 0 == main(["check", "--prices=simulated", f"--database-url={empty_embedded_url}"])
        assert before == connection.execute(COLUMNS).fetchone()
        tables = connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone()
        assert (1,) == tables
    assert "schema is created or upgraded by the next start" in capsys.readouterr().out


def test_prices_of_another_source_are_refused_for_their_portfolios_alone(
    embedded_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with running_system(embedded_url) as system:
        system.execute_order(symbol="BTC/USDT", side="BUY", quantity="0.01")
    assert 0 == main(["check", "--offline", "--prices=ccxt", f"--database-url={embedded_url}"])
    assert "" == capsys.readouterr().err


def test_a_forgotten_end_of_a_restore_of_timescaledb(
    pool: ServerPool, timescale_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    schema.upgrade(timescale_url)
    with pool.get(TIMESCALEDB).connect() as connection:
        name = sql.Identifier(str(conninfo_to_dict(timescale_url)["dbname"]))
        connection.execute(sql.SQL("ALTER DATABASE {} SET timescaledb.restoring = 'on'").format(name))
    assert {RESTORING} == refusals(timescale_url, STARTS, capsys)
