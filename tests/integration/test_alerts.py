"""Alarms reach people over a real web server and real programs, whatever goes wrong on the way; nobody waits for it."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import socket
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from loguru import logger

from actors.settings import Settings
from console import alerts, logs
from console.alert_channels import Channel, CommandChannel, UrlChannel, channels
from console.alerts import AlertSender
from console.outbox import Letter
from domain.alarms import Alarm, AlarmKind
from domain.errors import AlertFailed, SettingsError
from tests.integration.running import until
from tests.receiver import HANG, Receiver

TEST = AlarmKind.TEST


def alarm(text: str = "it burns", kind: AlarmKind = TEST) -> Alarm:
    return Alarm(datetime(2026, 1, 5, 12, tzinfo=UTC), kind, text)


def python(code: str) -> CommandChannel:
    return CommandChannel([sys.executable, "-c", code])


def failure(channel: Channel, limit: float = 5.0) -> AlertFailed:
    with pytest.raises(AlertFailed) as failed:
        channel.deliver(Letter(alarm()), limit)
    return failed.value


@pytest.fixture
def said() -> Iterator[list[str]]:
    """What the log says from INFO on."""
    lines: list[str] = []
    sink = logger.add(lambda line: lines.append(line.rstrip("\n")), level="INFO", format="{level} {message}")
    yield lines
    logger.remove(sink)


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(logs, "_secrets", set())


# One try over the web


def test_an_address_is_posted_json() -> None:
    with Receiver() as receiver:
        UrlChannel(receiver.url("/hook?token=1#part")).deliver(Letter(alarm("„über“")), 5)
        post = receiver.got.get(timeout=5)
    assert "/hook?token=1" == post.path
    assert "application/json" == post.headers["content-type"]
    assert ("test", "„über“", "2026-01-05T12:00:00+00:00") == tuple(post.body[n] for n in ("kind", "text", "at"))
    assert "authorization" not in post.headers


def test_user_and_password_of_an_address_are_sent_as_such() -> None:
    with Receiver() as receiver:
        UrlChannel(f"http://me:p%40ss@{receiver.address}/").deliver(Letter(alarm()), 5)
        assert "Basic bWU6cEBzcw==" == receiver.got.get(timeout=5).headers["authorization"]


@pytest.mark.parametrize(
    ("status", "again", "told"),
    [
        (500, True, "127.0.0.1 answered 500: no such thing"),
        (429, True, "127.0.0.1 answered 429: no such thing"),
        (404, False, "127.0.0.1 answered 404: no such thing"),
        (302, False, "127.0.0.1 answered 302; a redirection is not followed: no such thing"),
    ],
)
def test_an_answer_that_is_none(status: int, again: bool, told: str) -> None:
    with Receiver([status], said="no such\nthing") as receiver:
        error = failure(UrlChannel(receiver.url()))
        assert (told, again) == (str(error), error.again)
        receiver.got.get(timeout=5)
        assert receiver.got.empty()


def test_a_server_that_hangs_is_given_up_in_time() -> None:
    with Receiver([HANG]) as receiver:
        begun = time.monotonic()
        assert "127.0.0.1 gave no answer within 0.2 s" == str(failure(UrlChannel(receiver.url()), 0.2))
        assert 0.2 <= time.monotonic() - begun < 3


def test_a_server_that_is_not_there_or_speaks_no_http() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    assert "127.0.0.1 cannot be reached: Connection refused" == str(failure(UrlChannel(f"http://127.0.0.1:{port}/x")))
    assert "nowhere.invalid cannot be found: no address is known for this name" == str(
        failure(UrlChannel("http://nowhere.invalid/secret"))
    )
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=_hang_up, args=(server,), daemon=True).start()
        told = str(failure(UrlChannel(f"http://127.0.0.1:{server.getsockname()[1]}/secret")))
    assert told.startswith("127.0.0.1 cannot be reached: ")
    assert "secret" not in told


def test_a_server_whose_answer_drips_is_given_up_in_time_and_not_asked_twice_at_once() -> None:
    ending = threading.Event()

    def drip(server: socket.socket) -> None:
        with server.accept()[0] as client:
            client.recv(10_000)
            while not ending.wait(0.02):
                client.sendall(b"H")

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=drip, args=(server,))
        thread.start()
        channel = UrlChannel(f"http://127.0.0.1:{server.getsockname()[1]}/")
        begun = time.monotonic()
        assert "127.0.0.1 gave no whole answer within 0.1 s" == str(failure(channel, 0.1))
        assert time.monotonic() - begun < 3
        assert "127.0.0.1 keeps an earlier try waiting" == str(failure(channel, 0.1))
        ending.set()
        thread.join()


def _hang_up(server: socket.socket) -> None:
    server.accept()[0].close()


def test_a_proxy_is_kept_to(monkeypatch: pytest.MonkeyPatch) -> None:
    with Receiver() as proxy:
        monkeypatch.setenv("http_proxy", proxy.url(""))
        UrlChannel("http://alerts.invalid/hook").deliver(Letter(alarm()), 5)
        assert "http://alerts.invalid/hook" == proxy.got.get(timeout=5).path
        with Receiver() as direct:
            monkeypatch.setenv("no_proxy", "127.0.0.1")
            UrlChannel(direct.url()).deliver(Letter(alarm()), 5)
            assert "/alerts" == direct.got.get(timeout=5).path


# One try by a command


def test_a_command_finds_the_alarm_on_stdin_and_in_variables(tmp_path: Path) -> None:
    out = tmp_path / "out"
    script = tmp_path / "tell me"
    words = 'echo "$PAPER_ALERT_KIND|$PAPER_ALERT_TEXT|$1|$#"; cat'
    script.write_text(f"#!/bin/sh\n{{ {words}; }} > {shlex.quote(str(out))}\n")
    script.chmod(0o700)
    settings = Settings.isolated(alert_command=f"{shlex.quote(str(script))} '$HOME; true'")
    (channel,) = channels(settings)
    assert ("alert_command", "tell me") == (channel.setting, channel.target)
    channel.deliver(Letter(alarm("„über“ `id`")), 5)
    first, _, document = out.read_text().partition("\n")
    assert "test|„über“ `id`|$HOME; true|1" == first  # no shell has looked at anything
    assert ("test", "„über“ `id`") == tuple(json.loads(document)[name] for name in ("kind", "text"))


def test_a_command_that_fails_says_why() -> None:
    assert "sh ended with exit code 3: no such channel" == str(
        failure(CommandChannel(["sh", "-c", "echo no such; echo channel >&2; exit 3"]))
    )
    assert "sh was ended by signal 9" == str(failure(CommandChannel(["sh", "-c", "kill -9 $$"])))
    long = str(failure(python("print('x' * 100_000 + 'the end'); raise SystemExit(1)")))
    assert long.endswith("xthe end")
    assert len(long) < 400


def test_a_command_need_not_read_and_may_leave_something_running() -> None:
    begun = time.monotonic()
    CommandChannel(["sh", "-c", "sleep 3 & exec true"]).deliver(Letter(alarm("x" * 1_000, TEST)), 5)
    assert time.monotonic() - begun < 2


def test_a_command_that_hangs_is_killed_with_all_that_it_started(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    hanging = CommandChannel(["sh", "-c", f"sleep 60 & echo $! $$ > {pids}; echo waiting; wait"])
    assert "sh did not end within 0.5 s: waiting" == str(failure(hanging, 0.5))
    for pid in map(int, pids.read_text().split()):
        until(lambda pid=pid: not Path(f"/proc/{pid}").exists() or "Z" in _state(pid))  # type: ignore[misc]


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return "Z"


def test_a_program_that_cannot_be_run_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="there is no program '/nowhere/tell' that can be run"):
        channels(Settings.isolated(alert_command="/nowhere/tell secret"))
    gone = tmp_path / "gone"
    shutil.copy(shutil.which("true") or "/bin/true", gone)
    channel = CommandChannel([str(gone)])
    gone.unlink()
    error = failure(channel)
    assert ("gone cannot be run: No such file or directory", True) == (str(error), error.again)


# Many, from a thread of their own


class Recording:
    """A channel that does what the test says, and remembers."""

    setting, target = "alert_test", "the test"

    def __init__(self, *fails: AlertFailed | Exception) -> None:
        self.fails = list(fails)
        self.letters: list[Letter] = []
        self.tried = 0
        self.told = threading.Semaphore(0)

    def deliver(self, letter: Letter, limit: float) -> None:
        self.tried += 1
        if self.fails:
            raise self.fails.pop(0)
        self.letters.append(letter)
        self.told.release()

    def abort(self) -> None:
        """Nothing runs."""


def test_500_then_200_is_told_once(said: list[str]) -> None:
    with Receiver([500, 500]) as receiver, AlertSender([UrlChannel(receiver.url())], longest=0.01) as sender:
        sender.sound(alarm())
        assert ["it burns"] * 3 == [receiver.next()["text"] for _ in range(3)]
    assert receiver.got.empty()
    assert ["WARNING alert_url could not be told, and is tried again: 127.0.0.1 answered 500"] == said
    assert 0 == sender.undelivered


def test_a_flood_is_one_letter_a_window_and_all_are_counted() -> None:
    channel = Recording()
    with AlertSender([channel], window=0.3) as sender:
        for number in range(1_000):
            sender.sound(alarm(f"number {number}"))
        assert channel.told.acquire(timeout=5)
        until(lambda: sum(letter.count for letter in channel.letters) == 1_000)
        assert "number 999" == channel.letters[-1].alarm.text
    assert len(channel.letters) <= 5  # two, unless the machine was very busy


def test_a_receiver_that_hangs_keeps_neither_the_caller_nor_another_one_waiting() -> None:
    channel = Recording()
    with Receiver([HANG] * 9) as receiver:
        with AlertSender([UrlChannel(receiver.url()), channel], limit=20) as sender:
            begun = time.monotonic()
            for _ in range(100):
                sender.sound(alarm())
            assert time.monotonic() - begun < 1
            assert channel.told.acquire(timeout=5)
            receiver.next()
            begun = time.monotonic()
        assert time.monotonic() - begun < 3  # the stop waits for a moment only


def test_what_cannot_be_told_is_given_up_counted_logged_and_said_with_the_next_one(said: list[str]) -> None:
    channel = Recording(AlertFailed("no", again=False), ValueError("a fault of ours"))
    with AlertSender([channel], window=0) as sender:
        for kind in (AlarmKind.HALT, AlarmKind.QUARANTINE, AlarmKind.TEST):
            sender.sound(alarm(kind=kind))
        assert channel.told.acquire(timeout=5)
    assert [(AlarmKind.TEST, 2)] == [(letter.alarm.kind, letter.undelivered) for letter in channel.letters]
    assert [
        "ERROR alert_test is not told of halt (1 alarms): no",
        "ERROR alert_test is not told of quarantine (1 alarms): ValueError('a fault of ours')",
    ] == said
    assert 2 == sender.undelivered


def test_trying_again_has_an_end(said: list[str]) -> None:
    channel = Recording(*[AlertFailed("still no")] * 1_000)
    with AlertSender([channel], patience=0.05, longest=0.01) as sender:
        sender.sound(alarm())
        until(lambda: sender.undelivered == 1)
    assert 1 < channel.tried < 100
    assert "ERROR alert_test is not told of test (1 alarms): still no" == said[-1]


def test_the_end_waits_a_moment_and_longer_for_why_the_process_ends(said: list[str]) -> None:
    with Receiver([500, 500]) as receiver:
        with AlertSender([UrlChannel(receiver.url())]) as sender:
            sender.sound(alarm("gave up", AlarmKind.RESTART_LIMIT))
        assert ["gave up"] * 3 == [receiver.next(0.1)["text"] for _ in range(3)]
    assert 0 == sender.undelivered
    channel = Recording(*[AlertFailed("no")] * 1_000)
    begun = time.monotonic()
    with AlertSender([channel]) as sender:
        sender.sound(alarm(kind=AlarmKind.HALT))
        until(lambda: channel.tried > 0)
    assert time.monotonic() - begun < 3
    assert 1 == sender.undelivered
    assert "ERROR alert_test is not told of halt (1 alarms): no" == said[-1]


def test_the_end_does_not_wait_for_ever_and_in_a_hurry_not_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alerts, "LAST", 0.2)
    for hurry in (False, True):
        channel = Recording(*[AlertFailed("no")] * 1_000)
        with AlertSender([channel]) as sender:
            sender.sound(alarm(kind=AlarmKind.RESTART_LIMIT))
            until(lambda channel=channel: channel.tried > 0)  # type: ignore[misc]
            if hurry:
                monkeypatch.setattr(alerts, "LAST", 60)
                threading.Timer(0.1, sender.hurry).start()
            begun = time.monotonic()
        assert time.monotonic() - begun < 3
        assert 1 == sender.undelivered


def test_a_command_that_hangs_at_the_end_is_killed(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    hanging = CommandChannel(["sh", "-c", f"echo $$ > {pid}.new; mv {pid}.new {pid}; exec sleep 60"])
    with AlertSender([hanging]) as sender:
        sender.sound(alarm())
        until(pid.exists)
    until(lambda: _state(int(pid.read_text())) == "Z")


def test_what_was_held_back_is_told_at_the_end() -> None:
    channel = Recording()
    with AlertSender([channel], window=3_600) as sender:
        sender.sound(alarm("first"))
        assert channel.told.acquire(timeout=5)
        sender.sound(alarm("second"))
    assert ["first", "second"] == [letter.alarm.text for letter in channel.letters]


# Secrets


def test_no_secret_of_the_settings_is_told_or_logged(said: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    with Receiver([404], said="no hook at /services/T0/s3cr3t with k3y of mine") as receiver:
        url = f"http://me:passw0rd@{receiver.address}/services/T0/s3cr3t?key=k3y%20of%20mine"
        settings = Settings.isolated(
            alert_url=url, alert_command="curl -d x https://h/k3y-of-mine", database_url="postgresql://u:dbpass@h/d"
        )
        assert "********" == settings.shown()["alert_url"]
        assert "curl ********" == settings.shown()["alert_command"]
        told = f"{settings!r} {settings} {settings.model_dump()} {settings.shown()}"
        assert [] == [secret for secret in ("s3cr3t", "passw0rd", "k3y", "dbpass") if secret in told]
        for address in settings.addresses():
            logs.hide_address(address)
        logs.hide_password(settings.url)
        logger.configure(patcher=logs._patch)
        try:
            with AlertSender([UrlChannel(url)]) as sender:
                sender.sound(alarm("connection as u with dbpass failed"))
                assert "connection as u with ******** failed" == receiver.next()["text"]
                until(lambda: sender.undelivered == 1)
        finally:
            logger.configure(patcher=lambda _: None)
    assert [
        "ERROR alert_url is not told of test (1 alarms): 127.0.0.1 answered 404: no hook at ******** with ********"
    ] == said


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("alert_url", "ftp://s3cret/x", "must be an address of http or https without blanks, such as"),
        ("alert_url", "https://", "must be an address of http or https"),
        ("alert_url", "https://h:99999/s3cret", "must be an address of http or https"),
        ("alert_url", "https://[s3cret/", "must be an address of http or https"),
        ("alert_url", "https://h/s3 cret", "must be an address of http or https"),
        ("alert_url", "https://h/s3\ncret", "must be an address of http or https"),
        ("alert_url", " ", "must not be empty"),
        ("alert_url", 5, "must be text"),
        ("alert_command", "tell 's3cret", "must be words as in a shell: no closing quotation"),
        ("alert_command", "  ", "must not be empty"),
        ("alert_command", "''", "must be a program and its arguments"),
        ("alert_command", "tell s3\0cret", "must be a program and its arguments"),
        ("alert_command", ["tell", "s3cret"], "must be text"),
    ],
)
def test_a_wrong_setting_is_one_sentence_without_its_value(name: str, value: Any, told: str) -> None:
    with pytest.raises(SettingsError) as refused:
        Settings.isolated(**{name: value})
    assert str(refused.value).startswith(f"setting {name} = ********: {told}"), refused.value
    assert "s3" not in str(refused.value)


def test_a_command_that_is_told_may_call_this_program(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.upper().startswith("PAPER_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PAPER_ALERT_KIND", "halt")
    monkeypatch.setenv("PAPER_ALERT_TEXT", "halted")
    assert Settings().alert_url is None


def test_alarms_of_far_apart_moments_are_told_in_their_order() -> None:
    channel = Recording()
    sender = AlertSender([channel], window=60)
    late, early = alarm("late", AlarmKind.HALT), alarm("early", AlarmKind.QUARANTINE)
    for each in (Alarm(late.at + timedelta(hours=1), late.kind, late.text), early):
        sender.sound(each)
    with sender:
        assert channel.told.acquire(timeout=5)
    assert ["early", "late"] == [letter.alarm.text for letter in channel.letters]
