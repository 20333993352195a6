"""The log of the embedded server, which the server itself appends to and never shortens.

pg_ctl opens it for appending, so that the server goes on at its new end after it was emptied.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

from domain.files.private_files import open_own_file

MAX_BYTES = 10_000_000
"""A longer log is emptied; so much of its end is kept beside it."""
MAX_OLD_FILES = 3
OPTIONS = " -c log_error_verbosity=terse -c log_min_error_statement=panic"
"""For the server: a message has neither the statement nor the values of a row, which may be of any length. Roles other
than the superuser cannot set them."""


def trim(log: Path, owners: Collection[int] = ()) -> bool:
    """Empty a log that is too long, and keep its end as ``log.1``; return whether it was too long.

    A line that the server writes at this moment may be lost. Where the disk is full, the old end is lost, too: the log
    itself may have filled it.

    Args:
        log: the file.
        owners: uids of further users who may own it.

    Raises:
        OSError: the log cannot be read or emptied, or is a link or another user's.
    """
    try:
        descriptor = open_own_file(log, os.O_RDWR, owners)
    except FileNotFoundError:
        return False
    with os.fdopen(descriptor, "rb+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:  # another process trims it
            return False
        status = os.fstat(descriptor)
        if status.st_size <= MAX_BYTES:
            return False
        with suppress(OSError):
            file.seek(status.st_size - MAX_BYTES)
            file.readline()  # the rest of a line
            _keep(log, file.read(MAX_BYTES), status)
        os.ftruncate(descriptor, 0)
        return True


def _keep(log: Path, end: bytes, status: os.stat_result) -> None:
    """Write the end of the log into ``log.1``; the older ones get the next number."""
    temporary = log.with_name(f"{log.name}.part")
    temporary.unlink(missing_ok=True)
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "wb") as target:
            target.write(end)
            if status.st_uid != os.geteuid():  # root trims the log of another user's server
                os.fchown(descriptor, status.st_uid, status.st_gid)
        for number in range(MAX_OLD_FILES, 1, -1):
            with suppress(FileNotFoundError):
                _numbered(log, number - 1).replace(_numbered(log, number))
        temporary.replace(_numbered(log, 1))
    finally:
        temporary.unlink(missing_ok=True)


def _numbered(log: Path, number: int) -> Path:
    return log.with_name(f"{log.name}.{number}")
