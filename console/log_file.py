"""The rotated log file, which reports once that it cannot be written, and that it can be again.

A flood of lines from one place of the code does not push out the others: only some of them are written, and the number
of the rest.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from loguru import Record

from domain.files.private_files import open_own_file

MAX_BYTES = 10_000_000
MAX_OLD_FILES = 10
INFO, WARNING = 20, 30
"""The numbers of loguru's levels."""


@dataclass(frozen=True, slots=True)
class Rate:
    """How many lines of one place in the code are written.

    Attributes:
        burst: at once.
        per_second: of those after them.
    """

    burst: int
    per_second: float


RATES = {WARNING: Rate(100, 1.0), INFO: Rate(1000, 20.0)}
"""By the least level of a line; lines of lower levels are there on request, and are all written."""


class FloodLimit:
    """Counts the lines of each place in the code.

    Args:
        clock: returns seconds.

    >>> limit = FloodLimit(lambda: 0.0)
    >>> [limit.admits("a:1", Rate(2, 1.0)) for _ in range(3)], limit.take_left_out("a:1")
    ([True, True, False], 1)
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._credit: dict[str, tuple[float, float]] = {}  # by place: lines that may be written, and as of when
        self._left_out: dict[str, int] = {}

    def admits(self, place: str, rate: Rate) -> bool:
        """Return whether another line of a place is written; count it if not."""
        now = self._clock()
        credit, since = self._credit.get(place, (float(rate.burst), now))
        credit = min(rate.burst, credit + (now - since) * rate.per_second)
        admitted = credit >= 1
        self._credit[place] = (credit - admitted, now)
        if not admitted:
            self._left_out[place] = self._left_out.get(place, 0) + 1
        return admitted

    def take_left_out(self, place: str) -> int:
        """Return how many lines of a place were not written since the last call."""
        return self._left_out.pop(place, 0)

    @property
    def places(self) -> tuple[str, ...]:
        """The places of which lines were not written."""
        return tuple(self._left_out)


class LogFile:
    """A sink for loguru.

    Args:
        path: of the file; old ones are beside it, with a number.
        report: is called with a sentence when the file cannot be written, and when it can be again.

    Raises:
        OSError: the file cannot be opened.
    """

    def __init__(self, path: Path, report: Callable[[str], None]) -> None:
        self._handler = _Handler(path, report)
        self._limit = FloodLimit()
        self._last_time = ""

    def write(self, text: str) -> None:
        """Write a line, unless its place in the code has written too many; their number comes before the next one.

        Args:
            text: the line; loguru's has its record as an attribute.
        """
        record: Record | None = getattr(text, "record", None)
        if record is not None and (rate := _rate_of(record)) is not None:
            place, self._last_time = _place(record), record["time"].astimezone(UTC).isoformat()
            if not self._limit.admits(place, rate):
                return
            self._write_left_out(place)
        self._write(text)

    def stop(self) -> None:
        """Close the file; what a full disk does not take is lost."""
        for place in self._limit.places:
            self._write_left_out(place)
        with suppress(OSError):
            self._handler.close()

    def _write_left_out(self, place: str) -> None:
        """Write how many lines of a place were left out."""
        if number := self._limit.take_left_out(place):
            message = f"{number} more lines of this place are left out, because they came too fast"
            entry = {"time": self._last_time, "level": "WARNING", "message": message, "where": place}
            self._write(json.dumps(entry))

    def _write(self, text: str) -> None:
        self._handler.handle(logging.makeLogRecord({"msg": text.rstrip("\n")}))


def _rate_of(record: Record) -> Rate | None:
    return next((rate for least, rate in RATES.items() if record["level"].no >= least), None)


def _place(record: Record) -> str:
    return f"{record['name']}:{record['function']}:{record['line']}"


class _Handler(RotatingFileHandler):
    def __init__(self, path: Path, report: Callable[[str], None]) -> None:
        self._report = report
        self._lost = 0
        self._failed = False
        super().__init__(path, maxBytes=MAX_BYTES, backupCount=MAX_OLD_FILES, encoding="utf-8")

    def _open(self) -> TextIO:  # type: ignore[override]
        descriptor = open_own_file(Path(self.baseFilename), os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        # Half a character, which no encoding has, is written as its escape in JSON.
        return os.fdopen(descriptor, "a", encoding="utf-8", errors="backslashreplace")

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line; report a failure once, and its end."""
        self._failed = False
        super().emit(record)
        if not self._failed and self._lost:
            lost, self._lost = self._lost, 0
            self._report(f"the log is written again; {lost} lines may be lost")

    def handleError(self, _: logging.LogRecord) -> None:  # noqa: N802 - the name is logging's
        """Report the first failure; there is no traceback for each line."""
        self._failed = True
        self._lost += 1
        if self._lost == 1:
            error = sys.exc_info()[1]
            reason = (isinstance(error, OSError) and error.strerror) or str(error)
            self._report(f"the log cannot be written ({reason}); its lines are lost until it can be")
