"""The rotated log file, which reports once that it cannot be written, and that it can be again."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import TextIO

from domain.files.private_files import open_own_file

MAX_BYTES = 10_000_000
MAX_OLD_FILES = 10


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

    def write(self, text: str) -> None:
        """Write a line."""
        self._handler.handle(logging.makeLogRecord({"msg": text.rstrip("\n")}))

    def stop(self) -> None:
        """Close the file; what a full disk does not take is lost."""
        with suppress(OSError):
            self._handler.close()


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
