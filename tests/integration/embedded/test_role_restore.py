"""A restore keeps the roles of the database that it replaces, and gives no role a right because a backup says so."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psycopg
import pytest

from console.cli import main
from persistence.embedded.server import EmbeddedServer
from persistence.lease import Lease
from persistence.sessions.address import make_url, parse_url

RIGHTS = """
SELECT has_table_privilege(%(role)s, 'trading_decisions', 'SELECT'),
       has_table_privilege(%(role)s, 'paper_fills', 'SELECT'), has_table_privilege(%(role)s, 'paper_fills', 'INSERT'),
       has_column_privilege(%(role)s, 'trading_decisions', 'symbol', 'INSERT')
"""
SENDER, READER, NOBODY = (True, False, False, True), (True, True, False, False), (False,) * 4


class Home:
    """A home whose server runs, and the commands on it."""

    def __init__(self, home: Path, shared: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self._home = home
        self._shared = shared
        self._capsys = capsys
        self.server = EmbeddedServer.attach(home)

    def run(self, *words: str) -> dict[str, Any]:
        code = main([*words, f"--home={self._home}", "--json"])
        output = self._capsys.readouterr()
        assert 0 == code, output.err
        document: dict[str, Any] = json.loads(output.out)
        return document

    def role(self, name: str, *kinds: str) -> str:
        url: str = self.run("db", "role", "create", name, *kinds, f"--socket-folder={self._shared}")["url"]
        # The first socket asks for the password as well.
        return make_url(parse_url(url) | {"host": parse_url(self.server.url)["host"], "requirepeer": ""})

    def rights(self, role: str) -> tuple[bool, ...] | None:
        with psycopg.connect(self.server.url) as owner:
            return owner.execute(RIGHTS, {"role": role}).fetchone()

    def sees(self, url: str) -> int:
        with psycopg.connect(url) as connection:
            (count,) = connection.execute("SELECT count(*) FROM trading_decisions").fetchone() or (0,)
        return int(count)


@pytest.fixture
def one(home: Path, folder: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Home]:
    present = Home(home, folder / "shared", capsys)
    try:
        yield present
    finally:
        present.server.release()


@pytest.mark.slow
def test_a_restore_keeps_the_roles_of_the_database(one: Home, folder: Path) -> None:
    agent = one.role("agent", "--sender")
    one.role("dashboard", "--reader")
    one.role("turned", "--reader")
    one.run("decide", "HOLD", "BTC/USDT", "--confidence=1")
    with psycopg.connect(agent) as sender:
        sender.execute("INSERT INTO trading_decisions (symbol, decision, confidence) VALUES ('BTC/USDT', 'HOLD', 1)")
    one.run("db", "backup", str(folder / "backup"))

    later = one.role("later", "--sender")
    one.run("db", "role", "remove", "dashboard")
    one.run("db", "role", "create", "turned", "--sender", "--existing")
    # A role of the server that the backup wants to be one of this database.
    with psycopg.connect(make_url(parse_url(one.server.url) | {"user": "postgres"})) as admin:
        admin.execute("CREATE ROLE dashboard LOGIN")
    restored = one.run("db", "restore", str(folder / "backup"), "--replace", "--yes")

    assert ["dashboard"] == restored["roles_left_out"]
    assert {"agent": SENDER, "later": SENDER, "turned": SENDER, "dashboard": NOBODY} == {
        name: one.rights(name) for name in ("agent", "later", "turned", "dashboard")
    }
    assert (1, 0) == (one.sees(agent), one.sees(later))
    kinds = {row["role"]: row["kinds"] for row in one.run("db", "role", "list")["roles"]}
    assert {"agent": ["sender"], "later": ["sender"], "turned": ["sender"]} == kinds


@pytest.mark.slow
def test_no_lock_of_a_role_blocks_a_restore(one: Home, home: Path, folder: Path) -> None:
    dashboard = one.role("dashboard", "--reader")
    one.run("decide", "HOLD", "BTC/USDT", "--confidence=1")
    one.run("db", "backup", str(folder / "backup"))
    with psycopg.connect(dashboard) as reader:
        for setting in ("lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout"):
            reader.execute(f"SET {setting} = 0")  # type: ignore[call-overload]
        reader.execute("LOCK TABLE trading_decisions IN ACCESS SHARE MODE")
        assert 1 == one.run("db", "restore", str(folder / "backup"), "--replace", "--yes")["decisions"]
        with pytest.raises(psycopg.errors.AdminShutdown):
            reader.execute("SELECT")
    assert 1 == one.sees(dashboard)  # it may connect again
    with one.server.without_roles(), pytest.raises(psycopg.OperationalError, match="rejects connection"):
        psycopg.connect(dashboard)
    # A process that was killed in this state leaves its file; the next start lets roles in.
    hba = home / "postgres" / "pg_hba.conf"
    hba.write_text(hba.read_text(encoding="utf-8").replace("scram-sha-256", "reject"), encoding="utf-8")
    one.server.release()
    one.server = EmbeddedServer.attach(home)
    assert 1 == one.sees(dashboard)


def test_a_restore_that_the_lease_refuses_disturbs_no_session(
    one: Home, home: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    agent = one.role("agent", "--sender")
    one.run("db", "backup", str(folder / "backup"))
    with ExitStack() as stack, psycopg.connect(agent) as sender:
        stack.callback(Lease.take(one.server.url).release)
        code = main(["db", "restore", str(folder / "backup"), "--replace", "--yes", f"--home={home}"])
        assert (1, True) == (code, "has the lease of the database" in capsys.readouterr().err)
        sender.execute("SELECT 1")


@pytest.mark.slow
def test_in_another_home_the_roles_of_the_backup_are_named_and_can_be_made(
    one: Home, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one.role("agent", "--sender")
    one.role("dashboard", "--reader")
    one.run("db", "backup", str(folder / "backup"))
    one.server.release()
    words = ["db", "restore", str(folder / "backup"), "--foreign", f"--home={folder / 'second'}"]
    assert 0 == main(words), capsys.readouterr().err
    printed = capsys.readouterr().out
    assert "role agent has no rights now; `run.py db role create agent --sender` gives them" in printed
    assert "role dashboard has no rights now; `run.py db role create dashboard --reader` gives them" in printed
    assert "not granted" not in printed
    other = Home(folder / "second", folder / "other", capsys)
    try:
        assert [] == other.run("db", "role", "list")["roles"]
        other.role("agent", "--sender")
        assert SENDER == other.rights("agent")
    finally:
        other.server.release()
