"""The embedded server crashes while somebody uses it: it comes back, and the watch outlives every failure."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from loguru import logger

from actors import Decision
from domain.errors import DatabaseError, EmbeddedServerError
from persistence.embedded.server import EmbeddedServer
from persistence.embedded.watch import EmbeddedWatch
from tests.support.database.postmaster import postmaster_pid
from tests.support.system.running_system import running_system, until

CRASHED = "WARNING the embedded PostgreSQL has crashed; restarting it"
BACK = "INFO the embedded PostgreSQL runs again"


@pytest.fixture
def said() -> Iterator[list[str]]:
    """What the watch logs."""
    lines: list[str] = []
    sink = logger.add(
        lambda line: lines.append(line.rstrip("\n")),
        filter="persistence.embedded.watch",
        format="{level} {message}",
    )
    yield lines
    logger.remove(sink)


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="emb") as folder:
        yield Path(folder).resolve()


@pytest.fixture(scope="module")
def server(home: Path) -> Iterator[EmbeddedServer]:
    """One for all tests here: each of them leaves it alive."""
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
    server: EmbeddedServer, watch: EmbeddedWatch, said: list[str], home: Path
) -> None:
    with psycopg.connect(server.url) as connection:
        connection.execute("CREATE TABLE kept (id int)")
    for _ in range(2):
        said.clear()
        killed = kill(home)
        until(lambda: said[-1:] == [BACK])
        assert said == [CRASHED, BACK]
        assert postmaster_pid(home) != killed
        with psycopg.connect(server.url) as connection:
            assert connection.execute("SELECT count(*) FROM kept").fetchone() == (0,)


def test_a_missing_data_folder_is_said_once_and_never_made_anew(
    server: EmbeddedServer, watch: EmbeddedWatch, said: list[str], home: Path
) -> None:
    (home / "postgres").rename(home / "elsewhere")
    kill_by_id = int((home / "elsewhere" / "postmaster.pid").read_text().split()[0])
    os.kill(kill_by_id, signal.SIGKILL)
    until(lambda: len(said) == 2)
    with pytest.raises(EmbeddedServerError, match="put the folder back"):  # it has been tried by now, and again
        server.ensure_running()
    assert not (home / "postgres").exists()
    (home / "elsewhere").rename(home / "postgres")
    until(lambda: said[-1:] == [BACK])
    assert said[0] == CRASHED
    assert said[1:] == [
        f"ERROR There is no database in {home / 'postgres'} any more: put the folder back. Retrying.",
        BACK,
    ]
    assert server.alive


def test_a_folder_that_cannot_be_read_is_no_crash(
    server: EmbeddedServer, watch: EmbeddedWatch, said: list[str], home: Path
) -> None:
    pid = postmaster_pid(home)
    (home / "postgres").rename(home / "elsewhere")
    (home / "postgres").symlink_to(home / "postgres")  # a circle: cannot be read, by root neither
    until(lambda: len(said) == 1)
    (home / "postgres").unlink()
    (home / "elsewhere").rename(home / "postgres")
    until(lambda: said[-1:] == [BACK])
    assert len(said) == 2
    assert said[0].startswith(f"ERROR The embedded PostgreSQL in {home / 'postgres'} cannot be used: ")
    assert postmaster_pid(home) == pid


class Broken:
    """A server whose first three looks fail in a way that nobody has thought of."""

    looks = 0

    @property
    def alive(self) -> bool:
        self.looks += 1
        if self.looks <= 3:
            raise RuntimeError("what is this")
        return True


def test_the_watch_outlives_any_exception_and_tries_ever_more_rarely(said: list[str]) -> None:
    broken = Broken()
    watching = EmbeddedWatch(broken, interval=0.01)  # type: ignore[arg-type]
    watching.start()
    until(lambda: BACK in said)
    watching.stop()
    assert said == ["ERROR unexpected RuntimeError: what is this. Retrying.", BACK]
    looks = broken.looks
    watching.stop()
    assert looks == broken.looks


def test_after_its_stop_nothing_is_started(
    server: EmbeddedServer, watch: EmbeddedWatch, said: list[str], home: Path
) -> None:
    watch.stop()
    kill(home)
    until(lambda: not server.alive)
    assert said == []
    server.ensure_running()


def test_decisions_go_on_after_a_crash_of_the_server(
    server: EmbeddedServer, watch: EmbeddedWatch, said: list[str], home: Path
) -> None:
    with running_system(server.url) as system:
        buy = Decision(symbol="BTC/USDT", decision="BUY", confidence=1, quantity="0.001")
        assert system.submit(buy).get(timeout=10).status == "executed"
        system.submit(Decision(symbol="DEAD/USDT", decision="BUY", confidence=1))
        killed = kill(home)
        until(lambda: BACK in said)
        assert postmaster_pid(home) != killed
        sell = Decision(symbol="BTC/USDT", decision="SELL", confidence=1)

        def sold() -> bool:
            try:
                return system.submit(sell).get(timeout=10).status == "executed"
            except DatabaseError:  # its connections are of before the crash
                return False

        until(sold)
        assert system.ledger_reader.ledger_differences() == []
        assert system.ledger_reader.outcomes() == {"executed": 2, "pending": 1}
