"""Operations: backup of a running service, restore, and the permissions of the files that the program writes."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pexpect
import psutil
import psycopg
import pytest

from persistence.embedded.server import EmbeddedServer, running
from tests.support.database.postmaster import postmaster_pid
from tests.support.system.program import ROOT, Ended, Program, environment, run, run_all, until


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    path = tmp_path_factory.mktemp("operations") / "home"
    yield path
    if running(path):
        EmbeddedServer.attach(path).release()


@pytest.fixture(scope="module")
def env(home: Path) -> dict[str, str]:
    return environment(home, prices="simulated")


@pytest.fixture(scope="module")
def backup(env: dict[str, str], home: Path) -> Path:
    """A backup of a home with one decision of two, taken while the service ran.

    The fixture also checks files, ports and notifications: the service runs with umask 0 and under a service manager.
    """
    file = home.parent / "paper.backup"
    service_env = {**env, "NOTIFY_SOCKET": str(home.parent / "manager")}
    with (
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager,
        Program("start", env=service_env, umask=0) as service,
    ):
        manager.bind(service_env["NOTIFY_SOCKET"])
        manager.settimeout(60)
        assert manager.recv(100) == b"READY=1"
        service.wait_for()
        decide(home)
        postmaster = postmaster_pid(home)
        processes = [psutil.Process(service.pid), psutil.Process(postmaster)]
        processes += [child for process in processes for child in process.children(recursive=True)]
        assert listening(processes) == []

        made = run("db", "backup", str(file), "--json", env=env)
        assert (made.code, made.err) == (0, "")
        assert made.json == {
            "file": str(file), "bytes": file.stat().st_size, "decisions": 1, "waiting": 0, "fills": 1,
            "database": f"embedded, in {home}",
        }  # fmt: skip
        served, again = run_all(f"db restore {file}", f"db backup {file}", env=env)
        assert f"process {service.pid} on" in sentence(served, 3)
        assert "exists already; choose another name, or --force" in sentence(again, 2)
        decide(home)
        assert service.stop().code == 0
        assert manager.recv(100) == b"STOPPING=1"
    assert open_to_others(home) == []
    return file


@contextmanager
def database(home: Path) -> Iterator[psycopg.Connection[Any]]:
    """The embedded database, whether something runs or not."""
    server = EmbeddedServer.attach(home)
    try:
        with psycopg.connect(server.url, autocommit=True) as connection:
            yield connection
    finally:
        server.release()


def counted(home: Path) -> tuple[int, int, int]:
    """Decisions, those of them that were executed, and differences in the books."""
    with database(home) as connection:
        row = connection.execute(
            "SELECT count(*), count(*) FILTER (WHERE status = 'executed'), (SELECT count(*) FROM v_paper_ledger_check)"
            " FROM trading_decisions"
        ).fetchone()
    assert row is not None
    return row


def decide(home: Path) -> None:
    """One more decision, executed by the service."""
    decisions, executed, _ = counted(home)
    with database(home) as connection:
        connection.execute(
            "INSERT INTO trading_decisions (symbol, decision, confidence, quantity) VALUES (%s, %s, 1, 0.001)",
            ["BTC/USDT", "BUY"],
        )
    until(lambda: counted(home) == (decisions + 1, executed + 1, 0), "the fill")


def listening(processes: list[psutil.Process]) -> list[Any]:
    sockets = []
    for process in processes:
        with suppress(psutil.NoSuchProcess):  # one that ends meanwhile, such as a worker of the server, listens no more
            sockets += [socket_ for socket_ in process.net_connections("inet") if socket_.status == "LISTEN"]
    return sockets


def open_to_others(home: Path) -> list[str]:
    """Paths that other users can read, write or enter, except folders that root's server must be able to enter."""
    passing = stat.S_IXOTH | stat.S_IXGRP if os.geteuid() == 0 else 0
    open_paths = []
    for path in [home, *home.rglob("*")]:
        mode = path.lstat().st_mode
        if stat.S_IMODE(mode) & 0o077 & ~(passing if stat.S_ISDIR(mode) else 0):
            open_paths.append(f"{stat.filemode(mode)} {path}")
    return open_paths


def sentence(ended: Ended, code: int) -> str:
    assert ended.code == code, ended.err + ended.out
    lines = ended.err.strip().splitlines()
    assert len(lines) == 1, ended.err
    assert lines[0].startswith("run.py: ")
    return lines[0]


def test_other_users_can_read_nothing_and_no_port_is_open(backup: Path) -> None:
    """Asserted by the fixture, while the service ran and after it."""
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600


def test_a_new_home_continues_from_the_backup(backup: Path, tmp_path: Path) -> None:
    env = environment(tmp_path / "new", prices="simulated")
    unknown = sentence(run("db", "restore", str(backup), "--json", env=env), 2)
    assert f"{backup} is not read: home {tmp_path / 'new'} has no backup.key" in unknown
    assert not (tmp_path / "new").exists()
    restored = run("db", "restore", str(backup), "--foreign", "--json", env=env)
    assert restored.code == 0, restored.err
    assert "has no backup.key" in restored.json["foreign"]
    assert (restored.json["decisions"], restored.json["ledger_ok"]) == (1, True)
    assert not running(tmp_path / "new")
    with Program("start", env=env) as service:
        service.wait_for()
        assert ", 1 position\n" in service.printed()
        decide(tmp_path / "new")


@pytest.mark.slow
def test_replace_asks_for_confirmation(backup: Path, env: dict[str, str], home: Path) -> None:
    without, script = run_all(f"db restore {backup}", f"db restore {backup} --replace", env=env)
    assert "2 decisions and 2 fills already; back it up, and use --replace" in sentence(without, 2)
    assert "add --yes to confirm" in sentence(script, 2)

    words = ["run.py", "db", "restore", str(backup), "--replace"]
    terminal = pexpect.spawn(sys.executable, words, env=env, cwd=ROOT, encoding="utf-8", timeout=60)
    terminal.expect_exact(f"2 decisions and 2 fills in {home} will be deleted")
    terminal.sendline("n")
    terminal.expect_exact("not restored; nothing was changed")
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.exitstatus == 1
    assert counted(home) == (2, 2, 0)

    replaced = run(*words[1:], "--yes", env=env)
    assert (replaced.code, replaced.out) == (0, f"embedded, in {home}: 1 decision and 1 fill restored\n")
    assert counted(home) == (1, 1, 0)


def test_ctrl_c_leaves_no_incomplete_backup(env: dict[str, str], backup: Path, home: Path, tmp_path: Path) -> None:
    """The dump waits for a lock, so that it is under way when the signal comes."""
    with database(home) as holder, holder.transaction():
        holder.execute("LOCK TABLE paper_trades IN ACCESS EXCLUSIVE MODE")
        with Program("db", "backup", str(tmp_path / "b"), env=env) as program:
            this = psutil.Process(program.pid)
            until(lambda: "pg_dump" in {child.name() for child in this.children()}, "pg_dump")
            (dump,) = this.children()
            ended = program.stop()
        assert ended.code == 130
        assert not dump.is_running()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="a disk of its own needs root")
@pytest.mark.parametrize(
    ("options", "code", "reason"),
    [("size=8m", 1, "No space left on device"), ("size=8m,ro", 2, "Read-only file system")],
)
def test_a_disk_that_is_full_or_read_only_is_one_sentence(options: str, code: int, reason: str, tmp_path: Path) -> None:
    mounted = f'mount -t tmpfs -o {options} tmpfs "$0" && exec "$@"'
    command = [sys.executable, "run.py", "start", "--prices", "simulated", "--home", str(tmp_path / "home")]
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", mounted, str(tmp_path), *command],
        env=environment(tmp_path / "home"), cwd=ROOT, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert reason in sentence(Ended(done.returncode, done.stdout, done.stderr), code)
    assert str(tmp_path / "home") in done.stderr


@pytest.mark.parametrize(
    ("words", "variables", "message"),
    [
        ("backup", {}, "holds no database"),
        (
            "backup",
            {"PAPER_DATABASE_URL": "postgresql://u:s3cret-word@h/d"},
            "use pg_dump and pg_restore of that server's version",
        ),
        (
            "restore",
            {"PAPER_DATABASE_URL": "postgresql://u:s3cret-word@h/d"},
            "use pg_dump and pg_restore of that server's version",
        ),
        ("restore", {}, "does not exist"),
    ],
)
def test_backup_and_restore_are_for_the_embedded_database(
    words: str,
    variables: dict[str, str],
    message: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from console.cli import main  # noqa: PLC0415

    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert main(["db", words, str(tmp_path / "b"), "--home", str(tmp_path / "home")]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert len(error.splitlines()) == 1
    assert "s3cret" not in error
    assert list(tmp_path.iterdir()) == []
