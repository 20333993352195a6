"""The settings file is opened only if no other user can change it: its writer controls the service.

It names a database, commands and limits. A file passes if it belongs to this user or to root, and if nobody else may
write it or replace it in its folder. What nobody may write, because it lies on a file system that is mounted read-only,
passes in any case: containers mount the files of their configuration so.
"""

from __future__ import annotations

import errno
import os
import select
import shlex
import stat
from pathlib import Path
from typing import BinaryIO

from domain.errors import SettingsError
from domain.files.owners import ROOT, is_trusted, other_writers, user_name


def open_settings_file(path: Path, *, is_named: bool) -> BinaryIO:
    """Open a settings file that only this user and root can change.

    Args:
        path: of the file.
        is_named: whether an option names it. Then it may be a pipe or a device, as in ``--config <(make-settings)``;
            one that lies in a folder where the file is looked for would make a command wait for ever.

    Raises:
        SettingsError: another user can change it, or it is none; the message says how to mend it.
        OSError: it cannot be opened.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        kind = stat.S_IFMT(os.fstat(descriptor).st_mode)
        if kind == stat.S_IFDIR:
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        if kind != stat.S_IFREG and not is_named:
            raise SettingsError(f"{path} is no regular file, so that it is not read: remove it")
        if kind != stat.S_IFCHR:
            refuse_if_others_write(path, descriptor)
        if kind == stat.S_IFIFO:
            _await_writer(descriptor)
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def _await_writer(pipe: int) -> None:
    """Wait until a pipe has content, or its writer has come and gone; from then on reading waits for all of it."""
    os.set_blocking(pipe, True)
    poll = select.poll()
    poll.register(pipe, select.POLLIN)
    poll.poll()


def refuse_if_others_write(path: Path, descriptor: int) -> None:
    """Check that only this user and root can change a file.

    Args:
        path: of the file, for the message and to find its folder.
        descriptor: of the open file, so that no other file takes its place between the check and the reading.

    Raises:
        SettingsError: another user can; the message says how to mend it.
    """
    file = os.fstat(descriptor)
    if stat.S_ISREG(file.st_mode) and os.fstatvfs(descriptor).f_flag & os.ST_RDONLY:
        return  # a pipe there can be written all the same
    if not is_trusted(file.st_uid):
        owner, reader = user_name(file.st_uid), user_name(os.geteuid())
        owners = " or ".join(dict.fromkeys([reader, user_name(ROOT)]))
        raise SettingsError(
            f"{path} belongs to the user {owner}, and settings are read only from a file of {owners}: remove it,"
            " or copy it if you want what it says"
        )
    if (others := other_writers(file)) is not None:
        raise SettingsError(f"{path} may be written by {others}, and so is not read: chmod go-w {_shell(path)}")
    # A link has two folders: its own, and that of the file.
    for folder in dict.fromkeys([path.absolute().parent, path.resolve().parent]):
        status = folder.stat()
        if status.st_mode & stat.S_ISVTX or os.statvfs(folder).f_flag & os.ST_RDONLY:
            continue  # in a folder such as /tmp only the owner of a file replaces it
        if (others := other_writers(status)) is not None:
            raise SettingsError(
                f"{path} is not read, because its folder may be written by {others}, who can replace the file:"
                f" chmod go-w {_shell(folder)}"
            )


def _shell(path: Path) -> str:
    return shlex.quote(str(path))
