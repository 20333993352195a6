"""Logging: lines for people on stderr, and the same with all details as JSON in a rotated file under ``home/logs``.

Tracebacks contain no values of variables, because these may be passwords.
"""

from __future__ import annotations

import json
import logging
import os
import re
import sys
import traceback
from datetime import UTC
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus, unquote, urlsplit
from uuid import UUID

from loguru import logger

from console.display.times import SECONDS, in_zone, local_times, zone_of
from console.log_file import LogFile
from console.signals import leave_closed_streams
from domain.errors import SettingsError
from domain.files.private_files import make_home, make_private_folder

if TYPE_CHECKING:
    from loguru import Record

FILE = "paper-trading.jsonl"
WARNINGS_FILE = "warnings.jsonl"
"""The warnings and errors of the log once more: no number of decisions pushes them out."""
MASK = "********"
MIN_SECRET_LENGTH = 4
"""Shorter passwords are not masked in texts, because they would match everywhere."""
MIN_SECRET_PART_LENGTH = 10
"""The same for parts of an address's path or query; shorter ones are ordinary words."""
MIN_TOKEN_LENGTH = 8
"""The same for parts of the address of a service: the tokens of some have nine characters."""
MAX_MESSAGE_LENGTH, MAX_TRACEBACK_LENGTH = 20_000, 50_000
"""Characters in the log file: of a message its begin, of a traceback its end."""
LOCAL_HOSTS = frozenset({"127.0.0.1", "localhost"})

_secrets: set[str] = set()


def hide_password(database_url: str | None) -> None:
    """Mask the passwords of a database URL in all logs and messages, however they are encoded."""
    from persistence.sessions.address import secrets_of  # noqa: PLC0415 - help and completion need no driver

    url = database_url or ""
    # A wrongly written URL has no parameters, but its password must not be shown either.
    patterns = (r"://[^:/@]*:(.*)@", r"://[^:/@]*:([^@]*)@", r"password=([^&\s]+)")
    written = [match[1] for pattern in patterns if (match := re.search(pattern, url)) is not None]
    for password in {*secrets_of(url), *written, *map(unquote, written)}:
        spellings = {password, quote(password), quote(password, safe=""), quote_plus(password), quote(password, " +")}
        spellings |= {json.dumps(password)[1:-1], repr(password)[1:-1]}
        _secrets.update(text for text in spellings if len(text) >= MIN_SECRET_LENGTH)


def hide_address(url: str) -> None:
    """Mask an address, and every part of it that may be a secret, in all logs and messages."""
    hide_password(url)
    parts = urlsplit(url)
    texts = {url, parts.path, parts.query, f"{parts.path}?{parts.query}"}
    texts.update(re.split("[/?&=]", f"{parts.path}?{parts.query}"))
    texts |= {unquote(text) for text in texts}
    _secrets.update(text for text in texts if len(text) >= MIN_SECRET_PART_LENGTH)


def hide_service(address: str) -> None:
    """Mask the address of a service of Apprise, and each part of it that may be a token, in all logs and messages."""
    hide_text(address)
    rest, _, query = address.partition("://")[2].partition("?")
    values = [value for item in query.split("&") if (value := item.partition("=")[2])]
    user = rest.partition("/")[0].rpartition("@")[0]
    parts = {part for text in (rest, *values) for part in re.split("[/:@#,]", text) if len(part) >= MIN_TOKEN_LENGTH}
    parts |= {part for part in user.split(":")[1:] if len(part) >= MIN_SECRET_LENGTH}
    parts |= {value for value in values if len(value) >= MIN_TOKEN_LENGTH}
    parts |= {unquote(part) for part in parts}
    _secrets.update(parts - LOCAL_HOSTS)


def hide_text(text: str) -> None:
    """Mask a text, such as a cookie, and its longer parts in all logs and messages."""
    for url in re.findall(r"[A-Za-z0-9+.-]+://[^\s'\"]+", text):
        hide_address(url)
        user = urlsplit(url).netloc.rpartition("@")[0]  # may be a token, without a password
        _secrets.update(part for part in (user, unquote(user), *user.split(":")) if len(part) >= MIN_SECRET_PART_LENGTH)
    parts = {part for part in re.split(r"[\s;,=&?/]", text) if len(part) >= MIN_SECRET_PART_LENGTH}
    _secrets.update({text, unquote(text), quote(text), json.dumps(text)[1:-1], repr(text)[1:-1], *parts} - {""})


def secrets_hidden(text: str) -> str:
    """Return ``text`` with all secrets masked, the longest first, because one may be a part of another."""
    for secret in sorted(_secrets, key=len, reverse=True):
        text = text.replace(secret, MASK)
    return text


def to_terminal(level: str) -> None:
    """Log to stderr from ``level`` on, in colour on a terminal; remove all other sinks."""
    logger.remove()
    logger.configure(patcher=_patch)
    colours = sys.stderr.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    logger.add(
        _write,
        level=level,
        format=_line,
        colorize=colours,
        filter=lambda record: "file_only" not in record["extra"],
        backtrace=False,
        diagnose=False,
    )
    logging.basicConfig(handlers=[_Forwarder()], level=logging.WARNING, force=True)


def set_level(home: Path, level: str) -> None:
    """Set the log level of terminal and file."""
    to_terminal(level)
    to_file(home, level)


def to_file(home: Path, level: str) -> Path:
    """Also log to a file under ``home``, from INFO on or from a lower level, and to one for warnings.

    Only their owner may read them, and nobody else can have put them there.

    Raises:
        SettingsError: the file cannot be written.
    """
    folder = home / "logs"
    try:
        make_home(home)
        make_private_folder(folder)
        least = level if logger.level(level).no < logger.level("INFO").no else "INFO"
        # One disk has both: what fails is reported once.
        for file, lowest in (
            (LogFile(folder / FILE, _report), least),
            (LogFile(folder / WARNINGS_FILE, lambda _: None), "WARNING"),
        ):
            logger.add(file, level=lowest, format=_as_json, colorize=False, backtrace=False, diagnose=False)
    except OSError as error:
        place = "" if error.filename is None else f"{error.filename}: "
        msg = f"home = {str(home)!r}: cannot write the log there ({place}{error.strerror or error})"
        raise SettingsError(msg) from None
    return folder / FILE


def _write(line: str) -> None:
    # Looked up at each call: a progress bar replaces sys.stderr while it is visible.
    try:
        sys.stderr.write(line)
    except OSError:  # the terminal or pipe was closed; the log file has the line
        leave_closed_streams()


def _report(sentence: str) -> None:
    """Report about the log file on stderr, past the log."""
    _write(f"{sentence}\n")


def _patch(record: Record) -> None:
    if _secrets:
        record["message"] = secrets_hidden(record["message"])


def _line(record: Record) -> str:
    """Return the format of a line for stderr: time, level, id of the decision if there is one, message.

    A terminal shows local times, a pipe those in UTC. The log file has the traceback of a crash; the terminal shows it
    from DEBUG on.
    """
    decision = record["extra"].get("decision")
    mark = f"<cyan>#{decision}</cyan> " if isinstance(decision, int | UUID) else ""
    at = in_zone(record["time"], zone_of(sys.stderr))
    record["extra"]["shown"] = local_times(record["message"], sys.stderr)
    return f"<dim>{at:{SECONDS} %Z}</dim> <level>{{level: <7}}</level> {mark}{{extra[shown]}}\n"


def _as_json(record: Record) -> str:
    """Return the format of a line in the file: a JSON object; loguru's own serialisation takes ten times as long."""
    entry = {
        "time": record["time"].astimezone(UTC).isoformat(),
        "level": record["level"].name,
        **{name: value for name, value in record["extra"].items() if name not in {"file_only", "json", "shown"}},
        "message": _begin(record["message"]),
        "where": f"{record['name']}:{record['function']}:{record['line']}",
        "thread": record["thread"].name,
    }
    if (error := record["exception"]) is not None:
        text = secrets_hidden("".join(traceback.format_exception(error.type, error.value, error.traceback)))
        entry["traceback"] = text[-MAX_TRACEBACK_LENGTH:]
    record["extra"]["json"] = json.dumps(entry, ensure_ascii=False, default=str)
    return "{extra[json]}\n"


def _begin(message: str) -> str:
    left_out = len(message) - MAX_MESSAGE_LENGTH
    return message if left_out <= 0 else f"{message[:MAX_MESSAGE_LENGTH]}… ({left_out} more characters)"


class _Forwarder(logging.Handler):
    """Handler that forwards the logs of libraries."""

    def emit(self, record: logging.LogRecord) -> None:
        """Log ``record`` with the place of its origin."""
        frame: FrameType | None = logging.currentframe()
        depth = 2
        while frame is not None and frame.f_code.co_filename == logging.__file__:
            frame, depth = frame.f_back, depth + 1
        level = record.levelname if record.levelname in {"WARNING", "ERROR", "CRITICAL"} else "DEBUG"
        logger.opt(depth=depth, exception=record.exc_info).log(level, "{}: {}", record.name, record.getMessage())
