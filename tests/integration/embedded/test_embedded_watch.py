"""Crashes of the embedded server during its use: it is restarted, and the watch survives every failure."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from actors import Decision
from domain.errors import DatabaseError
from persistence.embedded.errors import EmbeddedServerError
from persistence.embedded.server import EmbeddedServer
from persistence.embedded.watch import EmbeddedWatch
from tests.support.database.postmaster import postmaster_pid
from tests.support.system.running_system import running_system, until

CRASHED = "WARNING the embedded PostgreSQL has crashed; restarting it"
RUNS_AGAIN = "INFO the embedded PostgreSQL runs again"


pytestmark = pytest.mark.logged("persistence.embedded.watch")


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="emb") as folder:
        yield Path(folder).resolve()


@pytest.fixture(scope="module")
def server(home: Path) -> Iterator[EmbeddedServer]:
    """One server for all tests; each of them leaves it running."""
    attached = EmbeddedServer.attach(home)
    yield attached
    attached.release()


@pytest.fixture
def watch(server: EmbeddedServer) -> Iterator[EmbeddedWatch]:
    watching = EmbeddedWatch(server, interval=0.05)
    watching.start()
    yield watching
    watching.stop()


def kill(home: Path) -> int:
    """Crash the server of a home; return its process id."""
    pid = postmaster_pid(home)
    os.kill(pid, signal.SIGKILL)
    return pid


def test_a_killed_server_comes_back_with_its_data(
    server: EmbeddedServer, watch: EmbeddedWatch, log_lines: list[str], home: Path
) -> None:
    with psycopg.connect(server.url) as connection:
        connection.execute("CREATE TABLE kept (id int)")
    for _ in range(2):
        log_lines.clear()
        killed = kill(home)
        until(lambda: log_lines[-1:] == [RUNS_AGAIN])
        assert log_lines == [CRASHED, RUNS_AGAIN]
        assert postmaster_pid(home) != killed
        with psycopg.connect(server.url) as connection:
            assert connection.execute("SELECT count(*) FROM kept").fetchone() == (0,)


def test_a_missing_data_folder_is_logged_once_and_never_replaced(
    server: EmbeddedServer, watch: EmbeddedWatch, log_lines: list[str], home: Path
) -> None:
    (home / "postgres").rename(home / "elsewhere")
    kill_by_id = int((home / "elsewhere" / "postmaster.pid").read_text().split()[0])
    os.kill(kill_by_id, signal.SIGKILL)
    until(lambda: len(log_lines) == 2)
    with pytest.raises(EmbeddedServerError, match="put the folder back"):  # also on a further attempt
        server.ensure_running()
    assert not (home / "postgres").exists()
    (home / "elsewhere").rename(home / "postgres")
    until(lambda: log_lines[-1:] == [RUNS_AGAIN])
    assert log_lines[0] == CRASHED
    assert log_lines[1:] == [
        f"ERROR There is no database in {home / 'postgres'} any more: put the folder back. Retrying.",
        RUNS_AGAIN,
    ]
    assert server.alive


def test_a_folder_that_cannot_be_read_is_no_crash(
    server: EmbeddedServer, watch: EmbeddedWatch, log_lines: list[str], home: Path
) -> None:
    pid = postmaster_pid(home)
    (home / "postgres").rename(home / "elsewhere")
    (home / "postgres").symlink_to(home / "postgres")  # a circular link: unreadable even for root
    until(lambda: len(log_lines) == 1)
    (home / "postgres").unlink()
    (home / "elsewhere").rename(home / "postgres")
    until(lambda: log_lines[-1:] == [RUNS_AGAIN])
    assert len(log_lines) == 2
    assert log_lines[0].startswith(f"ERROR The embedded PostgreSQL in {home / 'postgres'} cannot be used: ")
    assert postmaster_pid(home) == pid


class Broken:
    """A server whose first three checks raise an unexpected error."""

    checks = 0

    @property
    def alive(self) -> bool:
        self.checks += 1
        if self.checks <= 3:
            raise RuntimeError("unexpected")
        return True

    def trim_log(self) -> None:
        """Do nothing: it has no log."""

    def missing_socket(self) -> None:
        """Return None: no second socket is wanted."""


def test_the_watch_survives_any_exception_and_retries_with_growing_pauses(log_lines: list[str]) -> None:
    broken = Broken()
    watching = EmbeddedWatch(broken, interval=0.01)  # type: ignore[arg-type]
    watching.start()
    until(lambda: RUNS_AGAIN in log_lines)
    watching.stop()
    assert log_lines == ["ERROR unexpected RuntimeError: unexpected. Retrying.", RUNS_AGAIN]
    checks = broken.checks
    watching.stop()
    assert checks == broken.checks


@pytest.mark.slow
def test_after_its_stop_nothing_is_started(
    server: EmbeddedServer, watch: EmbeddedWatch, log_lines: list[str], home: Path
) -> None:
    watch.stop()
    kill(home)
    until(lambda: not server.alive)
    assert log_lines == []
    server.ensure_running()


@pytest.mark.slow
def test_decisions_go_on_after_a_crash_of_the_server(
    server: EmbeddedServer, watch: EmbeddedWatch, log_lines: list[str], home: Path
) -> None:
    with running_system(server.url) as system:
        buy = Decision(symbol="BTC/USDT", decision="BUY", confidence=1, quantity="0.001")
        assert system.submit(buy).get(timeout=10).status == "executed"
        system.submit(Decision(symbol="DEAD/USDT", decision="BUY", confidence=1))
        killed = kill(home)
        until(lambda: RUNS_AGAIN in log_lines)
        assert postmaster_pid(home) != killed
        sell = Decision(symbol="BTC/USDT", decision="SELL", confidence=1)

        def sold() -> bool:
            try:
                return system.submit(sell).get(timeout=10).status == "executed"
            except DatabaseError:  # its connections are from before the crash
                return False

        until(sold)
        assert system.ledger_reader.ledger_differences() == []
        assert system.ledger_reader.outcomes() == {"executed": 2, "pending": 1}
