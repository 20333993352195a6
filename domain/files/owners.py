"""Who can change a file or a folder, apart from this user and root.

Another user who can change the program's folder could give it other settings, prices or results, or have it write into
a file of their choice. So a folder is used only where no other user can change what lies in it, or exchange it.
"""

from __future__ import annotations

import errno
import grp
import os
import pwd
import shlex
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

ROOT = 0
FIRST_PERSON = 1000
"""The least uid of a person; those below are the system's (login.defs)."""
MAX_LINKS = 40
"""Links on the way to a folder; Linux follows as many."""


def exposure(folder: Path) -> str | None:
    """Return how another user can change what lies in a folder; None if no other user can.

    The folders above it count, too: who may write one can exchange what lies in it. In one with the sticky bit, such as
    /tmp, only the owner of an entry can, so each entry must belong to this user or root there. Folders that root or
    this user has left to a third user are trusted, except by root. A part of the path that is missing does not count.

    Args:
        folder: its path; links are followed, and count like folders.

    Returns:
        A clause with the way out, such as ``it may be written by everybody: chmod go-w /srv/paper``.

    Raises:
        OSError: a folder on the way may not be entered, or the links lead in a circle.
    """
    holder: os.stat_result | None = None
    for entry, status, is_last in _entries(folder):
        reason = _foreign_owner(entry, status, holder, is_last=is_last)
        if not stat.S_ISLNK(status.st_mode):
            reason = reason or _foreign_writers(entry, status, is_last=is_last)
            holder = status
        if reason is not None and not _is_read_only(entry.parent if stat.S_ISLNK(status.st_mode) else entry):
            return reason
    return None


def other_writers(status: os.stat_result) -> str | None:
    """Return who may write a file or folder, apart from its owner and root; None if nobody may."""
    if status.st_mode & stat.S_IWOTH:
        return "everybody"
    if status.st_mode & stat.S_IWGRP and not _is_private(status.st_gid, status.st_uid):
        return f"the group {_group_name(status.st_gid)}"
    return None


def is_trusted(uid: int) -> bool:
    """Return whether a user is this one or root."""
    return uid in {ROOT, os.geteuid()}


def user_name(uid: int) -> str:
    """Return the name of a user; the number of one without a name."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _entries(path: Path) -> Iterator[tuple[Path, os.stat_result, bool]]:
    """Yield each folder and link on the way to a path, from the root on, and whether it is the path's end."""
    rest = [*reversed(path.absolute().parts)]
    place, links = Path(), 0
    while rest:
        part = rest.pop()
        entry = place.parent if part == os.pardir else place / part  # an absolute part begins anew
        try:
            status = os.lstat(entry)
        except (FileNotFoundError, NotADirectoryError):
            return
        if stat.S_ISLNK(status.st_mode):
            links += 1
            if links > MAX_LINKS:
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))
            rest += reversed(Path(os.readlink(entry)).parts)  # noqa: PTH115 - Path's own is the same, and slower
            yield entry, status, False
        else:
            yield entry, status, not rest
            place = entry


def _foreign_owner(entry: Path, status: os.stat_result, holder: os.stat_result | None, *, is_last: bool) -> str | None:
    """Return that an entry belongs to a user who must not own it; None if that is not so.

    Args:
        entry: a folder or a link.
        status: of the entry.
        holder: of the folder in which it lies; None for the root.
        is_last: whether the path ends there.
    """
    if is_trusted(status.st_uid):
        return None
    if not is_last and os.geteuid() != ROOT and (holder is None or other_writers(holder) is None):
        return None
    name = user_name(status.st_uid)
    return (
        f"{_subject(entry, is_last=is_last)} belongs to the user {name}: run the command as {name}"
        f" (sudo -u {shlex.quote(name)} …), or name another folder"
    )


def _foreign_writers(entry: Path, status: os.stat_result, *, is_last: bool) -> str | None:
    """Return that others may change what lies in a folder; None if they may not."""
    is_sticky = bool(status.st_mode & stat.S_ISVTX)
    if (writers := other_writers(status)) is None or (is_sticky and not is_last):
        return None
    reason = f"{_subject(entry, is_last=is_last)} may be written by {writers}"
    if is_sticky:  # such as /tmp: that is what it is for
        return f"{reason}: name another folder, such as one in it"
    return f"{reason}: chmod go-w {shlex.quote(str(entry))}" + ("" if is_last else ", or name another folder")


def _is_read_only(place: Path) -> bool:
    """Return whether nobody can change anything there, as in a container's file system that is mounted so."""
    return bool(os.statvfs(place).f_flag & os.ST_RDONLY)


def _subject(entry: Path, *, is_last: bool) -> str:
    return "it" if is_last else f"{entry}, on the way to it,"


def _is_private(group: int, owner: int) -> bool:
    """Return whether nobody but this user, root and a folder's owner is in a group.

    With umask 002, as many distributions have it, files may be written by their group, and each user has a group of
    their own. Members of other groups may be unknown here, so these count as open to others.
    """
    user = os.geteuid()
    groups, allowed = {os.getegid(), ROOT}, {user_name(uid) for uid in (user, ROOT, owner)}
    with suppress(KeyError):  # a user without a name
        groups.add(pwd.getpwuid(owner).pw_gid)
    try:
        named = grp.getgrgid(group).gr_mem
    except KeyError:
        # A group without a name that this process is in comes from its container, and no account can be in it.
        named = []
        groups.update(os.getgroups())
    if group not in groups:
        return False
    # Some systems put accounts without a login, such as sync, into root's group.
    least = FIRST_PERSON if group == ROOT else 0
    members = {*named, *(one.pw_name for one in pwd.getpwall() if one.pw_gid == group and one.pw_uid >= least)}
    return members <= allowed


def _group_name(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)
