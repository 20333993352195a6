"""The channel to the services that Apprise knows, such as Telegram, ntfy, Slack, Discord and e-mail."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from actors.configuration.settings_redaction import masked_service
from console.alerts.child_process import ChildProcess
from console.alerts.environment import library_environment
from console.alerts.outbox import Notification
from console.errors import AlertFailed
from domain.alarms import AlarmKind
from domain.errors import SettingsError
from domain.wording import counted

CHECK_TIMEOUT_S = 30.0
PROCESS = [sys.executable, "-P", str(Path(__file__).with_name("apprise_process.py"))]
"""Run by its path, so that it works in any working folder; -P keeps this folder's modules out of its imports."""


class ServiceChannel:
    """Channel to one service. Each delivery is a process, which is killed at its time limit.

    Args:
        address: the service's address as Apprise reads it; secret in full.
        name: Apprise's name of the service.
    """

    setting = "alert_services"

    def __init__(self, address: str, name: str) -> None:
        self.target = name
        self._address = address
        self._child = ChildProcess(name, PROCESS)

    def deliver(self, notification: Notification, limit: float) -> None:
        """Deliver a notification; see `console.alerts.channels.Channel`."""
        request = {
            "address": self._address,
            "title": title_of(notification),
            "body": body_of(notification),
            "type": type_of(notification),
        }
        self._child.run(json.dumps(request).encode(), limit, library_environment())

    def abort(self) -> None:
        """Kill the delivery, if one runs."""
        self._child.abort()


def service_channels(addresses: Sequence[str]) -> list[ServiceChannel]:
    """Return a channel for each address.

    Raises:
        SettingsError: Apprise is not installed, or cannot read an address. The message does not repeat it.
    """
    if not addresses:
        return []
    if find_spec("apprise") is None:
        raise SettingsError("setting alert_services needs Apprise, which is not installed: pip install apprise")
    request = json.dumps({"check": list(addresses)}).encode()
    try:
        names = json.loads(ChildProcess("Apprise", PROCESS).run(request, CHECK_TIMEOUT_S, library_environment()))
    except (AlertFailed, ValueError) as error:
        raise SettingsError(f"setting alert_services cannot be checked: {error}") from None
    for number, (address, name) in enumerate(zip(addresses, names, strict=True), start=1):
        if name is None:
            masked = f"address {number} ({masked_service(address)})"
            raise SettingsError(f"setting alert_services: Apprise cannot read {masked}; docs/alerts.md has examples")
    return [ServiceChannel(address, name) for address, name in zip(addresses, names, strict=True)]


def title_of(notification: Notification) -> str:
    """Return the title of a message: ``Paper trading: database away (over)``."""
    alarm = notification.alarm
    return f"Paper trading: {alarm.kind.value.replace('_', ' ')}{' (over)' if alarm.over else ''}"


def body_of(notification: Notification) -> str:
    """Return the text of a message; below it those held back before, the newest first, and how many were lost."""
    lines = [notification.text]
    lines += [f"{alarm.at:%H:%M:%S %Z} {alarm.text}" for alarm in reversed(notification.earlier)]
    if notification.undelivered:
        lines.append(f"{counted(notification.undelivered, 'earlier alert')} could not be delivered")
    return "\n".join(lines)


def type_of(notification: Notification) -> str:
    """Return Apprise's type of a message, by which some services choose a colour or a sound."""
    alarm = notification.alarm
    if alarm.over:
        return "success"
    return "info" if alarm.kind is AlarmKind.TEST else "warning"
