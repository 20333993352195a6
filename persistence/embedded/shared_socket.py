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
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path

import psutil
import psycopg
from loguru import logger

from domain.errors import SettingsError
from domain.files.owners import user_name
from domain.files.private_files import read_own_file
from persistence.embedded.authentication import (
    OWN_ROLES,
    WITHOUT_ROLES,
    reload_authentication,
    replace_file,
    write_authentication,
)
from persistence.embedded.errors import EmbeddedServerError
from persistence.embedded.installation import environment, identity
from persistence.embedded.socket_folder import PORT, disarm_stale_lock, server_owners, socket_lock
from persistence.error_translation import first_line
from persistence.roles.accounts import end_sessions
from persistence.rows import one_row
from persistence.sessions.session import open_privileged_session

OTHER_ROLES = "SELECT rolname FROM pg_catalog.pg_roles WHERE NOT rolname OPERATOR(pg_catalog.=) ANY(%s)"
RUN_FOLDER = Path("/run/paper-trading")
"""Made by systemd for the service; a service there has a /tmp of its own, which no other process sees."""
DEFAULT_MODE, WITH_GROUP_MODE = 0o755, 0o750
SOCKET_NAME = ".s.PGSQL."
MAX_FOLDER_LENGTH = 103 - len(f"/{SOCKET_NAME}{PORT}")
"""The path of a socket has 103 bytes on macOS, and 107 on Linux."""
PLAIN_PATH = re.compile(r"/[A-Za-z0-9/._+-]*")
"""What needs no quotes in the server's options and in a URL."""
ANOTHER_FOLDER = "choose another one with --socket-folder"
UNTIL_THEN = "until then roles with a password cannot connect"
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

    def make(self, user: tuple[int, int], data: Path) -> None:
        """Make the folder, or check the one that is there, and let those enter it that may.

        Args:
            user: user and group that run the server.
            data: the folder of its data.

        Raises:
            SettingsError: it cannot be made, belongs to another user or database, or holds other files.
        """
        with suppress(OSError):  # opening it says why
            Path(self.folder).mkdir(mode=0o700, exist_ok=True)
        with self._opened(user[0]) as handle:
            try:
                status = os.fstat(handle)
                group = status.st_gid if self.group is None else group_id(self.group)
                if (status.st_uid, status.st_gid) != (user[0], group):  # which a hardened service may not even try
                    os.fchown(handle, user[0], group)
                os.fchmod(handle, self.mode)
                reachable = _may_write(self.folder, user)
            except PermissionError as error:
                name = f"group {self.group}" if self.group is not None else "the user of the server"
                raise SettingsError(
                    f"{self._subject} cannot be given to {name}: this user must be in that group"
                ) from error
        self._refuse_that_of_another_database(data)
        if not reachable:
            raise SettingsError(
                f"{self._subject} cannot be reached by {user_name(user[0])}, the user of the server: a folder above it"
                f" is closed to others; {ANOTHER_FOLDER}"
            )

    def _refuse_that_of_another_database(self, data: Path) -> None:
        try:
            lock = read_own_file(socket_lock(Path(self.folder)), server_owners(data))
        except FileNotFoundError:
            return
        except OSError as error:
            raise self._unusable(error) from error
        pid, of_data, *_ = [*lock.decode(errors="replace").splitlines(), "", ""]
        if of_data != str(data) and pid.isdigit() and psutil.pid_exists(int(pid)):
            raise SettingsError(f"{self._subject} has that of the database in {of_data}; {ANOTHER_FOLDER}")

    def missing(self, data: Path) -> str | None:
        """Return why a server that runs has not opened the socket; None where it has.

        Args:
            data: the folder of its data, which belongs to its user.
        """
        owner = data.stat().st_uid
        try:
            self._refuse_that_of_another_database(data)
            with self._opened(owner) as handle:
                place = os.stat(f"{SOCKET_NAME}{PORT}", dir_fd=handle, follow_symlinks=False)
                if stat.S_ISSOCK(place.st_mode) and place.st_uid == owner:
                    return None
        except SettingsError as error:
            return str(error)
        except OSError:
            pass
        return f"the server has no socket in {self.folder}; restart the service"

    @property
    def _subject(self) -> str:
        return f"the folder {self.folder} for the second socket"

    def _unusable(self, error: OSError) -> SettingsError:
        return SettingsError(f"{self._subject} cannot be used ({error.strerror or error}); {ANOTHER_FOLDER}")

    @contextmanager
    def _opened(self, owner: int) -> Iterator[int]:
        """Open the folder, unless it is not the server's own."""
        try:
            handle = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except OSError as error:
            raise self._unusable(error) from error
        try:
            if os.fstat(handle).st_uid not in {owner, os.geteuid()}:
                raise SettingsError(f"{self._subject} belongs to another user; {ANOTHER_FOLDER}")
            names = os.listdir(handle)  # noqa: PTH208 - of this folder, whatever its path leads to by now
            if not all(name.startswith(SOCKET_NAME) for name in names):
                raise SettingsError(f"{self._subject} holds other files; {ANOTHER_FOLDER}")
            yield handle
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
    shared = stored_socket(home)
    if shared is None:
        return None
    reason = None
    with suppress(FileNotFoundError):  # the data are gone, which others report
        reason = shared.missing(home / "postgres")
    return None if reason is None else f"{reason}; {UNTIL_THEN}"


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
    socket.make(user, home / "postgres")
    hba = home / "postgres" / "pg_hba.conf"
    before = hba.read_text(encoding="utf-8")
    with open_privileged_session(superuser, "embedded", autocommit=True) as admin:
        write_authentication(home, user)
        try:
            reload_authentication(admin, superuser)
        except psycopg.OperationalError as error:
            replace_file(hba, before, user)
            admin.execute("SELECT pg_catalog.pg_reload_conf()")
            raise EmbeddedServerError(
                f"The embedded PostgreSQL would not let this user connect as the owner any more: {first_line(error)}."
            ) from error
        folders = str(one_row(admin, FOLDERS)[0])
    replace_file(_file(home), json.dumps({**asdict(socket), "mode": f"{socket.mode:o}"}) + "\n")
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
            reload_authentication(admin, superuser)
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
            socket.make(user, home / "postgres")
            disarm_stale_lock(socket_lock(Path(socket.folder)), home / "postgres")
            # The mode is that of both sockets; the folder of the first one is closed to others.
            folders, mode = f"{own_folder},{socket.folder}", "0777"
        except (SettingsError, OSError) as error:
            logger.info("{}; {}", error, UNTIL_THEN)  # whoever goes on warns, by `missing_socket`
    return f" -c unix_socket_directories={folders} -c unix_socket_permissions={mode}"


def group_id(name: str) -> int:
    """Return the number of a group of this machine.

    Raises:
        SettingsError: there is none of that name.
    """
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        raise SettingsError(f"this machine has no group {name!r}; `groupadd {name}` makes one") from None


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
