"""The log lines of a test."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from loguru import logger

if TYPE_CHECKING:
    from loguru import Record


@contextmanager
def captured_log(package: str = "", level: str = "INFO", *, alarms: bool = True) -> Iterator[list[str]]:
    """Collect the log lines, as level and message with the traceback if there is one.

    Args:
        package: only its lines: threads of earlier tests may log in others.
        level: from this one on.
        alarms: also the lines of alarms.
    """
    lines: list[str] = []

    def is_meant(record: Record) -> bool:
        of_package = f"{record['name']}.".startswith(f"{package}.") if package else True
        return of_package and (alarms or "alarm" not in record["extra"])

    sink = logger.add(
        lambda line: lines.append(line.rstrip("\n")), level=level, format="{level} {message}", filter=is_meant,
        backtrace=True,
    )  # fmt: skip
    yield lines
    logger.remove(sink)
