"""Files that only this user may read: opened without following links, written completely or not at all.

What another user may have prepared is refused: a link or a second name of a file that is to be changed, a pipe at which
the program would wait for ever, a file or folder of another user.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from domain.errors import FileNotWritten, PaperTradingError
from domain.files.owners import ROOT, exposure, is_trusted, user_name

PART_SUFFIX = ".part"
"""Ends the name of a file that is being written."""
PRIVATE_FILE, PRIVATE_FOLDER = 0o600, 0o700
_POLL_INTERVAL_S = 0.05


def make_private_folder(folder: Path, mode: int = PRIVATE_FOLDER) -> None:
    """Create a folder and its missing parents for this user alone: `Path.mkdir` would make the parents readable.

    Args:
        folder: the folder; one that exists stays as it is.
        mode: of the folder.

    Raises:
        PermissionError: another user can change what lies in it; the message says how to mend that.
        OSError: it cannot be made.
    """
    _make_folder(folder, mode)
    if (reason := exposure(folder)) is not None:
        raise PermissionError(errno.EPERM, reason, str(folder))


def make_home(home: Path) -> None:
    """Create the program's folder like `make_private_folder`; root's database server, another user, may pass it."""
    make_private_folder(home, 0o711 if os.geteuid() == 0 else PRIVATE_FOLDER)


def open_own_file(path: Path, flags: int, owners: Collection[int] = ()) -> int:
    """Open a regular file of this user or root; return its descriptor.

    Args:
        path: of the file; it must not be a link.
        flags: as for `os.open`; with ``O_CREAT`` a missing file is created, for this user alone.
        owners: uids of further users who may own it.

    Raises:
        OSError: it cannot be opened, or is a link, no regular file, that of another user, or one with a second name.
    """
    try:
        # O_NONBLOCK: a pipe is not waited for. It has no meaning for a regular file.
        file = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, PRIVATE_FILE)
    except OSError:
        # What the error of a link or pipe says depends on the system.
        with suppress(FileNotFoundError):
            _require_regular(path, os.lstat(path))
        raise
    try:
        status = os.fstat(file)
        _require_regular(path, status)
        if not is_trusted(status.st_uid) and status.st_uid not in owners:
            raise _refusal(path, f"it belongs to the user {user_name(status.st_uid)}: remove it")
        if status.st_nlink > 1 and flags & (os.O_WRONLY | os.O_RDWR):
            raise _refusal(path, "it has a second name, a hard link: remove one of them")
        if status.st_mode & 0o077 and status.st_uid == os.geteuid() and flags & os.O_CREAT:
            os.fchmod(file, stat.S_IMODE(status.st_mode) & 0o700)
    except BaseException:
        os.close(file)
        raise
    return file


def read_own_file(path: Path, owners: Collection[int] = ()) -> bytes:
    """Return the content of a file that `open_own_file` opens.

    Raises:
        OSError: see there.
    """
    with os.fdopen(open_own_file(path, os.O_RDONLY, owners), "rb") as file:
        return file.read()


@contextmanager
def open_folder(folder: Path | str, within: int | None = None) -> Iterator[int]:
    """Yield the descriptor of a folder, by which files in it are named whatever becomes of its path.

    Args:
        folder: its path, or with ``within`` its name, which must not be that of a link.
        within: descriptor of the folder in which it lies.

    Raises:
        OSError: it cannot be opened.
    """
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | (0 if within is None else os.O_NOFOLLOW)
    handle = os.open(folder, flags, dir_fd=within)
    try:
        yield handle
    finally:
        os.close(handle)


def create_file(name: str, folder: int) -> BinaryIO:
    """Create a file that only this user may read.

    Args:
        name: of the file; none of that name may exist.
        folder: descriptor of its folder.

    Raises:
        OSError: it cannot be created, or something has that name.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    return os.fdopen(os.open(name, flags, PRIVATE_FILE, dir_fd=folder), "wb")


def names_in(folder: int) -> list[str]:
    """Return the names of what lies in a folder, by its descriptor."""
    return sorted(os.listdir(folder))


@contextmanager
def written_atomically(file: Path, owner: tuple[int, int] | None = None) -> Iterator[BinaryIO]:
    """Yield a stream whose bytes become ``file`` at the end: a reader, and a kill, leave the old file or the new one.

    Only its owner may read the file, whatever the mode of one that it replaces.

    Args:
        file: is replaced where it exists; a link is replaced itself.
        owner: user and group to which root gives the file; None, or as another user: this one.

    Raises:
        FileNotWritten: it could not be written, as on a full disk; an existing file is unchanged.
    """
    temporary = f".{os.urandom(8).hex()}{PART_SUFFIX}"
    try:
        with open_folder(file.parent) as folder:
            try:
                with create_file(temporary, folder) as stream:
                    yield stream
                    stream.flush()
                    if owner is not None and os.geteuid() == ROOT:
                        os.fchown(stream.fileno(), *owner)
                    os.fsync(stream.fileno())
                os.replace(temporary, file.name, src_dir_fd=folder, dst_dir_fd=folder)
            finally:
                with suppress(FileNotFoundError):
                    os.unlink(temporary, dir_fd=folder)
            _sync(folder)
    except OSError as error:
        raise FileNotWritten(f"cannot write {file}: {error.strerror or error}") from error


def sync_folder(folder: Path) -> None:
    """Write a folder's entries to the disk: a file that was renamed in it keeps its new name after a power failure."""
    with open_folder(folder) as handle:
        _sync(handle)


@contextmanager
def locked(file: Path, timeout_s: float, *, waiting_for: str) -> Iterator[None]:
    """Hold the lock of a file, which is created; the system releases it when the process ends.

    Args:
        file: the lock, which stays.
        timeout_s: how long to wait for another process or thread.
        waiting_for: what the other one does, for the message.

    Raises:
        PaperTradingError: another one still holds it after that time.
        FileNotWritten: the file cannot be created.
    """
    try:
        make_private_folder(file.parent)
        handle = open_own_file(file, os.O_RDWR | os.O_CREAT)
    except OSError as error:
        raise FileNotWritten(f"cannot write {file}: {error.strerror}") from error
    try:
        deadline = time.monotonic() + timeout_s
        while not _taken(handle):
            if time.monotonic() >= deadline:
                raise PaperTradingError(f"another process {waiting_for}; try again when it has ended")
            time.sleep(_POLL_INTERVAL_S)
        yield
    finally:
        os.close(handle)


def _sync(folder: int) -> None:
    try:
        os.fsync(folder)
    except OSError as error:
        if error.errno not in {errno.EINVAL, errno.ENOTSUP}:  # not every file system can sync a folder
            raise


def _make_folder(folder: Path, mode: int) -> None:
    if not folder.exists():
        _make_folder(folder.parent, PRIVATE_FOLDER)
        folder.mkdir(mode=mode, exist_ok=True)


def _require_regular(path: Path, status: os.stat_result) -> None:
    if stat.S_ISREG(status.st_mode):
        return
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    kind = "a link" if stat.S_ISLNK(status.st_mode) else "no regular file"
    raise _refusal(path, f"it is {kind}: remove it")


def _refusal(path: Path, reason: str) -> OSError:
    return PermissionError(errno.EPERM, reason, str(path))


def _taken(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
