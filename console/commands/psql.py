"""``run.py psql``: psql on the database of the program."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Annotated, Any

import typer

from actors.settings import Settings
from console.database import connected, require_database
from console.errors import ProgramMissing
from console.options import with_settings
from console.signals import restore_signals, take_signals
from persistence.embedded.errors import EmbeddedServerError
from persistence.embedded.installation import installation, major_version
from persistence.embedded.sessions import OWN_PROGRAM
from persistence.sessions.address import make_url, parse_url

PROGRAM = "psql"
ENDED_BY_SIGNAL = 128
"""What a shell adds to the number of the signal that ended a program."""
Arguments = Annotated[
    list[str] | None,
    typer.Argument(metavar="ARGUMENT", help="For psql, such as -c 'SELECT 1'.", show_default=False),
]


@with_settings
def psql(settings: Settings, arguments: Arguments = None) -> None:
    r"""Open psql on the database, or run it with arguments of its own; its exit code is passed on.

    \b
      run.py psql
      run.py psql -c "SELECT * FROM v_paper_ledger_check"
      run.py psql --csv -f query.sql
      run.py psql -- --help

    The embedded database is started for it if it does not run. A password is in no list of processes.
    """
    require_database(settings)
    program = _program(embedded=settings.url is None, postgres_bin=settings.postgres_bin)
    with connected(settings) as url, _secrets_in_environment(url, embedded=settings.url is None) as (shown_url, env):
        code = _run([program, f"--dbname={shown_url}", *(arguments or [])], env)
    if code:
        raise typer.Exit(code)


def _program(*, embedded: bool, postgres_bin: Path | None = None) -> str:
    """Return the path of psql: the one that the embedded server brings, or one that is installed.

    The first knows no TLS, so for other servers it comes second; and it edits no lines, so for a person at a terminal
    an installed one of the same version or a newer one is preferred.

    Raises:
        ProgramMissing: there is none.
    """
    installed, own = shutil.which(PROGRAM), _own_program(postgres_bin)
    prefers_own = embedded and not (
        installed is not None and sys.stdin.isatty() and _is_new_enough(installed, postgres_bin)
    )
    program = (own or installed) if prefers_own else (installed or own)
    if program is None:
        raise ProgramMissing("psql is not installed; install the package postgresql-client, or libpq with Homebrew")
    return program


def _is_new_enough(program: str, postgres_bin: Path | None) -> bool:
    """Return whether an installed psql is at least as new as the embedded server, whose catalogs it reads."""
    with suppress(OSError, subprocess.SubprocessError, EmbeddedServerError):
        answer = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=5, check=True)  # noqa: S603
        version = re.search(r"(\d+)\.", answer.stdout)
        return version is not None and int(version[1]) >= major_version(postgres_bin)
    return False


def _own_program(postgres_bin: Path | None) -> str | None:
    with suppress(EmbeddedServerError):
        path = installation(postgres_bin).program(PROGRAM)
        if os.access(path, os.X_OK):
            return path
    return None


@contextmanager
def _secrets_in_environment(url: str, *, embedded: bool) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield the URL without its secrets, and the environment that has them instead."""
    parameters = parse_url(url)
    # libpq's variables of this environment complete the URL of a server, but not that of the embedded one.
    env = {name: value for name, value in os.environ.items() if not (embedded and name.startswith("PG"))}
    if embedded:
        env["PGAPPNAME"] = OWN_PROGRAM
    if (password := parameters.pop("password", None)) is not None:
        env["PGPASSWORD"] = password
    key_password = parameters.pop("sslpassword", None)
    if key_password is None:
        yield make_url(parameters), env
        return
    # libpq has no variable for the password of a key, but reads a service from a file.
    with tempfile.TemporaryDirectory(prefix="paper-trading-") as folder:
        file = Path(folder) / "pg_service.conf"
        file.write_text(f"[paper-trading]\nsslpassword={key_password}\n", encoding="utf-8")
        yield make_url(parameters | {"service": "paper-trading"}), env | {"PGSERVICEFILE": str(file)}


def _run(command: list[str], env: Mapping[str, str]) -> int:
    """Run a program in the foreground; return its exit code.

    Ctrl-C reaches it from the terminal, and there cancels a query; a signal to this process alone is passed on.
    """
    process: subprocess.Popen[bytes] | None = None

    def pass_on(number: int, _: FrameType | None) -> None:
        if process is not None:
            process.send_signal(number)

    def leave(_number: int, _frame: FrameType | None) -> None:
        """Do nothing: psql has got the signal, too."""

    handlers: dict[signal.Signals, Any] = {
        signal.SIGINT: leave, signal.SIGQUIT: leave, signal.SIGTERM: pass_on, signal.SIGHUP: pass_on
    }  # fmt: skip
    before = take_signals(handlers)
    try:
        process = subprocess.Popen(command, env=env)  # noqa: S603 - no shell; the user's own arguments
        code = process.wait()
    except OSError as error:
        raise ProgramMissing(f"{command[0]} cannot be run: {error.strerror or error}") from error
    finally:
        restore_signals(before)
    return code if code >= 0 else ENDED_BY_SIGNAL - code
