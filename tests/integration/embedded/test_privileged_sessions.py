"""The embedded server's superuser runs no function or operator that the owner of the database made."""

from __future__ import annotations

import re
from pathlib import Path

import psycopg
import pytest

from console.cli import main
from persistence.embedded.backup import back_up
from persistence.embedded.server import EmbeddedServer
from persistence.sessions.session import open_privileged_session

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


def plant(url: str) -> None:
    """Put operators and functions into ``public`` that PostgreSQL prefers to its own for some calls."""
    kinds = [(name, left, right) for name in OPERATORS for left in TYPES for right in TYPES]
    with psycopg.connect(url) as owner:
        for number, (name, left, right) in enumerate(kinds):
            values = {"number": number, "name": name, "left": left, "right": right}
            owner.execute(PLANT_FUNCTION.format(**values))  # type: ignore[call-overload]
            owner.execute(PLANT_OPERATOR.format(**values))  # type: ignore[call-overload]
        for name, result, value in FUNCTIONS:
            owner.execute(PLANT_NAMED.format(name=name, result=result, value=value))  # type: ignore[call-overload]


def ran_as(home: Path) -> set[str]:
    """Return the roles that ran a planted function; each run is in the server's log."""
    return set(re.findall(r"planted ran as (\w+)", (home / "postgres" / "log").read_text(encoding="utf-8")))


def test_nothing_planted_runs_as_the_superuser(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    server = EmbeddedServer.attach(home)
    try:
        assert main(["status", f"--home={home}"]) in {0, 3}
        plant(server.url)
        with psycopg.connect(server.url) as owner:  # the trap works: a role with `public` in the path runs it
            owner.execute("SELECT FROM pg_class c WHERE c.relname !~ '^pg_'")
        assert ran_as(home) == {"paper"}
        back_up(server.admin_url, tmp_path / "direct")
        with open_privileged_session(server.admin_url, "test") as superuser:
            assert superuser.execute("SHOW search_path").fetchone() == ("pg_catalog, pg_temp",)
            superuser.execute("SELECT FROM pg_class c WHERE c.relname !~ '^pg_'")
        for arguments in (
            ["db", "backup", str(tmp_path / "b")],
            ["db", "restore", str(tmp_path / "b"), "--replace", "--yes"],
            ["db", "upgrade"],
            ["status"],
            ["db", "backup", str(tmp_path / "b"), "--force"],
        ):
            assert main([*arguments, f"--home={home}"]) in ({0, 3} if arguments == ["status"] else {0}), (
                capsys.readouterr().err
            )
        server.release()
        EmbeddedServer.attach(home).release()
    finally:
        server.release()
    assert ran_as(home) == {"paper"}
