"""One delivery attempt through a real address and a real command."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import socket
import threading
import time
from pathlib import Path

import pytest

from actors.settings import Settings
from console.alerts.channels import CommandChannel, UrlChannel, channels
from console.alerts.environment import library_environment
from console.alerts.outbox import Notification
from domain.errors import SettingsError
from tests.support.system.alarms import TEST, alarm, failure, no_proxy, python, state
from tests.support.system.running_system import until
from tests.support.system.web_receiver import HANG, Receiver


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    no_proxy(monkeypatch)


# An address


def test_an_address_is_posted_json() -> None:
    with Receiver() as receiver:
        UrlChannel(receiver.url("/hook?token=1#part")).deliver(Notification(alarm("„über“")), 5)
        post = receiver.got.get(timeout=5)
    assert "/hook?token=1" == post.path
    assert "application/json" == post.headers["content-type"]
    assert ("test", "„über“", "2026-01-05T12:00:00+00:00") == tuple(post.body[n] for n in ("kind", "text", "at"))
    assert "authorization" not in post.headers


def test_user_and_password_of_an_address_are_sent_as_such() -> None:
    with Receiver() as receiver:
        UrlChannel(f"http://me:p%40ss@{receiver.address}/").deliver(Notification(alarm()), 5)
        assert "Basic bWU6cEBzcw==" == receiver.got.get(timeout=5).headers["authorization"]


@pytest.mark.parametrize(
    ("status", "again", "message"),
    [
        (500, True, "127.0.0.1 answered 500: no such thing"),
        (429, True, "127.0.0.1 answered 429: no such thing"),
        (404, False, "127.0.0.1 answered 404: no such thing"),
        (302, False, "127.0.0.1 answered 302; a redirection is not followed: no such thing"),
    ],
)
def test_an_answer_other_than_2xx_is_a_failure(status: int, again: bool, message: str) -> None:
    with Receiver([status], response_body="no such\nthing") as receiver:
        error = failure(UrlChannel(receiver.url()))
        assert (message, again) == (str(error), error.again)
        receiver.got.get(timeout=5)
        assert receiver.got.empty()


def test_a_server_that_hangs_times_out() -> None:
    with Receiver([HANG]) as receiver:
        begun = time.monotonic()
        assert "127.0.0.1 gave no answer within 0.2 s" == str(failure(UrlChannel(receiver.url()), 0.2))
        assert 0.2 <= time.monotonic() - begun < 3


def test_a_server_that_is_not_there_or_speaks_no_http() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    assert "127.0.0.1 cannot be reached: Connection refused" == str(failure(UrlChannel(f"http://127.0.0.1:{port}/x")))
    assert "nowhere.invalid cannot be reached: DNS lookup failed" == str(
        failure(UrlChannel("http://nowhere.invalid/secret"))
    )
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=_hang_up, args=(server,), daemon=True).start()
        message = str(failure(UrlChannel(f"http://127.0.0.1:{server.getsockname()[1]}/secret")))
    assert message.startswith("127.0.0.1 cannot be reached: ")
    assert "secret" not in message


def test_a_server_whose_answer_drips_times_out_and_gets_one_request_at_a_time() -> None:
    ending = threading.Event()

    def drip(server: socket.socket) -> None:
        with server.accept()[0] as client:
            client.recv(10_000)
            while not ending.wait(0.02):
                client.sendall(b"H")

    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(10)
        thread = threading.Thread(target=drip, args=(server,), daemon=True)
        thread.start()
        channel = UrlChannel(f"http://127.0.0.1:{server.getsockname()[1]}/")
        begun = time.monotonic()
        assert "127.0.0.1 gave no complete answer within 0.1 s" == str(failure(channel, 0.1))
        assert time.monotonic() - begun < 3
        assert "127.0.0.1 has not answered an earlier attempt yet" == str(failure(channel, 0.1))
        ending.set()
        thread.join(10)
        assert not thread.is_alive()


def _hang_up(server: socket.socket) -> None:
    server.accept()[0].close()


def test_the_proxy_variables_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    with Receiver() as proxy:
        monkeypatch.setenv("http_proxy", proxy.url(""))
        UrlChannel("http://alerts.invalid/hook").deliver(Notification(alarm()), 5)
        assert "http://alerts.invalid/hook" == proxy.got.get(timeout=5).path
        with Receiver() as direct:
            monkeypatch.setenv("no_proxy", "127.0.0.1")
            UrlChannel(direct.url()).deliver(Notification(alarm()), 5)
            assert "/alerts" == direct.got.get(timeout=5).path


# A command


def test_a_command_gets_the_alarm_on_stdin_and_in_variables(tmp_path: Path) -> None:
    out = tmp_path / "out"
    script = tmp_path / "tell me"
    words = 'echo "$PAPER_ALERT_KIND|$PAPER_ALERT_TEXT|$1|$#"; cat'
    script.write_text(f"#!/bin/sh\n{{ {words}; }} > {shlex.quote(str(out))}\n")
    script.chmod(0o700)
    settings = Settings.isolated(alert_command=f"{shlex.quote(str(script))} '$HOME; true'")
    (channel,) = channels(settings)
    assert ("alert_command", "tell me") == (channel.setting, channel.target)
    channel.deliver(Notification(alarm("„über“ `id`")), 5)
    first, _, document = out.read_text().partition("\n")
    assert "test|„über“ `id`|$HOME; true|1" == first  # no shell has looked at anything
    assert ("test", "„über“ `id`") == tuple(json.loads(document)[name] for name in ("kind", "text"))


def test_the_error_of_a_failed_command_quotes_its_output() -> None:
    assert "sh ended with exit code 3: no such channel" == str(
        failure(CommandChannel(["sh", "-c", "echo no such; echo channel >&2; exit 3"]))
    )
    assert "sh was ended by signal 9" == str(failure(CommandChannel(["sh", "-c", "kill -9 $$"])))
    long = str(failure(python("print('x' * 100_000 + 'the end'); raise SystemExit(1)")))
    assert long.endswith("xthe end")
    assert len(long) < 400


def test_a_command_need_not_read_and_may_leave_something_running() -> None:
    begun = time.monotonic()
    CommandChannel(["sh", "-c", "sleep 3 & exec true"]).deliver(Notification(alarm("x" * 1_000, TEST)), 5)
    assert time.monotonic() - begun < 2


def test_a_command_that_hangs_is_killed_with_all_that_it_started(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    hanging = CommandChannel(["sh", "-c", f"sleep 60 & echo $! $$ > {pids}; echo waiting; wait"])
    assert "sh did not end within 0.5 s: waiting" == str(failure(hanging, 0.5))
    for pid in map(int, pids.read_text().split()):
        until(lambda pid=pid: not Path(f"/proc/{pid}").exists() or "Z" in state(pid))  # type: ignore[misc]


def test_a_program_that_cannot_be_run_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="there is no executable program '/nowhere/tell'"):
        channels(Settings.isolated(alert_command="/nowhere/tell secret"))
    gone = tmp_path / "gone"
    shutil.copy(shutil.which("true") or "/bin/true", gone)
    channel = CommandChannel([str(gone)])
    gone.unlink()
    error = failure(channel)
    assert ("gone cannot be run: No such file or directory", True) == (str(error), error.again)


SECRETS = {
    "PAPER_DATABASE_URL": "postgresql://paper:s3cret@db/paper", "PAPER_ALERT_URL": "https://example.com/s3cret",
    "PGPASSWORD": "s3cret", "PGPASSFILE": "/s3cret", "AWS_SECRET_ACCESS_KEY": "s3cret",
    "https_proxy": "http://u:s3cret@p",
}  # fmt: skip


def test_a_command_gets_no_secret_of_the_service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    needed = {"LANG": "C.UTF-8", "LC_TIME": "C", "TZ": "Asia/Tokyo", "HOME": str(tmp_path), "TMPDIR": str(tmp_path)}
    for name, value in (SECRETS | needed | {"USER": "me", "LOGNAME": "me"}).items():
        monkeypatch.setenv(name, value)
    out = tmp_path / "out"
    CommandChannel(["sh", "-c", f"env -0 > {shlex.quote(str(out))}"]).deliver(Notification(alarm()), 5)
    entries = [entry.partition("=") for entry in out.read_text().split("\0") if entry]
    seen = {name: value for name, _, value in entries if name not in {"PWD", "OLDPWD", "SHLVL", "_"}}  # the shell's own
    expected = {name: value for name, value in os.environ.items() if name.startswith("LC_")}
    expected |= needed | {"USER": "me", "LOGNAME": "me", "PATH": os.environ["PATH"]}
    assert expected | {"PAPER_ALERT_KIND": "test", "PAPER_ALERT_TEXT": "it burns"} == seen


def test_a_service_gets_the_proxies_and_no_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    environment = library_environment()
    assert (None, None, None, b"http://u:s3cret@p") == tuple(
        environment.get(name) for name in (b"PAPER_DATABASE_URL", b"PAPER_ALERT_URL", b"PGPASSWORD", b"https_proxy")
    )
