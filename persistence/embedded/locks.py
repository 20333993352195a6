"""Lock files in ``home``, and the process that PostgreSQL's own one names."""

from __future__ import annotations

import errno
import fcntl
import os
import time
from contextlib import suppress
from pathlib import Path

import psutil

from domain.files.owners import ROOT, user_name
from domain.files.private_files import open_own_file, read_own_file
from persistence.embedded.errors import EmbeddedServerError
from persistence.embedded.socket_folder import server_owners


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


def postmaster(data: Path) -> psutil.Process | None:
    """Return the server's process; None if the process id is reused, a zombie's or unreadable.

    Raises:
        OSError: the folder cannot be read, so the server may run.
    """
    owners = server_owners(data)
    with suppress(FileNotFoundError, NotADirectoryError, ValueError, psutil.Error):
        process = server_process(int(read_own_file(data / "postmaster.pid", owners).partition(b"\n")[0]), str(data))
        if process is not None and process.uids().effective in owners:  # another user's process may have got its id
            return process
    return None


def server_process(pid: int, data: str) -> psutil.Process | None:
    """Return the process of an id if it is a server of these data; the id may be another process's by now.

    Args:
        pid: process id.
        data: folder of the data.
    """
    with suppress(psutil.Error):
        process = psutil.Process(pid)
        if process.status() != psutil.STATUS_ZOMBIE and data in process.cmdline():
            return process
    return None
