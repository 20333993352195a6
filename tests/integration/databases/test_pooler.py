"""A real pgbouncer: session pooling serves all, transaction pooling the clients; nothing goes to another system."""

from __future__ import annotations

from uuid import UUID

import psycopg
import pytest
from psycopg import sql

from actors import Decision, TradingSystem
from console.cli import main
from domain.errors import DatabaseUnsuitable
from persistence import schema
from persistence.connections import connect, engine_for, transaction
from persistence.sessions.address import with_schema
from persistence.sessions.session import OWN_SESSION_NEEDED, has_own_session
from tests.support.database import hostile_settings
from tests.support.database.pooler import pooled
from tests.support.slow_cases import slow_after_first
from tests.support.system.running_system import assert_sound, running_system

DROPPED = "ignore_startup_parameters = options"
DECIDE = ["decide", "BUY", "ETH/USDT", "--confidence=0.9", "--quantity=0.01", "--strategy=Größe 🚀", "--wait"]


def set_hostile(url: str) -> None:
    """Set hostile settings for the database, but none that ends the pooler's own idle sessions."""
    hostile_settings.set_by_database(url)
    with psycopg.connect(url) as connection:
        name = sql.Identifier(connection.info.dbname)
        connection.execute(sql.SQL("ALTER DATABASE {} RESET idle_session_timeout").format(name))


def buy(number: int) -> Decision:
    return Decision(uid=UUID(int=number), symbol="BTC/USDT", decision="BUY", confidence="0.9", quantity="0.001")


def strategies(url: str, schema_name: str) -> list[str | None]:
    with psycopg.connect(url, client_encoding="utf8") as connection:
        connection.execute("SELECT set_config('search_path', %s, true)", [schema_name])
        return [row[0] for row in connection.execute("SELECT strategy FROM trading_decisions ORDER BY id")]


@pytest.mark.parametrize("more", slow_after_first([[], [DROPPED]]), ids=["refuses options", "drops options"])
def test_session_pooling_serves_service_and_clients(
    embedded_url: str, more: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    set_hostile(embedded_url)
    monkeypatch.setenv("PAPER_DATABASE_SCHEMA", "own")
    with pooled(embedded_url, "session", *more) as pooler_url:
        url = with_schema(pooler_url, "own")
        with running_system(url) as system, TradingSystem.attach(url) as attached:
            assert "executed" == system.submit(buy(1)).get(timeout=20).status
            assert "executed" == attached.submit(buy(2)).get(timeout=20).status
            assert 0 == main([*DECIDE, f"--database-url={pooler_url}"])
            assert 0 == main(["positions", f"--database-url={pooler_url}"])
            assert_sound(system.ledger_reader, 3)
    assert [None, None, "Größe 🚀"] == strategies(embedded_url, "own")


@pytest.mark.slow
@pytest.mark.parametrize("more", [[], [DROPPED]], ids=["refuses options", "drops options"])
def test_transaction_pooling_serves_clients_of_the_right_schema(
    embedded_url: str, more: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    set_hostile(embedded_url)
    schema.upgrade(embedded_url)  # another system, in the schema that is used where the setting is lost
    monkeypatch.setenv("PAPER_DATABASE_SCHEMA", "own")
    own = with_schema(embedded_url, "own")
    with running_system(own) as system, pooled(embedded_url, "transaction", *more) as pooler_url:
        with TradingSystem.attach(with_schema(pooler_url, "own")) as attached:
            for number in range(1, 9):  # more than the five after which psycopg prepares a statement
                assert "executed" == attached.submit(buy(number)).get(timeout=20).status
        assert 0 == main([*DECIDE, f"--database-url={pooler_url}"])
        assert 0 == main(["decisions", f"--database-url={pooler_url}"])
        assert_sound(system.ledger_reader, 9)
        with psycopg.connect(pooler_url, prepare_threshold=None) as connection:  # no setting is left to others
            assert ("nowhere",) == connection.execute("SHOW search_path").fetchone()
    assert [] == strategies(embedded_url, "public")
    assert "Größe 🚀" == strategies(embedded_url, "own")[-1]


def test_transaction_pooling_is_refused_by_the_service_in_one_sentence(
    embedded_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pooled(embedded_url, "transaction") as url:
        with pytest.raises(DatabaseUnsuitable) as refused, running_system(url):
            pass
        assert OWN_SESSION_NEEDED == str(refused.value)
        for command in (["check", "--prices=simulated"], ["start", "--prices=simulated"], ["db", "upgrade"]):
            assert 1 == main([*command, f"--database-url={url}"])
            assert capsys.readouterr().err.endswith(f": {OWN_SESSION_NEEDED}\n")
    with psycopg.connect(embedded_url) as connection:
        assert (None,) == connection.execute("SELECT to_regclass('trading_decisions')").fetchone()


@pytest.mark.parametrize("round_robin", [False, True])
@pytest.mark.parametrize("mode", ["session", "transaction"])
def test_which_pooler_gives_a_session_of_its_own(embedded_url: str, mode: str, round_robin: bool) -> None:
    with pooled(embedded_url, mode, round_robin=round_robin) as url:
        open_ones = [connect(url, "test") for _ in range(3)]
        for connection in open_ones:  # each keeps a session for now, so that the pooler has three
            connection.execute("BEGIN")
        for connection in open_ones:
            connection.execute("ROLLBACK")
        assert (mode == "session") == has_own_session(open_ones[0], lambda: connect(url, "test"))
        for connection in open_ones:
            connection.close()


def test_settings_in_the_options_of_the_url_hold_behind_a_pooler(embedded_url: str) -> None:
    with pooled(embedded_url, "transaction") as url:
        engine = engine_for(f"{url}?options=-c%20work_mem%3D7MB%20-cpaper.note%3Da%5C%20b", "test", writer="Sizer")
        names = ("work_mem", "paper.note", "paper.writer", "search_path", "TimeZone")
        with transaction(engine) as cursor:
            values = [cursor.execute("SELECT current_setting(%s)", [name]).fetchone() for name in names]
        engine.dispose()
    assert [("7MB",), ("a b",), ("Sizer",), ("public, pg_temp",), ("UTC",)] == values
