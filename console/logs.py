"""The log: lines for people on stderr, and the same with all details as JSON in a rotated file under ``home/logs``.

No value of a variable ever gets into either: a traceback with values would show passwords.
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
from urllib.parse import quote, unquote, urlsplit
from uuid import UUID

from loguru import logger

from console.signals import leave_closed_streams
from domain.errors import SettingsError

if TYPE_CHECKING:
    from loguru import Record

FILE = "paper-trading.jsonl"
MASK = "********"
SHORTEST_SECRET = 4
"""A shorter password is not searched for in texts: it would be found everywhere."""
SHORTEST_PART = 10
"""The same for what stands in the path or the query of an address; shorter ones are ordinary words."""

_secrets: set[str] = set()


def hide_password(database_url: str | None) -> None:
    """See to it that the password in this URL never gets into a log or a message, whoever wrote it there."""
    found = re.search(r"://[^:/@]*:(.*)@", database_url or "") or re.search(r"password=([^&\s]+)", database_url or "")
    if found is not None:
        given = found.group(1)
        _secrets.update(text for text in (given, unquote(given)) if len(text) >= SHORTEST_SECRET)


def hide_address(url: str) -> None:
    """See to it that neither this address nor what in it may be a secret gets into a log or a message."""
    hide_password(url)
    parts = urlsplit(url)
    found = {url, parts.path, parts.query, f"{parts.path}?{parts.query}"}
    found.update(re.split("[/?&=]", f"{parts.path}?{parts.query}"))
    found |= {unquote(text) for text in found}
    _secrets.update(text for text in found if len(text) >= SHORTEST_PART)


def hide_text(text: str) -> None:
    """See to it that neither this text, such as a cookie, nor a long part of it gets into a log or a message."""
    for url in re.findall(r"[A-Za-z0-9+.-]+://[^\s'\"]+", text):
        hide_address(url)
        user = urlsplit(url).netloc.rpartition("@")[0]  # which may be a token, without a password
        _secrets.update(part for part in (user, unquote(user), *user.split(":")) if len(part) >= SHORTEST_PART)
    parts = {part for part in re.split(r"[\s;,=&?/]", text) if len(part) >= SHORTEST_PART}
    _secrets.update({text, unquote(text), quote(text), json.dumps(text)[1:-1], repr(text)[1:-1], *parts} - {""})


def secrets_hidden(text: str) -> str:
    """Return ``text`` with each known secret masked, the longest first: one may be a part of another."""
    for secret in sorted(_secrets, key=len, reverse=True):
        text = text.replace(secret, MASK)
    return text


def to_terminal(level: str) -> None:
    """Log to stderr from ``level`` on, in colour where a terminal can show it; nothing goes anywhere else any more."""
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
    """Log from another level on, to the terminal and to the file."""
    to_terminal(level)
    to_file(home, level)


def to_file(home: Path, level: str) -> Path:
    """Log to a file under ``home`` too, from INFO on at least; only its owner may read it.

    Raises:
        SettingsError: it cannot be written.
    """
    folder = home / "logs"
    try:
        # Root's embedded server runs as another user, who has to pass through home.
        home.mkdir(mode=0o711 if os.geteuid() == 0 else 0o700, parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
        logger.add(
            folder / FILE,
            level=level if logger.level(level).no < logger.level("INFO").no else "INFO",
            format=_as_json,
            colorize=False,
            rotation="10 MB",
            retention=10,
            opener=lambda path, flags: os.open(path, flags, 0o600),
            backtrace=False,
            diagnose=False,
        )
    except OSError as error:
        msg = f"home = {str(home)!r}: the log cannot be written there ({error.strerror or error})"
        raise SettingsError(msg) from None
    return folder / FILE


def _write(line: str) -> None:
    # Looked up each time: a progress bar takes the place of stderr while it is shown.
    try:
        sys.stderr.write(line)
    except OSError:  # its terminal or pipe was closed; the file has the line
        leave_closed_streams()


def _patch(record: Record) -> None:
    if _secrets:
        record["message"] = secrets_hidden(record["message"])


def _line(record: Record) -> str:
    """Return a line's format: time in UTC, level, the decision's id where it is about one, and the message.

    The traceback of a crash is in the file; on the terminal it is shown from DEBUG on.
    """
    decision = record["extra"].get("decision")
    mark = f"<cyan>#{decision}</cyan> " if isinstance(decision, int | UUID) else ""
    return f"<dim>{{time:YYYY-MM-DD HH:mm:ss!UTC}}</dim> <level>{{level: <7}}</level> {mark}{{message}}\n"


def _as_json(record: Record) -> str:
    """Return the format of a line of the file: one JSON object, a few fields; loguru's own takes ten times as long."""
    entry = {
        "time": record["time"].astimezone(UTC).isoformat(),
        "level": record["level"].name,
        **{name: value for name, value in record["extra"].items() if name not in {"file_only", "json"}},
        "message": record["message"],
        "where": f"{record['name']}:{record['function']}:{record['line']}",
        "thread": record["thread"].name,
    }
    if (error := record["exception"]) is not None:
        entry["traceback"] = secrets_hidden(
            "".join(traceback.format_exception(error.type, error.value, error.traceback))
        )
    record["extra"]["json"] = json.dumps(entry, ensure_ascii=False, default=str)
    return "{extra[json]}\n"


class _Forwarder(logging.Handler):
    """Passes on what libraries log."""

    def emit(self, record: logging.LogRecord) -> None:
        """Log ``record`` as if it came from where it came from."""
        frame: FrameType | None = logging.currentframe()
        depth = 2
        while frame is not None and frame.f_code.co_filename == logging.__file__:
            frame, depth = frame.f_back, depth + 1
        level = record.levelname if record.levelname in {"WARNING", "ERROR", "CRITICAL"} else "DEBUG"
        logger.opt(depth=depth, exception=record.exc_info).log(level, "{}: {}", record.name, record.getMessage())
