"""The two ways to tell people of an alarm: a command, and an address on the web.

What they raise never holds the address or an argument: these may be secrets.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from http import HTTPStatus
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import IO, Protocol
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

import urllib3
from urllib3.exceptions import HTTPError, LocationValueError, NameResolutionError, NewConnectionError
from urllib3.exceptions import TimeoutError as NoAnswerInTime

from actors.settings import Settings
from console.alerts.outbox import Letter
from domain.alarms import one_line
from domain.errors import AlertFailed, SettingsError

TOLD_OF_OUTPUT = 300
"""Characters of what a command or a server said that are repeated where it failed."""
GRACE = 0.5
"""Seconds that a try gets to say itself that its time is over."""
TRANSIENT = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS})


class Channel(Protocol):
    """A way to one receiver.

    Attributes:
        setting: that names it.
        target: how people know it; no secret.
    """

    setting: str
    target: str

    def deliver(self, letter: Letter, limit: float) -> None:
        """Tell the receiver.

        Raises:
            AlertFailed: it was not told within ``limit`` seconds, or at all.
        """

    def abort(self) -> None:
        """End what is under way, from another thread, if it can be ended."""


def channels(settings: Settings) -> list[Channel]:
    """Return the ways that the settings name.

    Raises:
        SettingsError: the command's program cannot be run, or the address is none.
    """
    found: list[Channel] = []
    if words := settings.alert_arguments():
        found.append(CommandChannel(words))
    if settings.alert_url is not None:
        found.append(UrlChannel(settings.alert_url.get_secret_value()))
    return found


class CommandChannel:
    """Runs a program, without a shell, for each letter.

    It finds the letter as JSON on its stdin, kind and text in variables. Its exit code says whether it told anybody.
    """

    setting = "alert_command"

    def __init__(self, words: Sequence[str]) -> None:
        if shutil.which(words[0]) is None:
            program = words[0].partition("=")[0]  # what a shell would take for a variable may hold a secret
            msg = f"setting alert_command: there is no program {program!r} that can be run; is its path right?"
            raise SettingsError(msg)
        self.target = Path(words[0]).name
        self._words = list(words)
        self._process: subprocess.Popen[bytes] | None = None

    def deliver(self, letter: Letter, limit: float) -> None:
        """Run the program; see `Channel`."""
        # Its output goes to a file: a pipe would be held open by whatever it leaves running.
        with tempfile.TemporaryFile() as output, self._running(letter, output) as process:
            try:
                process.communicate(json.dumps(letter.document()).encode(), timeout=limit)
            except subprocess.TimeoutExpired:
                msg = f"{self.target} did not end within {limit:g} s{_tail(output)}"
                raise AlertFailed(msg) from None
            finally:
                if process.poll() is None:
                    _kill(process)
            if process.returncode < 0:
                msg = f"{self.target} was ended by signal {-process.returncode}{_tail(output)}"
                raise AlertFailed(msg)
            if process.returncode > 0:
                msg = f"{self.target} ended with exit code {process.returncode}{_tail(output)}"
                raise AlertFailed(msg)

    def abort(self) -> None:
        """Kill the program, if it runs."""
        if (process := self._process) is not None:
            _kill(process)

    @contextmanager
    def _running(self, letter: Letter, output: IO[bytes]) -> Iterator[subprocess.Popen[bytes]]:
        # As bytes: the locale's encoding may not have every letter.
        given = {b"PAPER_ALERT_KIND": letter.alarm.kind.encode(), b"PAPER_ALERT_TEXT": letter.text.encode()}
        try:
            process = subprocess.Popen(  # noqa: S603 - the words are the user's own setting
                self._words,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environb, **given},
                start_new_session=True,  # a group of its own, so that it is killed with all that it has started
            )
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else "its words cannot be passed on"
            msg = f"{self.target} cannot be run: {reason}"
            raise AlertFailed(msg) from None
        with process:
            self._process = process
            try:
                yield process
            finally:
                self._process = None


class UrlChannel:
    """POSTs each letter as JSON to an address; any answer of 2xx will do, and no redirection is followed.

    Keeps to ``http_proxy``, ``https_proxy`` and ``no_proxy``.
    """

    setting = "alert_url"

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.target = parts.hostname or ""
        try:
            urllib3.util.parse_url(url)
        except LocationValueError:
            msg = f"setting alert_url = ********: {self.target!r} cannot be the name of a host"
            raise SettingsError(msg) from None
        self._url = parts._replace(netloc=parts.netloc.rpartition("@")[2], fragment="").geturl()
        self._headers = {"Content-Type": "application/json", "User-Agent": "paper-trading"}
        if parts.username is not None:
            user = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            self._headers |= urllib3.make_headers(basic_auth=user)
        proxy = getproxies().get(parts.scheme)
        self._proxy = None if proxy is None or proxy_bypass(self.target) else proxy
        self._thread: threading.Thread | None = None

    def deliver(self, letter: Letter, limit: float) -> None:
        """POST the letter; see `Channel`."""
        # In a thread of its own: no time limit is kept while a name is looked up, or while an answer drips. Never two.
        if self._thread is not None and self._thread.is_alive():
            msg = f"{self.target} keeps an earlier try waiting"
            raise AlertFailed(msg)
        answers: SimpleQueue[Exception | None] = SimpleQueue()
        body = json.dumps(letter.document()).encode()
        self._thread = threading.Thread(target=self._try, args=(body, limit, answers), name="alert", daemon=True)
        self._thread.start()
        try:
            error = answers.get(timeout=limit + GRACE)
        except Empty:
            msg = f"{self.target} gave no whole answer within {limit:g} s"
            raise AlertFailed(msg) from None
        self._thread = None
        if error is not None:
            raise error

    def abort(self) -> None:
        """Nothing can be done: the answer is waited for by a daemon thread, which keeps no process alive."""

    def _try(self, body: bytes, limit: float, answers: SimpleQueue[Exception | None]) -> None:
        try:
            self._post(body, limit)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is raised where the answer is waited for
            answers.put(error)
        else:
            answers.put(None)

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
                try:
                    self._judge(answer)
                finally:
                    answer.close()
        except (HTTPError, ValueError) as error:
            msg = f"{self.target} {_why(error, limit)}"
            raise AlertFailed(msg, again=not isinstance(error, LocationValueError)) from None

    def _judge(self, answer: urllib3.BaseHTTPResponse) -> None:
        status = answer.status
        if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
            return
        try:
            said = answer.read(4 * TOLD_OF_OUTPUT).decode(errors="replace")
        except HTTPError:
            said = ""
        again = status in TRANSIENT or status >= HTTPStatus.INTERNAL_SERVER_ERROR
        moved = "; a redirection is not followed" if status < HTTPStatus.BAD_REQUEST else ""
        msg = f"{self.target} answered {status}{moved}{_quoted(said)}"
        raise AlertFailed(msg, again=again)


def _kill(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError, PermissionError):  # it has just ended
        os.killpg(process.pid, signal.SIGKILL)


def _tail(output: IO[bytes]) -> str:
    """The end of what a command said, as the end of a sentence."""
    size = output.seek(0, os.SEEK_END)
    output.seek(max(0, size - 4 * TOLD_OF_OUTPUT))
    return _quoted(output.read().decode(errors="replace"), last=True)


def _quoted(text: str, *, last: bool = False) -> str:
    line = one_line(text[-TOLD_OF_OUTPUT:] if last else text[:TOLD_OF_OUTPUT])
    return f": {line}" if line else ""


def _why(error: Exception, limit: float) -> str:
    """Say what went wrong, without the address."""
    if isinstance(error, NameResolutionError):
        return "cannot be found: no address is known for this name"
    if isinstance(error, NoAnswerInTime) and not isinstance(error, NewConnectionError):
        return f"gave no answer within {limit:g} s"
    if isinstance(error, LocationValueError):
        return "cannot be the name of a host"
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.strerror:
            return f"cannot be reached: {cause.strerror}"
        cause = cause.__cause__ or cause.__context__
    return f"cannot be reached: {type(error).__name__}"
