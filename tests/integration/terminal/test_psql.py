"""`run.py psql`: psql with the right address, and no password in the list of processes."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from console.cli import main
from console.commands import psql
from persistence.embedded.errors import EmbeddedServerError
from persistence.embedded.server import running
from persistence.embedded.sessions import OWN_PROGRAM

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Run:
    """Runs `psql`; returns its exit code, output and error."""

    def run_command(*words: str) -> tuple[int, str, str]:
        code = main(["psql", *words])
        output = capfd.readouterr()
        return code, output.out, output.err

    return run_command


def test_further_arguments_and_the_exit_code_are_passed_on(run: Run, embedded_url: str, tmp_path: Path) -> None:
    url = f"--database-url={embedded_url}"
    assert (0, "1\n", "") == run(url, "-XAtc", "SELECT count(*) FROM paper_lease")
    assert (0, "a,b\n1,2\n", "") == run("-X", "--csv", "-c", "SELECT 1 AS a, 2 AS b", url)
    code, out, err = run(url, "-X", "-c", "SELECT 1/0")
    assert (1, "", "ERROR:  division by zero\n") == (code, out, err)
    script = tmp_path / "script.sql"
    script.write_text("SELECT 1/0;\n")
    assert 3 == run(url, "-X", "-v", "ON_ERROR_STOP=1", "-f", str(script))[0]
    code, out, _ = run(url, "--", "--help")
    assert (0, True) == (code, out.startswith("psql is the PostgreSQL interactive terminal."))


@pytest.mark.slow
def test_the_embedded_server_runs_as_long_as_psql_needs_it(
    run: Run, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGPORT", "1")
    monkeypatch.setenv("PGOPTIONS", "-c default_transaction_read_only=on")
    monkeypatch.setattr("shutil.which", lambda _: None)
    sql = "SELECT current_user, current_setting('default_transaction_read_only'), current_setting('application_name')"
    assert (0, f"paper|off|{OWN_PROGRAM}\n", "") == run("--home", str(home), "-XAtc", sql)
    assert not running(home)


def test_without_a_database_nothing_is_started(run: Run, tmp_path: Path) -> None:
    code, out, err = run("--home", str(tmp_path))
    assert (3, "") == (code, out)
    assert (
        f"run.py: The service is not running, and home {tmp_path} has no database; start it with `run.py start`\n"
        == err
    )
    assert [] == list(tmp_path.iterdir())


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch) -> list[tuple[list[str], dict[str, str]]]:
    """The commands that would be run, each with its environment."""
    commands: list[tuple[list[str], dict[str, str]]] = []

    def record(command: list[str], env: dict[str, str]) -> int:
        if (file := env.get("PGSERVICEFILE")) is not None:
            env = {**env, "file": Path(file).read_text(), "mode": oct(stat.S_IMODE(Path(file).parent.stat().st_mode))}
        commands.append((command, env))
        return 0

    monkeypatch.setattr(psql, "_run", record)
    return commands


def test_secrets_are_in_the_environment_only(
    run: Run, called: list[tuple[list[str], dict[str, str]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGSSLMODE", "require")
    monkeypatch.setenv("PAPER_DATABASE_URL", "postgresql://me:s3cr%40t@db.example:5433/paper?sslpassword=k3y&sslkey=/k")
    monkeypatch.setenv("PAPER_DATABASE_SCHEMA", "own")
    monkeypatch.setattr("shutil.which", lambda name: f"/usr/bin/{name}")
    assert (0, "", "") == run("-l")
    ((command, env),) = called
    options = "options=-csearch_path%3Down%2Cpublic"
    assert [
        "/usr/bin/psql",
        f"--dbname=postgresql://me@db.example:5433/paper?{options}&sslkey=/k&service=paper-trading",
        "-l",
    ] == command
    assert ("s3cr@t", "require") == (env["PGPASSWORD"], env["PGSSLMODE"])
    assert ("[paper-trading]\nsslpassword=k3y\n", "0o700") == (env["file"], env["mode"])
    assert not Path(env["PGSERVICEFILE"]).exists()
    assert "PGPASSWORD" not in os.environ


def test_the_own_psql_serves_the_embedded_server_and_an_installed_one_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda name: f"/usr/bin/{name}")
    own = psql._program(embedded=True)
    assert ("/usr/bin/psql", True) == (psql._program(embedded=False), "site-packages" in own)
    monkeypatch.setattr("shutil.which", lambda _: None)
    assert own == psql._program(embedded=False)


@pytest.mark.parametrize(("version", "preferred"), [("17.6", False), ("18.1", True), ("19.0", True), ("none", False)])
def test_a_person_gets_an_installed_psql_that_is_new_enough(
    version: str, preferred: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "psql"
    program.write_text(f"#!/bin/sh\necho 'psql (PostgreSQL) {version}'\n")
    program.chmod(0o755)
    monkeypatch.setattr("shutil.which", lambda _: str(program))
    monkeypatch.setattr(psql, "major_version", lambda _: 18)
    own = psql._program(embedded=True)
    monkeypatch.setattr("sys.stdin", SimpleNamespace(isatty=lambda: True))
    assert (str(program) if preferred else own) == psql._program(embedded=True)
    assert str(program) != own


def missing(_: Any) -> str:
    raise EmbeddedServerError("no wheel")


def test_a_missing_psql_is_one_sentence(run: Run, embedded_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda _: None)
    monkeypatch.setattr(psql, "installation", missing)
    msg = "psql is not installed; install the package postgresql-client, or libpq with Homebrew"
    assert (1, "", f"run.py: {msg}\n") == run("--database-url", embedded_url)
    monkeypatch.setattr("shutil.which", lambda _: "/nowhere/psql")
    msg = "/nowhere/psql cannot be run: No such file or directory"
    assert (1, "", f"run.py: {msg}\n") == run("--database-url", embedded_url)
