"""Lock files in ``home``."""

from __future__ import annotations

import errno
import fcntl
import os
import time
from pathlib import Path

from domain.files.owners import ROOT, user_name
from domain.files.private_files import open_own_file
from persistence.embedded.errors import EmbeddedServerError


def open_lock_file(path: Path) -> int:
    """Open a lock file, and make it if it is missing; return its descriptor.

    Raises:
        EmbeddedServerError: it belongs to root, whose commands have left such files in earlier versions.
        OSError: it cannot be opened.
    """
    try:
        return open_own_file(path, os.O_RDWR | os.O_CREAT)
    except PermissionError as error:
        if error.errno != errno.EACCES or path.lstat().st_uid != ROOT:
            raise
        user = user_name(os.geteuid())
        raise EmbeddedServerError(
            f"{path} belongs to root, because a command of root made it: as root, run chown {user} {path}."
        ) from None


def locked(descriptor: int, mode: int, timeout: float = 0.0) -> bool:
    """Lock a file; return whether that succeeded within ``timeout`` seconds.

    Args:
        descriptor: of the file.
        mode: ``LOCK_SH`` (shared) or ``LOCK_EX`` (exclusive).
        timeout: seconds.
    """
    deadline = time.monotonic() + timeout
    while True:
        try:
            fcntl.flock(descriptor, mode | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return False
            time.sleep(0.02)
        else:
            return True
