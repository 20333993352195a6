"""run.py status and the console's socket: the status of the service, also while its database is unreachable."""

from __future__ import annotations

import json
import os
import socket
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from actors import Settings
from console.commands.halts import current_user
from console.debug.protocol import MAX_REQUEST_BYTES, ConsoleConnection, decode, encode, socket_path
from console.debug.server import ConsoleServer
from console.errors import Refused
from domain.errors import NotRunning
from tests.support.database.servers import Server
from tests.support.system.program import Program, environment, run, until


def test_status_shows_actors_and_a_paused_intake(embedded_server: Server, embedded_url: str, tmp_path: Path) -> None:
    env = environment(tmp_path, prices="simulated", database_url=embedded_url)
    with Program("start", env=env) as service:
        service.wait_for()
        decided = run("decide", "BUY", "BTC/USDT", "--confidence", "0.8", "--wait", env=env)
        assert decided.code == 0, decided.err
        status = run("status", "--json", env=env)
        assert status.code == 0, status.err
        process = status.json["process"]
        assert [
            "PriceTracker",
            "Snapshotter",
            "PositionKeeper",
            "ExecutionSimulator",
            "Sizer",
            "DecisionWatcher",
            "Supervisor",
        ] == [actor["actor"] for actor in process["actors"]]
        assert {"idle"} >= {actor["state"] for actor in process["actors"]} - {"busy", "waiting"}
        assert process["prices"]["source"] == "simulated"
        assert process["lease_held"] is True
        assert (process["failures"], process["quarantined"], process["intake_paused_since"]) == ([], 0, None)
        printed = run("status", env=env)
        assert "PositionKeeper" in printed.out
        assert "balance" in printed.out

        embedded_server.stop(immediate=True)
        with ConsoleConnection(socket_path(Settings.isolated(home=tmp_path, database_url=embedded_url))) as connection:
            until(lambda: connection.ask("status")["intake_paused_since"] is not None, "it notices")
            status = run("status", "--json", env=env)
            assert (status.code, status.json["running"], status.json["ledger_ok"]) == (1, True, None)
            assert "the database is unreachable; nothing is lost" in run("status", env=env).out
            embedded_server.start()
            started = time.monotonic()

            def is_renewed() -> bool:
                """Return whether the lease has been renewed since: before that its loss may not have been noticed."""
                process = connection.ask("status")
                return bool(process["lease_held"]) and process["lease_renewed_ago"] < time.monotonic() - started

            until(lambda: connection.ask("status")["intake_paused_since"] is None, "it goes on")
            until(is_renewed, "its lease is renewed by another connection")
        assert run("status", env=env).code == 0
        assert service.stop().code == 0
    assert run("status", env=env).code == 3


def test_the_start_and_status_report_expired_decisions(embedded_url: str, tmp_path: Path) -> None:
    env = environment(tmp_path, prices="simulated", database_url=embedded_url)
    assert 0 == run("db", "upgrade", env=env).code
    with psycopg.connect(embedded_url) as agent:
        agent.execute(
            "INSERT INTO trading_decisions (symbol, decision, confidence, created_at)"
            " SELECT 'BTC/USDT', 'BUY', 1, now() - interval '2 hours' FROM generate_series(1, 2)"
        )
    with Program("start", env=env) as service:
        service.wait_for()
        output = service.printed()
        status = run("status", env=env)
        assert 0 == service.stop().code
    assert "0 waiting\n             2 expired: older than max_decision_age = 300 s when the service started\n" in output
    assert (
        "WARNING 2 decisions expired: older than max_decision_age = 300 s when this process could take them" in output
    )
    line = "expired    2 were older than max_decision_age when this process read them\n"
    assert (0, True) == (status.code, line in status.out)


@contextmanager
def opened(tmp_path: Path, **commands: Any) -> Iterator[Path]:
    path = tmp_path / "console.sock"
    with ConsoleServer(path, commands):
        yield path


def raw(path: Path, *sent: bytes) -> bytes:
    """Return the answer to raw bytes."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(5)
        client.connect(str(path))
        for part in sent:
            client.sendall(part)
        client.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: client.recv(65536), b""))


def test_only_the_owner_may_open_the_socket(tmp_path: Path) -> None:
    with opened(tmp_path) as path:
        assert 0o600 == stat.S_IMODE(path.stat().st_mode)
    assert not path.exists()


def test_an_invalid_request_is_refused_and_the_server_continues(tmp_path: Path) -> None:
    with opened(tmp_path, echo=dict) as path:
        for sent, error in [
            (b"hello\n", "the line is not valid JSON"),
            (b"[" * 20_000 + b"\n", "the line is not valid JSON"),
            (b'{"v": 99, "do": "echo"}\n', "both sides must use version 1"),
            (encode({"id": 1, "do": "rm -rf"}), "there is no command 'rm -rf'"),
            (encode({"id": 1, "do": "echo", "with": 3}), "with must be an object"),
            (b"x" * (MAX_REQUEST_BYTES + 1), "a request has at most 65536 bytes"),
        ]:
            answer = decode(raw(path, sent).splitlines(keepends=True)[0])
            assert answer["ok"] is False
            assert answer["error"].startswith(error)
        assert raw(path, b"") == b""
        assert raw(path, os.urandom(3_000).replace(b"\n", b"")).count(b"\n") == 1
        with ConsoleConnection(path) as line:
            assert {"a": 1, "who": current_user()} == line.ask("echo", a=1)
            with pytest.raises(Refused, match="no command 'x'"):
                line.ask("x")
            assert {"a": 2, "who": current_user()} == line.ask("echo", a=2)


def test_the_error_of_a_failed_command_reaches_its_client_alone(tmp_path: Path) -> None:
    def fail(_: object) -> None:
        raise ZeroDivisionError("oh")

    with (
        opened(tmp_path, fail=fail) as path,
        ConsoleConnection(path) as line,
        pytest.raises(Refused, match="the request failed: ZeroDivisionError"),
    ):
        line.ask("fail")


def test_connecting_without_a_service_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(NotRunning, match="The service is not running; start it with"):
        ConsoleConnection(tmp_path / "console.sock")


def test_a_long_home_has_its_socket_in_a_private_folder(tmp_path: Path) -> None:
    home = tmp_path / ("x" * 120)
    path = socket_path(Settings.isolated(home=home))
    assert len(os.fsencode(path)) <= 103
    with ConsoleServer(path, {"echo": dict}), ConsoleConnection(path) as line:
        assert {"who": current_user()} == line.ask("echo")
        assert 0o700 == stat.S_IMODE(path.parent.stat().st_mode)
    path.parent.rmdir()


def test_each_database_of_a_home_has_a_socket_of_its_own(tmp_path: Path) -> None:
    urls = [None, "postgresql://a@h/one", "postgresql://b:secret@h/two"]
    names = {socket_path(Settings.isolated(home=tmp_path, database_url=url)).name for url in urls}
    assert 3 == len(names)
    assert "secret" not in json.dumps(sorted(names))
