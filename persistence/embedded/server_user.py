"""The user that runs root's server, because PostgreSQL refuses to run as root."""

from __future__ import annotations

import pwd
import stat
import subprocess
import time
from pathlib import Path

from domain.errors import PaperTradingError
from domain.files.private_files import locked
from persistence.embedded.errors import EmbeddedServerError

SERVER_USER = "pgserver"
USERADD_WAIT_S = 5.0
"""How long another process may take to make the same user."""
RETRY_INTERVAL_S = 0.1
USERS_LOCK = Path("/run/pgserver.lock")
"""In a folder that only root can write, so nobody else can hold it; no file of useradd, which locks its own."""
USERS_LOCK_WAIT_S = 30.0
"""How long another process may take for all of it; its useradd may have to wait for another program's."""
USERADD = ("useradd", "--system", "--user-group", "--no-create-home", "--shell", "/usr/sbin/nologin", SERVER_USER)


def user_of_roots_server() -> tuple[int, int]:
    """Return user and group that run root's server; make the user if it is missing.

    Two first starts may make it at once. A useradd that has looked for the name before another one is done gives that
    user a new number, and the data of the first start belong to nobody; so one start makes it at a time.

    Raises:
        EmbeddedServerError: it cannot be made.
    """
    if (user := _find()) is not None:
        return user
    try:
        with locked(USERS_LOCK, USERS_LOCK_WAIT_S, waiting_for="makes it"):
            return _make()
    except EmbeddedServerError:
        raise
    except PaperTradingError as error:
        raise _not_made(str(error)) from error


def allow_traversal(user: tuple[int, int], passed: set[Path]) -> None:
    """Give the server's user the right x on folders that lack it, and never r.

    To pass a folder needs no right to list it, so the folders above the data stay unreadable. Only root calls this: an
    ordinary user's server runs as that user and needs no change.
    """
    for folder in passed:
        status = folder.stat()
        bit = stat.S_IXOTH
        if status.st_uid == user[0]:
            bit = stat.S_IXUSR
        elif status.st_gid == user[1]:
            bit = stat.S_IXGRP
        if not status.st_mode & bit:
            folder.chmod(stat.S_IMODE(status.st_mode) | bit)


def _make() -> tuple[int, int]:
    """Return the user, made if it is missing; another program may have the list of users locked for a moment."""
    deadline = time.monotonic() + USERADD_WAIT_S
    while (user := _find()) is None:
        reason = _add()
        if (user := _find()) is not None:
            break
        if time.monotonic() >= deadline:
            raise _not_made(reason)
        time.sleep(RETRY_INTERVAL_S)
    return user


def _find() -> tuple[int, int] | None:
    try:
        entry = pwd.getpwnam(SERVER_USER)
    except KeyError:
        return None
    return entry.pw_uid, entry.pw_gid


def _add() -> str:
    """Run useradd; return why it failed, or what is wrong if it did not and the user is still missing."""
    try:
        subprocess.run(USERADD, check=True, capture_output=True)  # noqa: S603 - no part of it comes from outside
    except subprocess.CalledProcessError as error:
        reason = error.stderr.decode(errors="replace").strip() if error.stderr else ""
        return reason.partition("\n")[0] or str(error)
    except OSError as error:  # there is no useradd, for nobody
        raise _not_made(str(error)) from error
    return "useradd made none"


def _not_made(reason: str) -> EmbeddedServerError:
    return EmbeddedServerError(
        f"PostgreSQL refuses to run as root, and a user {SERVER_USER} for it cannot be made ({reason}): "
        "run the program as another user, or set database_url."
    )
