"""The second socket of the embedded server: roles connect with a password, the owner only as the service's user."""

from __future__ import annotations

import os
import pwd
import stat
from contextlib import ExitStack, closing
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from actors import Decision, TradingSystem
from console.cli import main
from domain.errors import SettingsError
from persistence.embedded.errors import EmbeddedServerError
from persistence.embedded.server import EmbeddedServer
from persistence.embedded.shared_socket import SharedSocket, missing_socket, stored_socket, wanted_socket
from persistence.roles.urls import own_user_warning, role_url
from persistence.sessions.address import make_url, parse_url
from tests.support.captured_log import captured_log
from tests.support.embedded.second_socket import attached, connects, created, served, shared
from tests.support.other_user import OtherUser, other_user
from tests.support.system.running_system import running_system

__all__ = ["other_user", "served", "shared"]  # fixtures


def test_the_socket_opens_with_the_next_start_and_asks_for_the_password(
    home: Path, shared: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    document = created(home, shared, capsys)
    url = document["url"]
    assert {"role": "agent", "kinds": ["sender"], "socket_folder": str(shared)} == {
        name: document[name] for name in ("role", "kinds", "socket_folder")
    }
    assert connects(url) is not None  # the command was the only user of the server
    with attached(home) as server:
        assert connects(url) is None
        assert "password authentication failed" in (connects(url, password="wrong") or "")
        assert connects(url, user="nobody_here", password="x") is not None
        # The owner and the superuser are processes of this user, on either socket, without a password.
        for user in ("paper", "postgres"):
            assert connects(server.url, user=user) is None
            assert connects(url, user=user) is None
        # A role has to know its password on the first socket, too.
        assert connects(server.url, user="agent") is not None


def connect_often(url: str, times: int, sessions: ExitStack) -> None:
    for _ in range(times):
        sessions.enter_context(closing(psycopg.connect(url)))


@pytest.mark.slow
def test_roles_that_use_up_all_connections_leave_the_owner_some(
    home: Path, shared: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url = created(home, shared, capsys)["url"]
    with attached(home) as server, ExitStack() as sessions:
        with psycopg.connect(server.url, user="postgres") as superuser:
            superuser.execute("ALTER ROLE agent CONNECTION LIMIT -1")
        with pytest.raises(psycopg.OperationalError, match="remaining connection slots are reserved"):
            connect_often(url, 100, sessions)
        connect_often(server.url, 15, sessions)


@pytest.mark.slow
def test_a_running_server_opens_it_on_request_and_a_service_goes_on(
    home: Path, shared: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with attached(home) as server, running_system(server.url) as system:
        before = system.submit(Decision(symbol="BTC/USDT", decision="BUY", confidence="0.75")).get(timeout=10)
        document = created(home, shared, capsys, "--sender", "--restart")
        assert document["socket_open"]
        with TradingSystem.attach(document["url"]) as agent:
            sent = agent.submit(Decision(symbol="ETH/USDT", decision="BUY", confidence="0.75"))
            outcome = sent.get(timeout=20)
        assert ("executed", "executed") == (before.status, outcome.status)
        assert [] == system.ledger_reader.ledger_differences()


@pytest.mark.slow
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


@pytest.mark.slow
def test_another_user_is_a_role_and_never_the_owner(
    home: Path, shared: Path, other_user: OtherUser, capsys: pytest.CaptureFixture[str]
) -> None:
    url = created(home, shared, capsys)["url"]
    with attached(home) as server, running_system(server.url) as system:
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


@pytest.mark.slow
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


@pytest.mark.slow
def test_a_folder_that_the_user_of_the_server_cannot_reach_is_refused(home: Path, folder: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root's server is of another user")
    (folder / "closed").mkdir(mode=0o700)
    with attached(home) as server:
        wanted = wanted_socket(home, str(folder / "closed" / "shared"))
        with pytest.raises(SettingsError, match=r"cannot be reached by \w+, the user of the server"):
            server.open_to_roles(wanted)
        assert stored_socket(home) is None
        (folder / "closed").chmod(0o755)
        server.open_to_roles(wanted)
    (folder / "closed").chmod(0o700)
    with captured_log(level="INFO") as lines:
        EmbeddedServer.attach(home).release()
    assert any("cannot be reached" in line for line in lines)
    assert "cannot be reached" in str(missing_socket(home))


@pytest.mark.slow
def test_the_default_folder_stays_when_the_server_stops_so_that_nobody_else_can_make_it(home: Path) -> None:
    with attached(home) as server:
        assert server.open_to_roles(wanted_socket(home), restart=True)
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


@pytest.mark.slow
def test_an_authentication_file_that_is_a_link_is_not_read(home: Path, shared: Path, served: EmbeddedServer) -> None:
    """The user of the server could have put it there, and root reads what it leads to."""
    authentication, secret = home / "postgres" / "pg_hba.conf", home / "secret"
    authentication.rename(secret)
    authentication.symlink_to(secret)
    content = secret.read_bytes()
    with pytest.raises(EmbeddedServerError, match=r"pg_hba.conf: it is a link"):
        served.open_to_roles(wanted_socket(home, str(shared)))
    assert (True, content, None) == (authentication.is_symlink(), secret.read_bytes(), stored_socket(home))
