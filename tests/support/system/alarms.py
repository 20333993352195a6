"""An alarm to deliver, channels for it, and a machine without proxies."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from console.alerts.channels import Channel, CommandChannel
from console.alerts.outbox import Notification
from console.errors import AlertFailed
from domain.alarms import Alarm, AlarmKind
from domain.redaction.mask import KNOWN

TEST = AlarmKind.TEST


def alarm(text: str = "it burns", kind: AlarmKind = TEST) -> Alarm:
    return Alarm(datetime(2026, 1, 5, 12, tzinfo=UTC), kind, text)


def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(KNOWN, "_texts", ())


def python(code: str) -> CommandChannel:
    return CommandChannel([sys.executable, "-c", code])


def failure(channel: Channel, limit: float = 5.0) -> AlertFailed:
    with pytest.raises(AlertFailed) as failed:
        channel.deliver(Notification(alarm()), limit)
    return failed.value


def state(pid: int) -> str:
    """Return the state letter of a process on Linux; Z for a zombie and for one that is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return "Z"
