"""Every session has the settings that the program needs, whatever the database, role, URL or shell set."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from actors import Decision
from console.cli import main
from domain.errors import DatabaseUnsuitable
from persistence.connections import connect, engine_for, transaction
from persistence.embedded.server import EmbeddedServer
from persistence.sessions import session
from persistence.sessions.address import dsn, with_schema
from tests.support.database import hostile_settings
from tests.support.database.hostile_settings import SHELL, WRONG_SHELL
from tests.support.database.servers import Server
from tests.support.embedded.backups import back_up, restore
from tests.support.slow_cases import slow_after_first
from tests.support.system.running_system import assert_sound, running_system

WAYS = [hostile_settings.set_by_database, hostile_settings.set_by_role, hostile_settings.set_by_url]
EXPECTED = {
    "client_encoding": "UTF8",
    "datestyle": "ISO, MDY",
    "intervalstyle": "postgres",
    "timezone": "UTC",
    "search_path": "public,pg_temp",
    "idle_session_timeout": "0",
    "standard_conforming_strings": "on",
    "extra_float_digits": "1",
    "default_transaction_isolation": "read committed",
    "paper.writer": "PositionKeeper",
    "lock_timeout": "5s",
}
ROCKET = Decision(
    symbol="BTC/USDT", decision="BUY", confidence="0.9", quantity="0.001", strategy="momentum 🚀", reasoning="Größe €"
)


def settings_of(connection: psycopg.Connection) -> dict[str, str]:
    """Return the settings of a session as text."""
    settings = {}
    for name in EXPECTED:
        row = connection.execute("SELECT current_setting(%s)", [name]).fetchone()
        assert row is not None
        settings[name] = row[0]
    return settings


def both_kinds_of(url: str) -> list[dict[str, str]]:
    """Return the settings of a separate connection, and of a pooled one that was returned once."""
    with connect(url, "test", writer="PositionKeeper") as connection:
        alone = settings_of(connection)
    engine = engine_for(url, "test", writer="PositionKeeper")
    try:
        with transaction(engine) as cursor:
            cursor.execute("SELECT 1")
        with transaction(engine) as cursor:
            return [alone, settings_of(cursor.connection)]
    finally:
        engine.dispose()


@pytest.mark.parametrize("way", slow_after_first(WAYS), ids=lambda way: way.__name__)
def test_settings_of_database_role_and_url_have_no_effect(database_url: str, way: Callable[[str], str]) -> None:
    assert both_kinds_of(way(database_url)) == [EXPECTED, EXPECTED]


def test_variables_of_the_shell_have_no_effect(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SHELL.items():
        monkeypatch.setenv(name, value)
    assert both_kinds_of(database_url) == [EXPECTED, EXPECTED]


def test_a_schema_of_its_own_comes_first_and_temporary_tables_last(database_url: str) -> None:
    hostile_settings.set_by_database(database_url)
    assert both_kinds_of(with_schema(database_url, "own")) == [{**EXPECTED, "search_path": "own,public,pg_temp"}] * 2


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_a_decision_that_latin1_cannot_hold_is_executed(
    database_url: str, way: Callable[[str], str], capsys: pytest.CaptureFixture[str]
) -> None:
    url = way(database_url)
    with running_system(url) as system:
        assert system.submit(ROCKET).get(timeout=20).status == "executed"
        assert (
            main(["decide", "BUY", "ETH/USDT", "--confidence=0.9", "--strategy=🚀", "--wait", f"--database-url={url}"])
            == 0
        )
        assert main(["decisions", f"--database-url={url}"]) == 0
        assert main(["status", f"--database-url={url}"]) == 0
        assert [row["strategy"] for row in system.ledger_reader.decisions()] == ["🚀", "momentum 🚀"]
        assert_sound(system.ledger_reader, 2)
    assert capsys.readouterr().err == ""


def test_a_backup_holds_what_latin1_does_not(embedded_server: Server, embedded_url: str, tmp_path: Path) -> None:
    with running_system(embedded_url) as system:
        assert system.submit(ROCKET).get(timeout=20).status == "executed"
    hostile_settings.set_by_database(embedded_url)
    made = back_up(embedded_url.replace("paper@", "postgres@", 1), tmp_path / "b")
    target = embedded_server.create_database()
    hostile_settings.set_by_database(target)
    assert restore(target, tmp_path / "b").contents == made.contents
    with connect(target, "test") as connection:
        assert connection.execute("SELECT strategy, reasoning FROM trading_decisions").fetchall() == [
            ("momentum 🚀", "Größe €")
        ]
    embedded_server.drop_database(target)


def test_a_setting_that_cannot_be_set_is_an_error(embedded_url: str) -> None:
    with pytest.raises(DatabaseUnsuitable) as refused:  # the server returns another spelling, as a pooler might
        session.open_session({**session.SETTINGS, "DateStyle": "german"}, dsn(embedded_url))
    assert str(refused.value) == (
        "sessions with this database have DateStyle = 'German, DMY' although the program sets 'german', which it needs:"
        " connect it to the server itself, or to a pooler that passes on a session's settings"
    )
    with pytest.raises(DatabaseUnsuitable) as unknown:
        session.open_session({"nonsense": "1"}, dsn(embedded_url))
    assert str(unknown.value) == (
        'the settings of a session with this database cannot be set: unrecognized configuration parameter "nonsense"'
    )


def test_a_pooler_that_hides_reported_settings_is_an_error(embedded_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(psycopg.ConnectionInfo, "parameter_status", lambda *_: None)
    with pytest.raises(DatabaseUnsuitable, match="have client_encoding = None although the program sets"):
        connect(embedded_url, "test")
    with pytest.raises(DatabaseUnsuitable, match="have client_encoding = None although the program sets"):
        both_kinds_of(embedded_url)


def test_variables_of_the_shell_do_not_reach_the_embedded_server(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in WRONG_SHELL.items():
        monkeypatch.setenv(name, value)
    server = EmbeddedServer.attach(home)
    try:
        assert both_kinds_of(server.url) == [EXPECTED, EXPECTED]
        assert back_up(server.backup_url, tmp_path / "b").contents.decisions == 0
        assert {name: os.environ[name] for name in WRONG_SHELL} == WRONG_SHELL
    finally:
        server.release()
