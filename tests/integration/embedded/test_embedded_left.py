"""What a killed first start leaves, and sessions of others when the last process leaves."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import psycopg
import pytest

from actors import Settings, TradingSystem
from console.cli import main
from domain.errors import SettingsError
from persistence.embedded.server import EmbeddedServer, running
from persistence.embedded.sessions import OWN_PROGRAM
from tests.support.slow_cases import slow_after_first

ATTACH = "import sys; from pathlib import Path; from persistence.embedded.server import EmbeddedServer\n"
ATTACH += "EmbeddedServer.attach(Path(sys.argv[1]))"


def programs(home: Path) -> list[str]:
    """Return the names of PostgreSQL's programs that work for this home."""
    names = []
    for process in psutil.process_iter():
        try:
            words = process.cmdline()
        except psutil.Error:
            continue
        if words and any(str(home) in argument for argument in words):
            names.append(Path(words[0]).name)
    return names


def kill_in_start(home: Path, when: Callable[[], bool]) -> None:
    """Begin a first start in another process, and kill that as soon as a state is reached."""
    starter = subprocess.Popen([sys.executable, "-c", ATTACH, str(home)], start_new_session=True)
    deadline = time.monotonic() + 60
    while not when() and starter.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.002)
    os.kill(starter.pid, signal.SIGKILL)
    starter.wait()


@pytest.mark.slow
@pytest.mark.parametrize("moment", slow_after_first(["initdb runs", "its data have a version", "pg_ctl runs"]))
def test_the_next_start_after_a_kill_in_the_first_one_works(folder: Path, moment: str) -> None:
    home = folder / "home"
    states: dict[str, Callable[[], bool]] = {
        "initdb runs": lambda: "initdb" in programs(home),
        "its data have a version": (home / "postgres.new" / "PG_VERSION").exists,
        "pg_ctl runs": lambda: "pg_ctl" in programs(home),
    }
    kill_in_start(home, states[moment])
    server = EmbeddedServer.attach(home)
    try:
        with psycopg.connect(server.url) as connection:
            assert (1,) == connection.execute("SELECT 1").fetchone()
        assert "initdb" not in programs(home)
        assert not (home / "postgres.new").exists()
    finally:
        server.release()
    assert not running(home)


@pytest.mark.slow
def test_a_failing_command_or_start_leaves_the_server_to_the_sessions_of_others(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home = folder / "home"
    server = EmbeddedServer.attach(home)
    with psycopg.connect(server.url, application_name="psql", autocommit=True) as session:
        server.release(spare_sessions=True)
        assert 2 == main(["validate", "start", "--home", str(home)])
        with pytest.raises(SettingsError):
            TradingSystem.start(Settings.isolated(home=home, prices=str(home / "missing.csv")))
        assert (1,) == session.execute("SELECT 1").fetchone()
        assert running(home)
    assert 2 == main(["validate", "start", "--home", str(home)])
    assert not running(home)
    capsys.readouterr()


@pytest.mark.slow
def test_the_session_of_a_program_that_a_command_runs_does_not_keep_the_server_running(home: Path) -> None:
    server = EmbeddedServer.attach(home)
    with psycopg.connect(server.url, application_name=OWN_PROGRAM):  # listed for a moment after psql has ended
        server.release(spare_sessions=True)
        assert not running(home)
