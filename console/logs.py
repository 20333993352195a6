"""Logging: lines for people on stderr, and the same with all details as JSON in a rotated file under ``home/logs``.

Tracebacks contain no values of variables, because these may be passwords.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
import traceback
from datetime import UTC
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING
from uuid import UUID

from loguru import logger

from console.display.times import SECONDS, in_zone, local_times, zone_of
from console.log_file import LogFile
from console.signals import leave_closed_streams
from domain.errors import SettingsError
from domain.files.private_files import make_home, make_private_folder
from domain.redaction.mask import mask
from domain.wording import printable, printable_json

if TYPE_CHECKING:
    from loguru import Record

FILE = "paper-trading.jsonl"
WARNINGS_FILE = "warnings.jsonl"
"""The warnings and errors of the log once more: no number of decisions pushes them out."""
MAX_MESSAGE_LENGTH, MAX_TRACEBACK_LENGTH = 20_000, 50_000
"""Characters in the log file: of a message its begin, of a traceback its end."""
CONTINUED = "\n    "
"""Begin of each further line of a message, such as a stack."""


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


def log_ended_threads() -> None:
    """Have the error of a thread that ends with one be logged; Python would print it as it is, whatever is in it."""
    threading.excepthook = _thread_ended


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


def _thread_ended(ended: threading.ExceptHookArgs) -> None:
    if ended.exc_type is not SystemExit:
        name, kind = ended.thread.name if ended.thread is not None else "of no name", ended.exc_type.__name__
        logger.opt(exception=ended.exc_value).error("thread {} ended: {}: {}", name, kind, ended.exc_value)


def _report(sentence: str) -> None:
    """Report about the log file on stderr, past the log."""
    _write(f"{sentence}\n")


def _patch(record: Record) -> None:
    record["message"] = mask(record["message"])


def _line(record: Record) -> str:
    """Return the format of a line for stderr: time, level, id of the decision if there is one, message.

    A terminal shows local times, a pipe those in UTC. What others sent may be in a message: its control characters are
    escaped, and none of its lines looks like one of the log. The log file has the traceback of a crash.
    """
    decision = record["extra"].get("decision")
    mark = f"<cyan>#{decision}</cyan> " if isinstance(decision, int | UUID) else ""
    at = in_zone(record["time"], zone_of(sys.stderr))
    record["extra"]["shown"] = printable(local_times(record["message"], sys.stderr)).replace("\n", CONTINUED)
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
        text = mask("".join(traceback.format_exception(error.type, error.value, error.traceback)))
        entry["traceback"] = text[-MAX_TRACEBACK_LENGTH:]
    record["extra"]["json"] = printable_json(json.dumps(entry, ensure_ascii=False, default=str))
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
