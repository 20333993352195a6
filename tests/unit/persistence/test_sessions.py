"""Every connection of the program is made in one place, which sees to its settings."""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from persistence.sessions.environment import is_of_embedded_server, without_libpq_variables
from persistence.sessions.session import startup_options

ROOT = Path(__file__).parents[3]
ROOMS = ("actors", "benchmarks", "console", "deploy", "docs", "domain", "market", "persistence", "sql")
OPENERS = {
    "psycopg.connect",
    "psycopg.Connection.connect",
    "psycopg.AsyncConnection.connect",
    "CountedConnection.connect",
    "Session.connect",
}


def opened() -> Iterator[tuple[str, str]]:
    """Each place in the program that opens a connection, or makes a pool that will."""
    for path in [ROOT / "run.py", *(file for room in ROOMS for file in sorted((ROOT / room).rglob("*.py")))]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            called = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
            if called in OPENERS or called.endswith("create_engine"):
                yield str(path.relative_to(ROOT)), called


def test_no_other_place_opens_a_connection() -> None:
    assert {
        ("persistence/connections.py", "create_engine"),  # whose connections `open_session` opens
        ("persistence/sessions/session.py", "Session.connect"),
    } == set(opened())


def test_options_keep_blanks_and_backslashes_and_ours_come_last() -> None:
    options = startup_options({"DateStyle": "ISO, MDY"}, ["-cDateStyle=SQL", r"-ca.b=x\y z"])
    assert options == r"-cDateStyle=SQL -ca.b=x\\y\ z -cDateStyle=ISO,\ MDY"


def test_variables_are_hidden_until_the_last_one_is_through(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGTZ", "Asia/Kolkata")
    monkeypatch.setenv("PAPER_HOME", "x")
    with without_libpq_variables():
        with without_libpq_variables():
            assert "PGTZ" not in os.environ
        assert "PGTZ" not in os.environ
        assert os.environ["PAPER_HOME"] == "x"
    assert os.environ["PGTZ"] == "Asia/Kolkata"


def test_which_sockets_are_of_an_embedded_server(tmp_path: Path) -> None:
    assert is_of_embedded_server("/tmp/paper-trading-0123456789abcdef")
    for other in ("", "db.example", "/var/run/postgresql", "/tmp/paper-trading-x", str(tmp_path / "postgres")):
        assert not is_of_embedded_server(other)
    (tmp_path / "postgres.attached").touch()
    assert is_of_embedded_server(str(tmp_path / "postgres"))
