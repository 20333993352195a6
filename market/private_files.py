"""Files that only this user may read, each written completely or not at all, by one writer at a time."""

from __future__ import annotations

import fcntl
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from domain.errors import PaperTradingError

PART_SUFFIX = ".part"
"""Ends the name of a file that is being written."""
_POLL_INTERVAL_S = 0.05


def make_private_folder(folder: Path) -> None:
    """Create a folder and its missing parents for this user alone: `Path.mkdir` would make the parents readable."""
    if not folder.exists():
        make_private_folder(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)


@contextmanager
def written_atomically(file: Path, *, private: bool = True) -> Iterator[BinaryIO]:
    """Yield a stream whose bytes become ``file`` at the end: a reader, and a kill, leave the old file or the new one.

    Args:
        file: is replaced where it exists.
        private: whether only this user may read it.

    Raises:
        PaperTradingError: it could not be written, as on a full disk; an existing file is unchanged.
    """
    temporary = file.with_name(f".{secrets.token_hex(8)}{PART_SUFFIX}")
    try:
        try:
            with os.fdopen(
                os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600 if private else 0o666), "wb"
            ) as stream:
                yield stream
                stream.flush()
                os.fsync(stream.fileno())
            temporary.replace(file)
        finally:
            temporary.unlink(missing_ok=True)
        sync_folder(file.parent)
    except OSError as error:
        raise PaperTradingError(f"cannot write {file}: {error.strerror or error}") from error


def sync_folder(folder: Path) -> None:
    """Write a folder's entries to the disk: a file that was renamed in it keeps its new name after a power failure."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def locked(file: Path, timeout_s: float, *, waiting_for: str) -> Iterator[None]:
    """Hold the lock of a file, which is created; the system releases it when the process ends.

    Args:
        file: the lock, which stays.
        timeout_s: how long to wait for another process or thread.
        waiting_for: what the other one does, for the message.

    Raises:
        PaperTradingError: another one still holds it after that time, or the file cannot be created.
    """
    try:
        make_private_folder(file.parent)
        handle = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise PaperTradingError(f"cannot write {file}: {error.strerror}") from error
    try:
        deadline = time.monotonic() + timeout_s
        while not _taken(handle):
            if time.monotonic() >= deadline:
                raise PaperTradingError(f"another process {waiting_for}; try again when it has ended")
            time.sleep(_POLL_INTERVAL_S)
        yield
    finally:
        os.close(handle)


def _taken(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
