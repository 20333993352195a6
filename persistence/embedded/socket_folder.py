"""The folder of the embedded server's socket: that of its data, or a private one in /tmp where that path is too long.

Every user can write in /tmp, and the name follows from the path of the data. So what another user has prepared there is
never used: neither a folder, which would give programs a server of that user's, nor a lock file in it.
"""

from __future__ import annotations

import hashlib
import os
import pwd
import re
import shlex
import stat
from contextlib import suppress
from pathlib import Path

from domain.files.owners import user_name
from domain.files.private_files import open_own_file
from persistence.embedded.errors import EmbeddedServerError
from persistence.embedded.server_user import SERVER_USER

PORT = 5432
"""No TCP port: it is only part of the name of a socket."""
SOCKET_PATH_LIMIT = 103
"""In bytes; macOS allows 103, Linux 107; one limit gives the same URL everywhere."""
NO_SUCH_PROCESS = 2**31 - 1
"""Above every system's largest process id."""


def socket_folder(data: Path, port: int) -> Path:
    """Return the data folder, or a private folder in /tmp if the path is too long or has special characters.

    Not XDG's runtime folder and not TMPDIR: they may differ between a cron job and a login session.
    """
    socket = str(data / f".s.PGSQL.{port}")
    if len(socket) <= SOCKET_PATH_LIMIT and re.fullmatch(r"[A-Za-z0-9/._+-]+", socket):
        return data
    return Path("/tmp") / f"paper-trading-{hashlib.sha256(os.fsencode(data)).hexdigest()[:16]}"  # noqa: S108 - checked


def require_own_socket_folder(folder: Path, data: Path) -> None:
    """Check that a folder for the socket, if it exists, is this user's or the server's, and closed to others.

    Args:
        folder: for the socket; the data folder itself is not checked here.
        data: the data folder.

    Raises:
        EmbeddedServerError: it is not; the message says how to mend it.
    """
    if folder == data:
        return
    try:
        status = folder.lstat()
    except FileNotFoundError:
        return
    subject = f"{folder}, the folder for the socket of {data},"
    if not stat.S_ISDIR(status.st_mode):
        raise EmbeddedServerError(f"{subject} is no folder: remove it.")
    if status.st_uid not in server_owners(data):
        raise EmbeddedServerError(
            f"{subject} belongs to the user {user_name(status.st_uid)}: have it removed, or choose a home with a"
            " shorter path, whose socket is in that home."
        )
    if stat.S_IMODE(status.st_mode) & 0o077:
        raise EmbeddedServerError(f"{subject} is open to others: chmod 700 {shlex.quote(str(folder))}.")


def make_socket_folder(folder: Path, data: Path, user: tuple[int, int] | None) -> None:
    """Create the folder for the socket, for the server's user alone.

    Args:
        folder: for the socket.
        data: the data folder.
        user: user and group of the server; None: those of this process.

    Raises:
        EmbeddedServerError: another user has made it.
        OSError: it cannot be made.
    """
    if folder == data:
        return
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
        if user is not None:
            os.chown(folder, *user, follow_symlinks=False)
    require_own_socket_folder(folder, data)


def disarm_stale_lock(lock: Path, data: Path) -> None:
    """Let PostgreSQL start although the process id in one of its lock files now belongs to another program or a zombie.

    Only the id is changed: the file also names the shared memory, by which PostgreSQL finds surviving backends.

    Args:
        lock: in the data folder, or beside a socket, in a folder that was checked; it need not exist.
        data: the data folder of the server, which does not run.

    Raises:
        OSError: the file cannot be changed, or is another user's.
    """
    with (
        suppress(FileNotFoundError),
        os.fdopen(
            open_own_file(lock, os.O_RDWR, server_owners(data)), "r+", encoding="utf-8", errors="replace"
        ) as file,
    ):
        pid, _, rest = file.read().partition("\n")
        if not pid.strip().isdigit():
            lock.unlink()
        else:  # perhaps it is a process's, of whatever user, or a thread's
            file.seek(0)
            file.write(f"{NO_SUCH_PROCESS}\n{rest}")
            file.truncate()


def socket_lock(folder: Path) -> Path:
    """Return PostgreSQL's lock file beside its socket in a folder."""
    return folder / f".s.PGSQL.{PORT}.lock"


def server_owners(data: Path) -> set[int]:
    """Return the uids of those to whom folder and locks may belong: this user; of root's server also its own user."""
    user = os.geteuid()
    if user != 0:
        return {user}
    owners = {user}
    with suppress(KeyError):
        owners.add(pwd.getpwnam(SERVER_USER).pw_uid)
    with suppress(OSError):
        owners.add(data.stat().st_uid)
    return owners
