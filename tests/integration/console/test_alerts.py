"""Alarms are delivered through a real web server and real programs, with failures; no caller waits for a delivery."""

from __future__ import annotations

import os
import threading
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from loguru import logger

from actors.settings import Settings
from console import logs
from console.alerts import sender as sender_module
from console.alerts.channels import CommandChannel, UrlChannel
from console.alerts.outbox import Notification
from console.alerts.sender import AlertSender
from console.errors import AlertFailed
from domain.alarms import Alarm, AlarmKind
from domain.errors import SettingsError
from domain.redaction.mask import KNOWN
from domain.redaction.spellings import of_address, spellings
from persistence.sessions.address import secrets_of
from tests.support.system.alarms import alarm, no_proxy, state
from tests.support.system.running_system import until
from tests.support.system.web_receiver import HANG, Receiver

pytestmark = pytest.mark.logged("console")


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    no_proxy(monkeypatch)


class Recording:
    """Channel that raises the given errors, then records what it delivers."""

    setting, target = "alert_test", "the test"

    def __init__(self, *fails: AlertFailed | Exception) -> None:
        self.fails = list(fails)
        self.notifications: list[Notification] = []
        self.tried = 0
        self.delivered = threading.Semaphore(0)

    def deliver(self, notification: Notification, limit: float) -> None:
        self.tried += 1
        if self.fails:
            raise self.fails.pop(0)
        self.notifications.append(notification)
        self.delivered.release()

    def abort(self) -> None:
        """Nothing runs."""


def test_500_then_200_is_delivered_once(log_lines: list[str]) -> None:
    with Receiver([500, 500]) as receiver, AlertSender([UrlChannel(receiver.url())], max_retry_interval=0.01) as sender:
        sender.notify(alarm())
        assert ["it burns"] * 3 == [receiver.next()["text"] for _ in range(3)]
    assert receiver.got.empty()
    assert ["WARNING alert_url: delivery failed; retrying: 127.0.0.1 answered 500"] == log_lines
    assert 0 == sender.undelivered


def test_a_flood_is_one_notification_a_window_and_all_are_counted() -> None:
    channel = Recording()
    with AlertSender([channel], window=0.3) as sender:
        for number in range(1_000):
            sender.notify(alarm(f"number {number}"))
        assert channel.delivered.acquire(timeout=5)
        until(lambda: sum(notification.count for notification in channel.notifications) == 1_000)
        assert "number 999" == channel.notifications[-1].alarm.text
    assert len(channel.notifications) <= 5  # two, unless the machine was very busy


def test_a_receiver_that_hangs_keeps_neither_the_caller_nor_another_one_waiting(log_lines: list[str]) -> None:
    channel = Recording()
    with Receiver([HANG] * 9) as receiver:
        with AlertSender([UrlChannel(receiver.url()), channel], attempt_timeout=20) as sender:
            begun = time.monotonic()
            for _ in range(100):
                sender.notify(alarm())
            assert time.monotonic() - begun < 1
            assert channel.delivered.acquire(timeout=5)
            receiver.next()
            begun = time.monotonic()
        assert time.monotonic() - begun < 3  # the stop waits for a moment only
    # The thread that it has left alone ends with the receiver; what it logs belongs to no other test.
    until(lambda: any("cannot deliver test (" in line for line in log_lines))


def test_an_undelivered_alarm_is_counted_logged_and_reported_with_the_next_one(log_lines: list[str]) -> None:
    channel = Recording(AlertFailed("no", again=False), ValueError("a fault of ours"))
    with AlertSender([channel], window=0) as sender:
        for kind in (AlarmKind.HALT, AlarmKind.QUARANTINE, AlarmKind.TEST):
            sender.notify(alarm(kind=kind))
        assert channel.delivered.acquire(timeout=5)
    assert [(AlarmKind.TEST, 2)] == [
        (notification.alarm.kind, notification.undelivered) for notification in channel.notifications
    ]
    assert [
        "ERROR alert_test: cannot deliver halt (1 alarms): no",
        "ERROR alert_test: cannot deliver quarantine (1 alarms): ValueError('a fault of ours')",
    ] == log_lines
    assert 2 == sender.undelivered


def test_retries_end(log_lines: list[str]) -> None:
    channel = Recording(*[AlertFailed("still no")] * 1_000)
    with AlertSender([channel], retry_timeout=0.05, max_retry_interval=0.01) as sender:
        sender.notify(alarm())
        until(lambda: sender.undelivered == 1)
    assert 1 < channel.tried < 100
    assert "ERROR alert_test: cannot deliver test (1 alarms): still no" == log_lines[-1]


def test_a_stop_waits_shortly_and_longer_for_the_reason_of_the_end(log_lines: list[str]) -> None:
    with Receiver([500, 500]) as receiver:
        with AlertSender([UrlChannel(receiver.url())]) as sender:
            sender.notify(alarm("gave up", AlarmKind.RESTART_LIMIT))
        assert ["gave up"] * 3 == [receiver.next(0.1)["text"] for _ in range(3)]
    assert 0 == sender.undelivered
    channel = Recording(*[AlertFailed("no")] * 1_000)
    begun = time.monotonic()
    with AlertSender([channel]) as sender:
        sender.notify(alarm(kind=AlarmKind.HALT))
        until(lambda: channel.tried > 0)
    assert time.monotonic() - begun < 3
    assert 1 == sender.undelivered
    assert "ERROR alert_test: cannot deliver halt (1 alarms): no" == log_lines[-1]


def test_a_stop_has_a_time_limit_and_a_hurried_one_does_not_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sender_module, "FATAL_STOP_TIMEOUT_S", 0.2)
    for hurry in (False, True):
        channel = Recording(*[AlertFailed("no")] * 1_000)
        with AlertSender([channel]) as sender:
            sender.notify(alarm(kind=AlarmKind.RESTART_LIMIT))
            until(lambda channel=channel: channel.tried > 0)  # type: ignore[misc]
            if hurry:
                monkeypatch.setattr(sender_module, "FATAL_STOP_TIMEOUT_S", 60)
                threading.Timer(0.1, sender.hurry).start()
            begun = time.monotonic()
        assert time.monotonic() - begun < 3
        assert 1 == sender.undelivered


def test_a_command_that_hangs_at_a_stop_is_killed(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    hanging = CommandChannel(["sh", "-c", f"echo $$ > {pid}.new; mv {pid}.new {pid}; exec sleep 60"])
    with AlertSender([hanging]) as sender:
        sender.notify(alarm())
        until(pid.exists)
    until(lambda: state(int(pid.read_text())) == "Z")


def test_held_back_alarms_are_delivered_at_a_stop() -> None:
    channel = Recording()
    with AlertSender([channel], window=3_600) as sender:
        sender.notify(alarm("first"))
        assert channel.delivered.acquire(timeout=5)
        sender.notify(alarm("second"))
    assert ["first", "second"] == [notification.alarm.text for notification in channel.notifications]


def test_messages_about_trading_wait_for_the_end_of_the_quiet_hours(
    log_lines: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sender_module, "QUIET_CHECK_S", 0.01)
    channel, quiet = Recording(), threading.Event()
    quiet.set()
    with AlertSender([channel], quiet=lambda: 3_600.0 if quiet.is_set() else 0.0) as sender:
        sender.notify_all([alarm(f"fill {number}", AlarmKind.FILL) for number in range(17)])
        sender.notify(alarm("halted", AlarmKind.HALT))
        assert channel.delivered.acquire(timeout=5)
        assert ["halted"] == [notification.alarm.text for notification in channel.notifications]
        quiet.clear()
        assert channel.delivered.acquire(timeout=5)
        assert "17 fills in the last minute, the last: fill 16" == channel.notifications[-1].text
        quiet.set()
        sender.notify_all([alarm("late", AlarmKind.DRAWDOWN), alarm("late", AlarmKind.FILL)])
    assert 2 == len(channel.notifications)  # a stop at night wakes nobody
    assert ["WARNING alert_test: 2 alarms not delivered before the stop"] == log_lines


def test_a_message_about_trading_that_fails_lets_an_alarm_about_a_failure_pass() -> None:
    class NoFillsBefore(Recording):
        """Channel that takes no message about trading before it has taken something else."""

        def deliver(self, notification: Notification, limit: float) -> None:
            if notification.alarm.kind is AlarmKind.FILL and not self.notifications:
                self.tried += 1
                raise AlertFailed("this text cannot be sent")
            super().deliver(notification, limit)

    channel = NoFillsBefore()
    with AlertSender([channel], max_retry_interval=0.01) as sender:
        sender.notify(alarm("fill", AlarmKind.FILL))
        until(lambda: channel.tried >= 2)
        sender.notify(alarm("halted", AlarmKind.HALT))
        assert channel.delivered.acquire(timeout=5)
        assert channel.delivered.acquire(timeout=5)
    assert ["halted", "fill"] == [notification.text for notification in channel.notifications]
    assert 0 == sender.undelivered


# Secrets


def test_no_secret_of_the_settings_is_sent_or_logged(log_lines: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    with Receiver([404], response_body="no hook at /services/T0/s3cr3t with k3y of mine") as receiver:
        url = f"http://me:passw0rd@{receiver.address}/services/T0/s3cr3t?key=k3y%20of%20mine"
        settings = Settings.isolated(
            alert_url=url, alert_command="curl -d x https://h/k3y-of-mine", database_url="postgresql://u:dbpass@h/d"
        )
        assert "********" == settings.redacted()["alert_url"]
        assert "curl ********" == settings.redacted()["alert_command"]
        printed = f"{settings!r} {settings} {settings.model_dump()} {settings.redacted()}"
        assert [] == [secret for secret in ("s3cr3t", "passw0rd", "k3y", "dbpass") if secret in printed]
        monkeypatch.setattr(KNOWN, "_texts", ())
        KNOWN.remember(text for address in settings.addresses() for text in of_address(address))
        KNOWN.remember(spellings(secrets_of(settings.url or "")))
        logger.configure(patcher=logs._patch)
        try:
            with AlertSender([UrlChannel(url)]) as sender:
                sender.notify(alarm("connection as u with dbpass failed"))
                assert "connection as u with ******** failed" == receiver.next()["text"]
                until(lambda: sender.undelivered == 1)
        finally:
            logger.configure(patcher=lambda _: None)
    assert [
        "ERROR alert_url: cannot deliver test (1 alarms): 127.0.0.1 answered 404: no hook at ******** with ********"
    ] == log_lines


@pytest.mark.parametrize(
    ("name", "value", "message"),
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
def test_a_wrong_setting_is_one_sentence_without_its_value(name: str, value: Any, message: str) -> None:
    with pytest.raises(SettingsError) as refused:
        Settings.isolated(**{name: value})
    assert str(refused.value).startswith(f"setting {name} = ********: {message}"), refused.value
    assert "s3" not in str(refused.value)


def test_an_alert_command_may_call_this_program(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.upper().startswith("PAPER_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PAPER_ALERT_KIND", "halt")
    monkeypatch.setenv("PAPER_ALERT_TEXT", "halted")
    assert Settings().alert_url is None


def test_alarms_are_delivered_in_the_order_of_their_times() -> None:
    channel = Recording()
    sender = AlertSender([channel], window=60)
    late, early = alarm("late", AlarmKind.HALT), alarm("early", AlarmKind.QUARANTINE)
    for waiting in (Alarm(late.at + timedelta(hours=1), late.kind, late.text), early):
        sender.notify(waiting)
    with sender:
        assert channel.delivered.acquire(timeout=5)
    assert ["early", "late"] == [notification.alarm.text for notification in channel.notifications]
