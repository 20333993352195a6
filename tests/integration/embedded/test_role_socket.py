"""The second socket of the embedded server: roles connect with a password, the owner only as the service's user."""

from __future__ import annotations

import json
import os
import pwd
import signal
import socket
import stat
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from actors import Decision, TradingSystem
from console.cli import main
from domain.errors import SettingsError
from persistence.embedded import shared_socket
from persistence.embedded.server import EmbeddedServer
from persistence.embedded.shared_socket import SharedSocket, missing_socket, stored_socket, wanted_socket
from persistence.embedded.watch import CRASHED, EmbeddedWatch
from persistence.roles.urls import own_user_warning, role_url
from persistence.sessions.address import make_url, parse_url
from tests.support.captured_log import captured_log
from tests.support.database.postmaster import postmaster_pid
from tests.support.other_user import OtherUser, other_user
from tests.support.system.running_system import running_system, until

__all__ = ["other_user"]  # a fixture


@pytest.fixture
def shared(folder: Path) -> Path:
    """The folder of the second socket; the one above can be passed by others."""
    folder.chmod(0o755)
    return folder / "shared"


def created(home: Path, shared: Path, capsys: pytest.CaptureFixture[str], *options: str) -> dict[str, Any]:
    """Run `db role create agent --sender` with its options; return the document."""
    words = ["db", "role", "create", "agent", *(options or ["--sender"])]
    assert 0 == main([*words, f"--home={home}", f"--socket-folder={shared}", "--json"]), capsys.readouterr().err
    document: dict[str, Any] = json.loads(capsys.readouterr().out)
    return document


@pytest.fixture
def served(home: Path) -> Iterator[EmbeddedServer]:
    """A server of which this process is a user."""
    server = EmbeddedServer.attach(home)
    yield server
    server.release()


def connects(url: str, **changes: str) -> str | None:
    """Return None if a URL connects, else the server's words."""
    try:
        psycopg.connect(make_url(parse_url(url) | changes)).close()
    except psycopg.OperationalError as error:
        return str(error)
    return None


def test_the_socket_opens_with_the_next_start_and_asks_for_the_password(
    home: Path, shared: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    document = created(home, shared, capsys)
    url = document["url"]
    assert {"role": "agent", "kinds": ["sender"], "socket_folder": str(shared)} == {
        name: document[name] for name in ("role", "kinds", "socket_folder")
    }
    assert connects(url) is not None  # the command was the only user of the server
    server = EmbeddedServer.attach(home)
    try:
        assert connects(url) is None
        assert "password authentication failed" in (connects(url, password="wrong") or "")
        assert connects(url, user="nobody_here", password="x") is not None
        # The owner and the superuser are processes of this user, on either socket, without a password.
        for user in ("paper", "postgres"):
            assert connects(server.url, user=user) is None
            assert connects(url, user=user) is None
        # A role has to know its password on the first socket, too.
        assert connects(server.url, user="agent") is not None
    finally:
        server.release()


def connect_often(url: str, times: int, sessions: ExitStack) -> None:
    for _ in range(times):
        sessions.enter_context(closing(psycopg.connect(url)))


def test_roles_that_use_up_all_connections_leave_the_owner_some(
    home: Path, shared: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url = created(home, shared, capsys)["url"]
    server = EmbeddedServer.attach(home)
    with ExitStack() as sessions:
        sessions.callback(server.release)
        with psycopg.connect(server.url, user="postgres") as superuser:
            superuser.execute("ALTER ROLE agent CONNECTION LIMIT -1")
        with pytest.raises(psycopg.OperationalError, match="remaining connection slots are reserved"):
            connect_often(url, 100, sessions)
        connect_often(server.url, 15, sessions)


@pytest.mark.slow
def test_a_running_server_opens_it_on_request_and_a_service_goes_on(
    home: Path, shared: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server = EmbeddedServer.attach(home)
    try:
        with running_system(server.url) as system:
            before = system.submit(Decision(symbol="BTC/USDT", decision="BUY", confidence="0.75")).get(timeout=10)
            document = created(home, shared, capsys, "--sender", "--restart")
            assert document["socket_open"]
            with TradingSystem.attach(document["url"]) as agent:
                sent = agent.submit(Decision(symbol="ETH/USDT", decision="BUY", confidence="0.75"))
                outcome = sent.get(timeout=20)
            assert ("executed", "executed") == (before.status, outcome.status)
            assert [] == system.ledger_reader.ledger_differences()
    finally:
        server.release()


def test_without_a_restart_it_is_said_when_it_opens(
    home: Path, shared: Path, served: EmbeddedServer, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["db", "role", "create", "agent", "--sender", f"--home={home}", f"--socket-folder={shared}"]
    assert 0 == main(words)
    output = capsys.readouterr()
    (url,) = output.out.splitlines()
    assert "agent" == conninfo_to_dict(url)["user"]
    assert f"The socket in {shared} opens at the next start of the service" in output.err
    assert "can always become the owner of the database" in output.err
    assert str(conninfo_to_dict(url)["password"]) not in output.err
    # What was there before works without any setting: the owner's URL, and commands of this user.
    assert connects(served.url) is None
    assert 0 == main(["db", "url", f"--home={home}"])
    assert served.url == capsys.readouterr().out.strip()
    assert 0 == main(["decide", "HOLD", "BTC/USDT", "--confidence=1", f"--home={home}"])


def test_another_user_is_a_role_and_never_the_owner(
    home: Path, shared: Path, other_user: OtherUser, capsys: pytest.CaptureFixture[str]
) -> None:
    url = created(home, shared, capsys)["url"]
    server = EmbeddedServer.attach(home)
    try:
        with running_system(server.url) as system:
            words = ("decide", "BUY", "BTC/USDT", "--confidence=0.75", "--wait", "--json")
            done = other_user.run(*words, database_url=url)
            assert (0, "") == (done.code, done.err)
            assert "executed" == done.json["outcome"]
            for user in ("paper", "postgres"):
                as_owner = other_user.run("decisions", database_url=make_url(parse_url(url) | {"user": user}))
                assert (1, "") == (as_owner.code, as_owner.out)
                assert "peer authentication failed" in as_owner.err.lower()
            # The first socket is in a folder that this user cannot enter.
            assert "Permission denied" in other_user.run("decisions", database_url=server.url).err
            refused = other_user.run("portfolio", "create", "mine", "--capital=1000000", database_url=url)
            assert (1, "") == (refused.code, refused.out)
            assert "role agent may not do this (permission denied for table paper_trading_config)" in refused.err
            assert {"executed": 1} == system.ledger_reader.outcomes()
    finally:
        server.release()


@pytest.mark.slow
def test_a_group_alone_may_enter_the_folder(home: Path, shared: Path, capsys: pytest.CaptureFixture[str]) -> None:
    created(home, shared, capsys, "--sender", "--socket-group=root")
    assert (0o750, "root") == (stat.S_IMODE(shared.stat().st_mode), shared.group())
    assert SharedSocket(str(shared), 0o750, "root") == stored_socket(home)
    for option, message in (
        ("--socket-mode=777", "others may not write"),
        ("--socket-mode=rwx", "three octal digits"),
        ("--socket-group=no_such_group", "no group 'no_such_group'"),
        (f"--socket-folder={home}/inside", "choose one outside"),
        ("--socket-folder=relative", "must be absolute"),
    ):
        assert 2 == main(["db", "role", "create", "second", "--reader", f"--home={home}", option])
        assert message in capsys.readouterr().err


def test_a_folder_with_other_files_or_of_another_user_is_left_alone(
    home: Path, shared: Path, other_user: OtherUser, served: EmbeddedServer
) -> None:
    shared.mkdir(mode=0o700)
    (shared / "letter").touch()
    with pytest.raises(SettingsError, match="holds other files"):
        served.open_to_roles(wanted_socket(home, str(shared)))
    (shared / "letter").unlink()
    os.chown(shared, other_user.uid, other_user.gid)
    with pytest.raises(SettingsError, match="belongs to another user"):
        served.open_to_roles(wanted_socket(home, str(shared)))
    assert (0o700, other_user.uid) == (stat.S_IMODE(shared.stat().st_mode), shared.stat().st_uid)
    assert stored_socket(home) is None
    shared.rmdir()
    shared.symlink_to(home)
    with pytest.raises(SettingsError, match="cannot be used"):
        served.open_to_roles(SharedSocket(str(shared)))


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


def test_a_folder_that_cannot_be_used_keeps_nobody_from_starting(
    home: Path, shared: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url = created(home, shared, capsys)["url"]
    shared.rmdir()
    shared.touch()
    with captured_log(level="INFO") as lines:
        server = EmbeddedServer.attach(home)
    try:
        assert connects(server.url) is None
        assert connects(url) is not None
        assert any(f"the folder {shared} for the second socket cannot be used" in line for line in lines)
        # A command may have started the server, and have warned where nobody reads: all that come later say it, too.
        assert missing(home, capsys).startswith(f"the folder {shared} for the second socket cannot be used (Not a dir")
    finally:
        server.release()
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


@pytest.mark.parametrize("data", ["{home}/postgres", "/elsewhere/postgres"])
def test_a_lock_that_a_killed_server_left_keeps_it_from_nothing(
    data: str, home: Path, shared: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url = created(home, shared, capsys)["url"]
    with process_of_the_server_user(home) as pid:  # its id was the server's
        leave_lock(home, shared, pid, data.format(home=home))
        server = EmbeddedServer.attach(home)
        try:
            assert (None, None) == (connects(url), server.missing_socket())
        finally:
            server.release()


def test_the_second_socket_of_another_database_is_left_alone(
    home: Path, shared: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    created(home, shared, capsys)
    shared.chmod(0o711)
    with process_of_the_server_user(home, "600") as pid:
        content = leave_lock(home, shared, pid, "600")  # a word of the process's command line, as of a server's
        server = EmbeddedServer.attach(home)
        try:
            refusal = f"the folder {shared} for the second socket has that of the database in 600"
            assert str(server.missing_socket()).startswith(f"{refusal}; choose another one with --socket-folder; until")
            with pytest.raises(SettingsError, match=refusal):
                server.open_to_roles(wanted_socket(home, str(shared)))
        finally:
            server.release()
    assert (content, 0o711) == (
        (shared / ".s.PGSQL.5432.lock").read_text(encoding="utf-8"), stat.S_IMODE(shared.stat().st_mode)
    )  # fmt: skip


def test_a_socket_that_only_the_server_finds_unusable_keeps_it_from_nothing(
    home: Path, shared: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    created(home, shared, capsys)
    with process_of_the_server_user(home) as pid:
        leave_lock(home, shared, pid, f"{home}/postgres")
        # As if another server had made it between the check and the start.
        monkeypatch.setattr(shared_socket, "disarm_stale_lock", lambda *_: None)
        server = EmbeddedServer.attach(home)
        try:
            assert connects(server.url) is None
            reason = str(server.missing_socket())
            assert reason.startswith("the second socket cannot be opened (lock file ")
            assert reason.endswith("until then roles with a password cannot connect")
        finally:
            server.release()


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


def test_a_folder_that_the_user_of_the_server_cannot_reach_is_refused(home: Path, folder: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root's server is of another user")
    (folder / "closed").mkdir(mode=0o700)
    server = EmbeddedServer.attach(home)
    try:
        wanted = wanted_socket(home, str(folder / "closed" / "shared"))
        with pytest.raises(SettingsError, match=r"cannot be reached by \w+, the user of the server"):
            server.open_to_roles(wanted)
        assert stored_socket(home) is None
        (folder / "closed").chmod(0o755)
        server.open_to_roles(wanted)
    finally:
        server.release()
    (folder / "closed").chmod(0o700)
    with captured_log(level="INFO") as lines:
        EmbeddedServer.attach(home).release()
    assert any("cannot be reached" in line for line in lines)
    assert "cannot be reached" in str(missing_socket(home))


def test_the_default_folder_stays_when_the_server_stops_so_that_nobody_else_can_make_it(home: Path) -> None:
    server = EmbeddedServer.attach(home)
    try:
        assert server.open_to_roles(wanted_socket(home), restart=True)
    finally:
        server.release()
    place = Path(wanted_socket(home).folder)
    try:
        assert ([], server._cluster.user()[0]) == (list(place.iterdir()), place.stat().st_uid)
    finally:
        place.rmdir()


def test_a_role_of_this_user_is_warned_that_it_limits_nothing(tmp_path: Path) -> None:
    own = pwd.getpwuid(os.geteuid()).pw_name
    url = role_url("postgresql://paper@:5432/paper?host=/home/postgres", "agent", "p@ss word", folder=tmp_path)
    assert {
        "user": "agent", "password": "p@ss word", "host": str(tmp_path), "port": "5432", "dbname": "paper",
        "requirepeer": own,
    } == parse_url(url)  # fmt: skip
    warning = own_user_warning(url)
    assert warning is not None
    assert f"this process runs as {own}, who can become the owner" in warning
    assert own_user_warning("postgresql://agent:secret@db.example/paper") is None
    assert own_user_warning("postgresql://paper@:5432/paper?host=/home/postgres") is None


def test_the_url_of_a_role_has_nothing_of_the_owners() -> None:
    owner = "postgresql://paper:owner@db.example:5433/paper?sslmode=verify-full&sslrootcert=/ca&sslkey=/k&sslcert=/c"
    expected = "postgresql://agent:secret@db.example:5433/paper?sslmode=verify-full&sslrootcert=/ca"
    assert expected == role_url(owner, "agent", "secret")
    unknown = role_url("postgresql://paper@db.example:5433/paper", "agent")
    assert "postgresql://agent:PASSWORD@db.example:5433/paper" == unknown
