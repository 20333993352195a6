"""Where the second socket of the embedded server is not open: trading goes on, and status and log give the reason."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest

from console.cli import main
from domain.errors import SettingsError
from persistence.embedded import shared_socket
from persistence.embedded.server import EmbeddedServer
from persistence.embedded.shared_socket import missing_socket, wanted_socket
from persistence.embedded.watch import CRASHED, EmbeddedWatch
from tests.support.captured_log import captured_log
from tests.support.database.postmaster import postmaster_pid
from tests.support.embedded.second_socket import attached, connects, created, served, shared
from tests.support.system.running_system import until

__all__ = ["served", "shared"]  # fixtures


def missing(home: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """Return what `status` and `check` say alike of a second socket that is not open; empty without that."""
    capsys.readouterr()
    sentences = set()
    for command in ("status", "check"):
        main([command, f"--home={home}", "--json"])
        document = json.loads(capsys.readouterr().out)
        sentences.add((document["database"] if command == "check" else document)["socket_missing"])
    (sentence,) = sentences
    return sentence or ""


@pytest.mark.slow
def test_a_folder_that_cannot_be_used_keeps_nobody_from_starting(
    home: Path, shared: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url = created(home, shared, capsys)["url"]
    shared.rmdir()
    shared.touch()
    unusable = f"the folder {shared} for the second socket cannot be used"
    with ExitStack() as stack:
        with captured_log(level="INFO") as lines:
            server = stack.enter_context(attached(home))
        assert connects(server.url) is None
        assert connects(url) is not None
        assert any(unusable in line for line in lines)
        # A command may have started the server, and have warned where nobody reads: all that come later say it, too.
        assert missing(home, capsys).startswith(f"{unusable} (Not a dir")
    shared.unlink()
    assert "" == missing(home, capsys)  # the folder is there again


@contextmanager
def process_of_the_server_user(home: Path, *arguments: str) -> Iterator[int]:
    """Run a process of the user of a home's server; yield its id."""
    owner = (home / "postgres").stat()
    user = {"user": owner.st_uid, "group": owner.st_gid} if os.geteuid() == 0 else {}
    with subprocess.Popen(["sleep", "600", *arguments], cwd="/", **user) as process:  # type: ignore[call-overload]
        try:
            yield process.pid
        finally:
            process.kill()


def leave_lock(home: Path, shared: Path, pid: int, data: str) -> str:
    """Leave a lock beside the second socket, as a server does that is killed; return its content."""
    lock = shared / ".s.PGSQL.5432.lock"
    content = f"{pid}\n{data}\n1790000000\n5432\n{shared}\n"
    lock.write_text(content, encoding="utf-8")
    owner = (home / "postgres").stat()
    os.chown(lock, owner.st_uid, owner.st_gid)
    return content


@pytest.mark.slow
@pytest.mark.parametrize("data", ["{home}/postgres", "/elsewhere/postgres"])
def test_a_lock_that_a_killed_server_left_keeps_it_from_nothing(
    data: str, home: Path, shared: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url = created(home, shared, capsys)["url"]
    with process_of_the_server_user(home) as pid:  # its id was the server's
        leave_lock(home, shared, pid, data.format(home=home))
        with attached(home) as server:
            assert (None, None) == (connects(url), server.missing_socket())


@pytest.mark.slow
def test_the_second_socket_of_another_database_is_left_alone(
    home: Path, shared: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    created(home, shared, capsys)
    shared.chmod(0o711)
    with process_of_the_server_user(home, "600") as pid:
        content = leave_lock(home, shared, pid, "600")  # a word of the process's command line, as of a server's
        with attached(home) as server:
            refusal = f"the folder {shared} for the second socket has that of the database in 600"
            assert str(server.missing_socket()).startswith(f"{refusal}; choose another one with --socket-folder; until")
            with pytest.raises(SettingsError, match=refusal):
                server.open_to_roles(wanted_socket(home, str(shared)))
    assert (content, 0o711) == (
        (shared / ".s.PGSQL.5432.lock").read_text(encoding="utf-8"), stat.S_IMODE(shared.stat().st_mode)
    )  # fmt: skip


@pytest.mark.slow
def test_a_socket_that_only_the_server_finds_unusable_keeps_it_from_nothing(
    home: Path, shared: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    created(home, shared, capsys)
    with process_of_the_server_user(home) as pid:
        leave_lock(home, shared, pid, f"{home}/postgres")
        # As if another server had made it between the check and the start.
        monkeypatch.setattr(shared_socket, "disarm_stale_lock", lambda *_: None)
        with attached(home) as server:
            assert connects(server.url) is None
            reason = str(server.missing_socket())
            assert reason.startswith("the second socket cannot be opened (lock file ")
            assert reason.endswith("until then roles with a password cannot connect")


@pytest.mark.slow
def test_an_unreadable_choice_of_the_socket_is_one_sentence(
    home: Path, shared: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    created(home, shared, capsys)
    for content in (
        "",
        "[]",
        '{"folder": 5, "mode": "755", "group": null}',
        '{"folder": "/x", "mode": 7, "group": null}',
    ):
        (home / "postgres.sockets").write_text(content, encoding="utf-8")
        assert f"{home}/postgres.sockets cannot be read (" in str(missing_socket(home))


@pytest.mark.slow
def test_the_socket_of_the_metrics_is_no_other_file(home: Path, shared: Path, served: EmbeddedServer) -> None:
    shared.mkdir()
    with closing(socket.socket(socket.AF_UNIX)) as metrics:
        metrics.bind(str(shared / "metrics.sock"))
        assert served.open_to_roles(wanted_socket(home, str(shared)), restart=True)
        assert served.missing_socket() is None


def test_a_socket_that_goes_is_reported_until_it_is_back(home: Path, shared: Path, served: EmbeddedServer) -> None:
    served.open_to_roles(wanted_socket(home, str(shared)), restart=True)
    watch = EmbeddedWatch(served, interval=0.05)
    with captured_log("persistence.embedded.watch") as lines:
        watch.start()
        try:
            (shared / ".s.PGSQL.5432").unlink()
            until(lambda: len(lines) == 1)
            os.kill(postmaster_pid(home), signal.SIGKILL)
            until(lambda: len(lines) == 4)
        finally:
            watch.stop()
    gone = f"the server has no socket in {shared}; restart the service; until then roles with a password cannot connect"
    assert [
        f"WARNING {gone}",
        f"WARNING {CRASHED}",
        "INFO the embedded PostgreSQL runs again",
        "INFO no second socket is missing any more",
    ] == lines
    (shared / ".s.PGSQL.5432").unlink()
    assert not served.open_to_roles(wanted_socket(home))
    assert served.open_to_roles(wanted_socket(home), restart=True)
    assert served.missing_socket() is None
