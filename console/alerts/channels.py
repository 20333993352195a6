"""The channels of alarms: a command, an address on the web, and the services of `console.alerts.services`.

Their errors never hold the address or an argument, because these may be secrets.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import closing
from http import HTTPStatus
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

import urllib3
from urllib3.exceptions import HTTPError, LocationValueError, NameResolutionError, NewConnectionError
from urllib3.exceptions import TimeoutError as NoAnswerInTime

from actors.settings import Settings
from console.alerts.child_process import MAX_QUOTED_OUTPUT, ChildProcess
from console.alerts.environment import command_environment
from console.alerts.outbox import Notification
from console.alerts.services import service_channels
from console.errors import AlertFailed
from domain.errors import SettingsError
from domain.wording import one_line
from domain.worker_thread import call_in_thread

TIMEOUT_GRACE_S = 0.5
"""Extra time in which an attempt can report itself that its time is over."""
TRANSIENT = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS})


class Channel(Protocol):
    """Channel to one receiver.

    Attributes:
        setting: name of the setting that defines it.
        target: name of the receiver for people; never a secret.
    """

    setting: str
    target: str

    def deliver(self, notification: Notification, limit: float) -> None:
        """Deliver a notification.

        Raises:
            AlertFailed: it was not delivered, or not within ``limit`` seconds.
        """

    def abort(self) -> None:
        """Abort the current delivery if possible; called from another thread."""


def channels(settings: Settings) -> list[Channel]:
    """Return the channels that the settings define.

    Raises:
        SettingsError: the command's program cannot be run, an address is not valid, Apprise is not installed, or
            `alert_trading` is set without a receiver.
    """
    configured: list[Channel] = []
    if arguments := settings.alert_arguments():
        configured.append(CommandChannel(arguments))
    if settings.alert_url is not None:
        configured.append(UrlChannel(settings.alert_url.get_secret_value()))
    configured += service_channels(settings.alert_addresses())
    if settings.message_rules() and not configured:
        raise SettingsError(
            "setting alert_trading has no effect without a receiver: set alert_services, alert_command or alert_url"
        )
    return configured


class CommandChannel:
    """Channel that runs a program, without a shell, for each notification.

    The program gets the notification as JSON on stdin, and kind and text in environment variables; of those of this
    process only what each program needs. Exit code 0 means delivered.
    """

    setting = "alert_command"

    def __init__(self, arguments: Sequence[str]) -> None:
        if shutil.which(arguments[0]) is None:
            program = arguments[0].partition("=")[0]  # a shell would take NAME=VALUE for a variable: maybe a secret
            raise SettingsError(f"setting alert_command: there is no executable program {program!r}; check its path")
        self.target = Path(arguments[0]).name
        self._child = ChildProcess(self.target, arguments)

    def deliver(self, notification: Notification, limit: float) -> None:
        """Run the program; see `Channel`."""
        # As bytes: the locale's encoding may not have every character.
        kind, text = notification.alarm.kind.encode(), notification.text.encode("utf-8", "backslashreplace")
        variables = {b"PAPER_ALERT_KIND": kind, b"PAPER_ALERT_TEXT": text}
        self._child.run(json.dumps(notification.to_dict()).encode(), limit, command_environment(variables))

    def abort(self) -> None:
        """Kill the program, if it runs."""
        self._child.abort()


class UrlChannel:
    """Channel that POSTs each notification as JSON; any 2xx answer means delivered, redirections are not followed.

    It uses ``http_proxy``, ``https_proxy`` and ``no_proxy``.
    """

    setting = "alert_url"

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.target = parts.hostname or ""
        try:
            urllib3.util.parse_url(url)
        except LocationValueError:
            raise SettingsError(f"setting alert_url = ********: {self.target!r} is not a valid host name") from None
        self._url = parts._replace(netloc=parts.netloc.rpartition("@")[2], fragment="").geturl()
        self._headers = {"Content-Type": "application/json", "User-Agent": "paper-trading"}
        if parts.username is not None:
            user = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            self._headers |= urllib3.make_headers(basic_auth=user)
        proxy = getproxies().get(parts.scheme)
        self._proxy = None if proxy is None or proxy_bypass(self.target) else proxy
        self._attempt: Future[None] | None = None

    def deliver(self, notification: Notification, limit: float) -> None:
        """POST the notification; see `Channel`."""
        # In a thread: a DNS lookup and an answer that drips keep no time limit. One thread at a time.
        if self._attempt is not None and not self._attempt.done():
            raise AlertFailed(f"{self.target} has not answered an earlier attempt yet")
        body = json.dumps(notification.to_dict()).encode()
        self._attempt = call_in_thread("alert", lambda: self._post(body, limit))
        try:
            self._attempt.result(limit + TIMEOUT_GRACE_S)
        except TimeoutError:
            raise AlertFailed(f"{self.target} gave no complete answer within {limit:g} s") from None

    def abort(self) -> None:
        """Do nothing: a daemon thread waits for the answer, and it does not keep the process alive."""

    def _post(self, body: bytes, limit: float) -> None:
        try:
            with urllib3.ProxyManager(self._proxy) if self._proxy is not None else urllib3.PoolManager() as pool:
                answer = pool.request(
                    "POST",
                    self._url,
                    body=body,
                    headers=self._headers,
                    timeout=urllib3.Timeout(total=limit),
                    retries=False,
                    redirect=False,
                    preload_content=False,
                )
                with closing(answer):
                    self._check(answer)
        except (HTTPError, ValueError) as error:
            again = not isinstance(error, LocationValueError)
            raise AlertFailed(f"{self.target} {_reason(error, limit)}", again=again) from None

    def _check(self, answer: urllib3.BaseHTTPResponse) -> None:
        status = answer.status
        if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
            return
        try:
            body = answer.read(4 * MAX_QUOTED_OUTPUT).decode(errors="replace")
        except HTTPError:
            body = ""
        again = status in TRANSIENT or status >= HTTPStatus.INTERNAL_SERVER_ERROR
        moved = "; a redirection is not followed" if status < HTTPStatus.BAD_REQUEST else ""
        raise AlertFailed(f"{self.target} answered {status}{moved}{_quoted(body)}", again=again)


def _quoted(text: str) -> str:
    line = one_line(text[:MAX_QUOTED_OUTPUT])
    return f": {line}" if line else ""


def _reason(error: Exception, limit: float) -> str:
    """Return the reason of a failure, without the address."""
    if isinstance(error, NameResolutionError):
        return "cannot be reached: DNS lookup failed"
    if isinstance(error, NoAnswerInTime) and not isinstance(error, NewConnectionError):
        return f"gave no answer within {limit:g} s"
    if isinstance(error, LocationValueError):
        return "is not a valid host name"
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.strerror:
            return f"cannot be reached: {cause.strerror}"
        cause = cause.__cause__ or cause.__context__
    return f"cannot be reached: {type(error).__name__}"
