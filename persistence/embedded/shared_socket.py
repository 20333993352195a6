"""The second socket of the embedded server, in a folder that others may enter: there roles with a password connect.

The first socket lies in a folder that only the service's own user can enter. Once there is a second one, the server
asks who connects: the owner and the superuser must be processes of that user or of root, which the kernel says of each;
any other role must know its password. ``home/postgres.sockets`` keeps where the second one is, for every later start.
"""

from __future__ import annotations

import grp
import json
import os
import re
import stat
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path

import psycopg
from loguru import logger

from domain.errors import SettingsError
from domain.files.owners import user_name
from persistence.embedded.errors import EmbeddedServerError
from persistence.embedded.installation import environment, identity
from persistence.embedded.socket_folder import PORT
from persistence.error_translation import first_line
from persistence.roles.accounts import end_sessions
from persistence.roles.urls import ROOT
from persistence.rows import one_row
from persistence.sessions.session import SETTINGS, open_privileged_session, open_session

OWN_ROLES = ("paper", "paper_backup", "postgres")
"""The owner of the database, the role that reads it for backups, and the superuser."""
MAP = "paper_trading"
"""Name of the map from users of the machine to roles, in the server's file pg_ident.conf."""
AUTHENTICATION = f"""\
# Written by `db role create` and at each start: who may connect, and how. The first line that fits counts.
local all {",".join(OWN_ROLES)} peer map={MAP}
local all all scram-sha-256
host all all all reject
"""
WITHOUT_ROLES = AUTHENTICATION.replace("scram-sha-256", "reject")
OTHER_ROLES = "SELECT rolname FROM pg_catalog.pg_roles WHERE NOT rolname OPERATOR(pg_catalog.=) ANY(%s)"
IDENTITIES = "# Written by `db role create` and at each start: which users of this machine may be which roles.\n"
RUN_FOLDER = Path("/run/paper-trading")
"""Made by systemd for the service; a service there has a /tmp of its own, which no other process sees."""
DEFAULT_MODE, WITH_GROUP_MODE = 0o755, 0o750
SOCKET_NAME = ".s.PGSQL."
MAX_FOLDER_LENGTH = 103 - len(f"/{SOCKET_NAME}{PORT}")
"""The path of a socket has 103 bytes on macOS, and 107 on Linux."""
PLAIN_PATH = re.compile(r"/[A-Za-z0-9/._+-]*")
"""What needs no quotes in the server's options and in a URL."""
RELOAD_TIMEOUT_S = 10.0
LOADED = "SELECT pg_catalog.pg_conf_load_time()"
FOLDERS = "SELECT pg_catalog.current_setting('unix_socket_directories')"


@dataclass(frozen=True, slots=True)
class SharedSocket:
    """The folder of the second socket, and who may enter it.

    Attributes:
        folder: its path, which is absolute.
        mode: of the folder; the socket in it is open to all that may enter.
        group: of the folder; None: that of the server.
    """

    folder: str
    mode: int = DEFAULT_MODE
    group: str | None = None

    def make(self, user: tuple[int, int]) -> None:
        """Make the folder, or check the one that is there, and let those enter it that may.

        Args:
            user: user and group that run the server.

        Raises:
            SettingsError: it cannot be made, belongs to another user, or holds other files.
        """
        subject, advice = f"the folder {self.folder} for the second socket", "choose another one with --socket-folder"
        try:
            Path(self.folder).mkdir(mode=0o700, exist_ok=True)
            handle = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except OSError as error:
            raise SettingsError(f"{subject} cannot be used ({error.strerror or error}); {advice}") from error
        try:
            status = os.fstat(handle)
            if status.st_uid not in {user[0], os.geteuid()}:
                raise SettingsError(f"{subject} belongs to another user; {advice}")
            names = os.listdir(handle)  # noqa: PTH208 - of this folder, whatever its path leads to by now
            if not all(name.startswith(SOCKET_NAME) for name in names):
                raise SettingsError(f"{subject} holds other files; {advice}")
            group = status.st_gid if self.group is None else group_id(self.group)
            if (status.st_uid, status.st_gid) != (user[0], group):  # which a hardened service may not even try
                os.fchown(handle, user[0], group)
            os.fchmod(handle, self.mode)
            if not _may_write(self.folder, user):
                raise SettingsError(
                    f"{subject} cannot be reached by {user_name(user[0])}, the user of the server: a folder above it is"
                    f" closed to others; {advice}"
                )
        except PermissionError as error:
            name = f"group {self.group}" if self.group is not None else "the user of the server"
            raise SettingsError(f"{subject} cannot be given to {name}: this user must be in that group") from error
        finally:
            os.close(handle)


def wanted_socket(
    home: Path, folder: str | None = None, mode: str | None = None, group: str | None = None
) -> SharedSocket:
    """Return the second socket that is wanted; what is None stays as it is stored, or gets its default.

    Args:
        home: of the service.
        folder: path of the folder.
        mode: of the folder, in octal digits.
        group: of the folder.

    Raises:
        SettingsError: a value is not possible.
    """
    stored = stored_socket(home)
    path = folder or (stored.folder if stored is not None else str(default_folder(home)))
    of_group = group or (stored.group if stored is not None else None)
    if of_group is not None:
        group_id(of_group)
    if mode is not None:
        bits = _mode(mode)
    elif stored is not None and group is None:
        bits = stored.mode
    else:
        bits = DEFAULT_MODE if of_group is None else WITH_GROUP_MODE
    if PLAIN_PATH.fullmatch(path) is None or len(path) > MAX_FOLDER_LENGTH:
        raise SettingsError(
            f"the folder {path} cannot hold a socket: its path must be absolute, and of at most {MAX_FOLDER_LENGTH}"
            " letters, digits and the characters / . _ + -"
        )
    if Path(path).resolve().is_relative_to(home.resolve()):
        raise SettingsError(f"the folder {path} is in home {home}, which other users cannot enter; choose one outside")
    return SharedSocket(path, bits, of_group)


def default_folder(home: Path) -> Path:
    """Return the folder of systemd where this user has it, else one in /tmp with a name of this home's own."""
    if RUN_FOLDER.is_dir() and RUN_FOLDER.stat().st_uid == os.geteuid():
        return RUN_FOLDER
    return Path("/tmp") / f"paper-trading-roles-{sha256(os.fsencode(home.resolve())).hexdigest()[:16]}"  # noqa: S108


def stored_socket(home: Path) -> SharedSocket | None:
    """Return the second socket of a home; None if it has none, or the file about it cannot be read."""
    try:
        values = json.loads(_file(home).read_text(encoding="utf-8"))
        return SharedSocket(values["folder"], int(values["mode"], 8), values["group"])
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError) as error:
        logger.warning("{} cannot be read ({}), so there is no second socket; `db role create` makes one", home, error)
        return None


def missing_socket(home: Path) -> str | None:
    """Return a sentence where the second socket of a running server is not open; None where it is, or none is wanted.

    Args:
        home: of the service.
    """
    home = home.expanduser().resolve()
    if (shared := stored_socket(home)) is None:
        return None
    try:
        place = os.lstat(f"{shared.folder}/{SOCKET_NAME}{PORT}")
        if stat.S_ISSOCK(place.st_mode) and place.st_uid == (home / "postgres").stat().st_uid:
            return None
    except OSError:
        pass  # of whom the folder is, the next `db role create` says
    return (
        f"roles with a password cannot connect: the server has no socket in {shared.folder}; restart the service, or"
        " choose another folder with `db role create --socket-folder`"
    )


def open_to_roles(superuser: str, home: Path, socket: SharedSocket, user: tuple[int, int]) -> bool:
    """Have a running server let roles with a password in; return whether it has opened the second socket already.

    A server opens sockets only when it starts.

    Args:
        superuser: connection string.
        home: of the service.
        socket: the second one.
        user: user and group that run the server.

    Raises:
        SettingsError: the folder cannot be used.
        EmbeddedServerError: the owner could not connect any more; nothing was changed.
    """
    socket.make(user)
    hba = home / "postgres" / "pg_hba.conf"
    before = hba.read_text(encoding="utf-8")
    with open_privileged_session(superuser, "embedded", autocommit=True) as admin:
        write_authentication(home, user)
        try:
            _reload(admin, superuser)
        except psycopg.OperationalError as error:
            _replace(hba, before, user)
            admin.execute("SELECT pg_catalog.pg_reload_conf()")
            raise EmbeddedServerError(
                f"The embedded PostgreSQL would not let this user connect as the owner any more: {first_line(error)}."
            ) from error
        folders = str(one_row(admin, FOLDERS)[0])
    _replace(_file(home), json.dumps({**asdict(socket), "mode": f"{socket.mode:o}"}) + "\n")
    return socket.folder in [folder.strip() for folder in folders.split(",")]


@contextmanager
def closed_to_roles(superuser: str, home: Path, user: tuple[int, int]) -> Iterator[None]:
    """Keep the roles with a password out while the block runs, and end their sessions: a lock of theirs would block it.

    Should this process be killed, the next start of the server lets them in again.

    Args:
        superuser: connection string.
        home: of the service.
        user: user and group that run the server.
    """
    if stored_socket(home) is None:
        yield
        return
    try:
        with open_privileged_session(superuser, "embedded", autocommit=True) as admin:
            write_authentication(home, user, WITHOUT_ROLES)
            _reload(admin, superuser)
            others = admin.execute(OTHER_ROLES, [list(OWN_ROLES)]).fetchall()
            end_sessions(admin, [name for (name,) in others])
        yield
    finally:
        write_authentication(home, user)
        with (
            suppress(psycopg.OperationalError),  # the server is gone; its next start reads the file
            open_privileged_session(superuser, "embedded", autocommit=True) as admin,
        ):
            admin.execute("SELECT pg_catalog.pg_reload_conf()")


def socket_options(home: Path, own_folder: Path, user: tuple[int, int]) -> str:
    """Return the server's options for its sockets, and make the second one ready where there is one.

    A folder for it that cannot be used is no reason not to start.

    Args:
        home: of the service.
        own_folder: of the first socket.
        user: user and group that run the server.
    """
    folders, mode = str(own_folder), "0700"
    if (socket := stored_socket(home)) is not None:
        write_authentication(home, user)
        try:
            socket.make(user)
            # The mode is that of both sockets; the folder of the first one is closed to others.
            folders, mode = f"{own_folder},{socket.folder}", "0777"
        except SettingsError as error:
            logger.warning("{}; until then roles with a password cannot connect", error)
    return f" -c unix_socket_directories={folders} -c unix_socket_permissions={mode}"


def write_authentication(home: Path, user: tuple[int, int], authentication: str = AUTHENTICATION) -> None:
    """Write the server's files about who may connect, and how.

    The program's own roles are for processes of the user whose home it is, of this process's user, and of root.

    Args:
        home: of the service.
        user: user and group that run the server, who own these files.
        authentication: content of the file about how.
    """
    users = {user_name(uid) for uid in (home.stat().st_uid, os.geteuid(), ROOT)}
    lines = [f'{MAP} "{name}" {role}\n' for name in sorted(users) for role in OWN_ROLES]
    _replace(home / "postgres" / "pg_ident.conf", IDENTITIES + "".join(lines), user)
    _replace(home / "postgres" / "pg_hba.conf", authentication, user)


def group_id(name: str) -> int:
    """Return the number of a group of this machine.

    Raises:
        SettingsError: there is none of that name.
    """
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        raise SettingsError(f"this machine has no group {name!r}; `groupadd {name}` makes one") from None


def _reload(admin: psycopg.Connection, superuser: str) -> None:
    """Have the server read its files again, and connect by them as the superuser and as the owner.

    Raises:
        psycopg.OperationalError: one of them is refused.
    """
    (before,) = one_row(admin, LOADED)
    admin.execute("SELECT pg_catalog.pg_reload_conf()")
    deadline = time.monotonic() + RELOAD_TIMEOUT_S
    loaded = before
    while loaded == before and time.monotonic() < deadline:
        with open_privileged_session(superuser, "embedded", autocommit=True) as other:
            (loaded,) = one_row(other, LOADED)
        time.sleep(0.02)
    open_session(SETTINGS, superuser, user=OWN_ROLES[0], dbname=OWN_ROLES[0], autocommit=True).close()


def _may_write(folder: str, user: tuple[int, int]) -> bool:
    """Return whether a user can make files in a folder; the kernel is asked, because there may be access lists."""
    if user[0] == os.geteuid():
        return True  # this process has opened it
    question = ["/bin/sh", "-c", 'test -w "$1" && test -x "$1"', "sh", folder]
    done = subprocess.run(question, env=environment(), cwd="/", check=False, **identity(user))  # noqa: S603 - no text of others is run
    return done.returncode == 0


def _mode(text: str) -> int:
    mode = int(text, 8) if re.fullmatch(r"0?[0-7]{3}", text) else None
    if mode is None or mode & 0o700 != 0o700 or mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise SettingsError(
            f"mode {text!r} of the folder: must be three octal digits, such as 755 or 750; its owner has all rights,"
            " and others may not write"
        )
    return mode


def _file(home: Path) -> Path:
    return home / "postgres.sockets"


def _replace(file: Path, content: str, user: tuple[int, int] | None = None) -> None:
    """Write a file completely or not at all; root gives it to a user and group."""
    handle, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}-")  # mode 0600
    temporary = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(content)
            if user is not None and os.geteuid() == ROOT:
                os.fchown(stream.fileno(), *user)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(file)
    finally:
        temporary.unlink(missing_ok=True)
