"""Who may write a settings file: it names a database, commands and limits, so that its writer controls the service.

A file passes if it belongs to this user or to root, and if nobody else may write it or replace it in its folder. What
nobody may write, because it lies on a file system that is mounted read-only, passes in any case: containers mount the
files of their configuration so.
"""

from __future__ import annotations

import grp
import os
import pwd
import shlex
import stat
from pathlib import Path

from domain.errors import SettingsError

ROOT = 0
FIRST_PERSON = 1000
"""The least uid of a person; those below are the system's (login.defs)."""


def refuse_if_others_write(path: Path, descriptor: int) -> None:
    """Check that only this user and root can change a file.

    Args:
        path: of the file, for the message and to find its folder.
        descriptor: of the open file, so that no other file takes its place between the check and the reading.

    Raises:
        SettingsError: another user can; the message says how to mend it.
    """
    file = os.fstat(descriptor)
    if not stat.S_ISREG(file.st_mode) or os.fstatvfs(descriptor).f_flag & os.ST_RDONLY:
        return
    if file.st_uid not in {ROOT, os.geteuid()}:
        owner, reader = _user_name(file.st_uid), _user_name(os.geteuid())
        owners = " or ".join(dict.fromkeys([reader, _user_name(ROOT)]))
        raise SettingsError(
            f"{path} belongs to the user {owner}, and settings are read only from a file of {owners}:"
            f" chown {reader} {_shell(path)}"
        )
    if (others := _others(file)) is not None:
        raise SettingsError(f"{path} may be written by {others}, and so is not read: chmod go-w {_shell(path)}")
    # A link has two folders: its own, and that of the file.
    for folder in dict.fromkeys([path.absolute().parent, path.resolve().parent]):
        status = folder.stat()
        if status.st_mode & stat.S_ISVTX or os.statvfs(folder).f_flag & os.ST_RDONLY:
            continue  # in a folder such as /tmp only the owner of a file replaces it
        if (others := _others(status)) is not None:
            raise SettingsError(
                f"{path} is not read, because its folder may be written by {others}, who can replace the file:"
                f" chmod go-w {_shell(folder)}"
            )


def _others(status: os.stat_result) -> str | None:
    """Return who may write, apart from the owner and root; None if nobody may."""
    if status.st_mode & stat.S_IWOTH:
        return "everybody"
    if status.st_mode & stat.S_IWGRP and not _is_private(status.st_gid):
        return f"the group {_group_name(status.st_gid)}"
    return None


def _is_private(group: int) -> bool:
    """Return whether nobody but this user and root is in a group, which is this user's own or root's.

    With umask 002, as many distributions have it, files may be written by their group, and each user has a group of
    their own.
    """
    user = os.geteuid()
    if group not in {os.getegid(), ROOT}:
        return False
    try:
        named = grp.getgrgid(group).gr_mem
    except KeyError:
        named = []
    allowed = {_user_name(user), _user_name(ROOT)}
    # Some systems put accounts without a login, such as sync, into root's group.
    least = FIRST_PERSON if group == ROOT else 0
    members = {*named, *(one.pw_name for one in pwd.getpwall() if one.pw_gid == group and one.pw_uid >= least)}
    return members <= allowed


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _group_name(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)


def _shell(path: Path) -> str:
    return shlex.quote(str(path))
