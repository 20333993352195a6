"""The embedded server's superuser runs no function, operator or cast that the owner of the database made, and neither
does the role that writes backups, which is no superuser."""

from __future__ import annotations

import re
from pathlib import Path

import psycopg
import pytest

from console.cli import main
from persistence.embedded.server import EmbeddedServer
from persistence.sessions.session import open_privileged_session
from tests.support.embedded.backups import back_up

TYPES = ("name", "text", "oid", '"char"', "bigint", "integer", "boolean")
OPERATORS = ("=", "<>", "!~", "~", "<", ">")
PLANT_FUNCTION = """
CREATE FUNCTION public.planted_{number}({left}, {right}) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN RAISE LOG 'planted ran as %, {left} {name} {right}', current_user; RETURN true; END $$
"""
PLANT_OPERATOR = (
    "CREATE OPERATOR public.{name} (LEFTARG = {left}, RIGHTARG = {right}, FUNCTION = public.planted_{number})"
)
PLANT_NAMED = """
CREATE FUNCTION public.{name} RETURNS {result} LANGUAGE plpgsql AS $$
BEGIN RAISE LOG 'planted ran as %, {name}', current_user; RETURN {value}; END $$
"""
FUNCTIONS = (
    ("count(anyelement)", "bigint", "0"),
    ("pg_export_snapshot(text DEFAULT '')", "text", "''"),
    ("set_config(text, text, integer)", "text", "''"),
    ("current_setting(name)", "text", "''"),
)
PLANT_CAST = (
    "CREATE TYPE public.planted AS (number integer)",
    (
        "CREATE FUNCTION public.planted_cast(public.planted) RETURNS text LANGUAGE plpgsql AS"
        " $$ BEGIN RAISE LOG 'planted ran as %, cast', current_user; RETURN ''; END $$"
    ),
    "CREATE CAST (public.planted AS text) WITH FUNCTION public.planted_cast(public.planted) AS IMPLICIT",
    "CREATE TABLE public.cast_rows (a public.planted)",
    "INSERT INTO public.cast_rows VALUES (ROW(1))",
)


def plant(url: str) -> None:
    """Put operators, functions and a cast into ``public`` that PostgreSQL prefers to its own for some calls."""
    kinds = [(name, left, right) for name in OPERATORS for left in TYPES for right in TYPES]
    with psycopg.connect(url) as owner:
        for number, (name, left, right) in enumerate(kinds):
            values = {"number": number, "name": name, "left": left, "right": right}
            owner.execute(PLANT_FUNCTION.format(**values))  # type: ignore[call-overload]
            owner.execute(PLANT_OPERATOR.format(**values))  # type: ignore[call-overload]
        for name, result, value in FUNCTIONS:
            owner.execute(PLANT_NAMED.format(name=name, result=result, value=value))  # type: ignore[call-overload]
        for statement in PLANT_CAST:
            owner.execute(statement)  # type: ignore[call-overload]


def ran_as(home: Path, folder: str = "postgres") -> set[str]:
    """Return the roles that ran a planted function; each run is in the server's log."""
    return set(re.findall(r"planted ran as (\w+)", (home / folder / "log").read_text(encoding="utf-8")))


def test_nothing_planted_runs_as_the_superuser(
    home: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    folder.chmod(0o755)  # root's server is of another user
    server = EmbeddedServer.attach(home)
    try:
        assert main(["status", f"--home={home}"]) in {0, 3}
        plant(server.url)
        with psycopg.connect(server.url) as owner:  # the trap works: a role with `public` in the path runs it
            owner.execute("SELECT FROM pg_class c WHERE c.relname !~ '^pg_'")
            owner.execute("SELECT a::text FROM cast_rows")
        assert ran_as(home) == {"paper"}
        back_up(server.backup_url, tmp_path / "direct")
        for role in ("postgres", "paper_backup"):
            url = server.url.replace("paper@", f"{role}@", 1)
            with open_privileged_session(url, "test") as session:
                assert session.execute("SHOW search_path").fetchone() == ("pg_catalog, pg_temp",)
                assert session.execute("SHOW is_superuser").fetchone() == ("on" if role == "postgres" else "off",)
                session.execute("SELECT FROM pg_class c WHERE c.relname !~ '^pg_'")
        for arguments in (
            ["db", "backup", str(tmp_path / "b")],
            ["db", "restore", str(tmp_path / "b"), "--replace", "--yes", "--others", "keep"],
            ["db", "upgrade"],
            ["status"],
            ["db", "backup", str(tmp_path / "b"), "--force"],
            ["db", "role", "create", "agent", "--sender", f"--socket-folder={folder / 'shared'}"],
            ["db", "role", "list"],
            ["db", "role", "password", "agent"],
            ["db", "role", "remove", "agent"],
        ):
            assert main([*arguments, f"--home={home}"]) in ({0, 3} if arguments == ["status"] else {0}), (
                capsys.readouterr().err
            )
        server.release()
        EmbeddedServer.attach(home).release()
    finally:
        server.release()
    assert ran_as(home) == {"paper"}


@pytest.mark.slow
def test_a_backup_reads_everything_and_writes_nothing(home: Path, tmp_path: Path) -> None:
    server = EmbeddedServer.attach(home)
    try:
        with psycopg.connect(server.url.replace("paper@", "postgres@", 1)) as superuser:
            superuser.execute("CREATE TABLE of_the_superuser (a int)")
        with psycopg.connect(server.url) as owner:
            owner.execute("CREATE TABLE hidden (a int)")
            owner.execute("ALTER TABLE hidden ENABLE ROW LEVEL SECURITY")
            owner.execute("ALTER TABLE hidden FORCE ROW LEVEL SECURITY")
            owner.execute("SELECT lo_from_bytea(0, 'theirs')")  # of a role whose large objects others cannot read
        back_up(server.backup_url, tmp_path / "b")
        with psycopg.connect(server.backup_url) as backup:
            assert ("paper_backup", False) == backup.execute(
                "SELECT rolname::text, rolsuper OR rolcreaterole OR rolcreatedb FROM pg_roles"
                " WHERE rolname = current_user"
            ).fetchone()
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                backup.execute("DELETE FROM hidden")
    finally:
        server.release()
