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
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from functools import partial
from hashlib import sha256
from pathlib import Path

import psycopg
from loguru import logger

from domain.errors import FileNotWritten, SettingsError
from domain.files.owners import user_name
from domain.files.private_files import read_own_file, written_atomically
from persistence.embedded.authentication import reload_authentication, write_authentication
from persistence.embedded.errors import EmbeddedServerError
from persistence.embedded.installation import environment, identity
from persistence.embedded.locks import postmaster, server_process
from persistence.embedded.socket_folder import PORT, disarm_stale_lock, server_owners, socket_lock
from persistence.error_translation import first_line
from persistence.sessions.session import open_privileged_session

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


@dataclass(frozen=True, slots=True)
class SharedSocket:
    """The folder of the second socket, and who may enter it.

    Attributes:
        folder: its path, which is absolute.
        mode: of the folder; the socket in it is open to all that may enter.
        group: of the folder; None: that of the server.
        reason: why the server has not opened it at its last start; None where it has, or nothing is known.
    """

    folder: str
    mode: int = DEFAULT_MODE
    group: str | None = None
    reason: str | None = None

    def make(self, user: tuple[int, int], data: Path) -> None:
        """Make the folder, or check the one that is there, and let those enter it that may.

        Args:
            user: user and group that run the server.
            data: the folder of its data.

        Raises:
            SettingsError: it cannot be made, belongs to another user or database, or holds other files.
        """
        try:
            handle = self._opened()
        except OSError as error:
            raise self._unusable(error) from error
        try:
            status = os.fstat(handle)
            if status.st_uid not in {user[0], os.geteuid()}:
                raise SettingsError(f"{self._subject} belongs to another user; {ANOTHER_FOLDER}")
            if any(map(partial(_is_other_file, handle), os.listdir(handle))):  # noqa: PTH208 - whatever its path leads to by now
                raise SettingsError(f"{self._subject} holds other files; {ANOTHER_FOLDER}")
            pid, of_data = self._lock(data)
            if of_data and of_data != str(data) and server_process(pid, of_data) is not None:
                raise SettingsError(f"{self._subject} has that of the database in {of_data}; {ANOTHER_FOLDER}")
            group = status.st_gid if self.group is None else group_id(self.group)
            if (status.st_uid, status.st_gid) != (user[0], group):  # which a hardened service may not even try
                os.fchown(handle, user[0], group)
            os.fchmod(handle, self.mode)
            if not _may_write(self.folder, user):
                raise SettingsError(
                    f"{self._subject} cannot be reached by {user_name(user[0])}, the user of the server: a folder above"
                    f" it is closed to others; {ANOTHER_FOLDER}"
                )
        except PermissionError as error:
            name = f"group {self.group}" if self.group is not None else "the user of the server"
            raise SettingsError(
                f"{self._subject} cannot be given to {name}: this user must be in that group"
            ) from error
        finally:
            os.close(handle)

    def prepare(self, user: tuple[int, int], data: Path) -> None:
        """Make the folder, or check it, before the server starts; a lock that a killed one has left there is no reason.

        Args:
            user: user and group that run the server.
            data: the folder of its data.

        Raises:
            SettingsError: it cannot be used.
        """
        self.make(user, data)
        try:
            disarm_stale_lock(socket_lock(Path(self.folder)), data)
        except OSError as error:
            raise self._unusable(error) from error

    def is_open(self, data: Path) -> bool:
        """Return whether the server of these data listens here."""
        with suppress(OSError, SettingsError):
            place = Path(self.folder, f"{SOCKET_NAME}{PORT}").lstat()
            server = postmaster(data)
            lock = self._lock(data)
            return stat.S_ISSOCK(place.st_mode) and server is not None and lock == (server.pid, str(data))
        return False

    @property
    def _subject(self) -> str:
        return f"the folder {self.folder} for the second socket"

    def _unusable(self, error: OSError) -> SettingsError:
        return SettingsError(f"{self._subject} cannot be used ({error.strerror or error}); {ANOTHER_FOLDER}")

    def _opened(self) -> int:
        """Return a descriptor of the folder, which is made if it is missing."""
        failure = None
        try:
            Path(self.folder).mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            failure = error
        try:
            return os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except FileNotFoundError as error:
            raise failure or error from None

    def _lock(self, data: Path) -> tuple[int, str]:
        """Return which process has the socket here, and the folder of its data; 0 and an empty text without any."""
        try:
            content = read_own_file(socket_lock(Path(self.folder)), server_owners(data))
        except FileNotFoundError:
            return 0, ""
        except OSError as error:
            raise self._unusable(error) from error
        pid, of_data, *_ = [*content.decode(errors="replace").splitlines(), "", ""]
        return int(pid) if pid.isdecimal() else 0, of_data


def _is_other_file(folder: int, name: str) -> bool:
    """Return whether a file is neither a socket, such as that of `metrics_socket`, nor one of PostgreSQL's locks."""
    if name.startswith(SOCKET_NAME):
        return False
    with suppress(FileNotFoundError):
        return not stat.S_ISSOCK(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode)
    return False


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
        return _load(home)
    except SettingsError as error:
        logger.warning("{}", error)
        return None


def missing_socket(home: Path) -> str | None:
    """Return a sentence where the second socket of a running server is not open; None where it is, or none is wanted.

    Args:
        home: of the service.
    """
    home = home.expanduser().resolve()
    try:
        socket = _load(home)
    except SettingsError as error:
        return f"{error}; {UNTIL_THEN}"
    if socket is None or socket.is_open(home / "postgres"):
        return None
    reason = socket.reason or f"the server has no socket in {socket.folder}; restart the service"
    return f"{reason}; {UNTIL_THEN}"


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
    before = read_own_file(hba, server_owners(home / "postgres"))
    with open_privileged_session(superuser, "embedded", autocommit=True) as admin:
        write_authentication(home, user)
        try:
            reload_authentication(admin, superuser)
        except psycopg.OperationalError as error:
            with written_atomically(hba, user) as file:
                file.write(before)
            admin.execute("SELECT pg_catalog.pg_reload_conf()")
            raise EmbeddedServerError(
                f"The embedded PostgreSQL would not let this user connect as the owner any more: {first_line(error)}."
            ) from error
    _store(home, socket)
    return socket.is_open(home / "postgres")


def socket_options(home: Path, own_folder: Path, user: tuple[int, int]) -> str:
    """Return the server's options for its sockets, and make the second one ready where there is one.

    A folder for it that cannot be used is no reason not to start.

    Args:
        home: of the service.
        own_folder: of the first socket.
        user: user and group that run the server.
    """
    if (socket := stored_socket(home)) is None:
        return _options(own_folder)
    write_authentication(home, user)
    try:
        socket.prepare(user, home / "postgres")
    except SettingsError as error:
        return without_second(home, own_folder, str(error))
    if socket.reason is not None:
        with suppress(FileNotWritten):
            _store(home, replace(socket, reason=None))
    return _options(own_folder, socket.folder)


def without_second(home: Path, own_folder: Path, reason: str) -> str:
    """Return the server's options for its first socket alone, and keep why there is no second one.

    Args:
        home: of the service.
        own_folder: of the first socket.
        reason: see `SharedSocket`.
    """
    logger.info("{}; {}", reason, UNTIL_THEN)  # the service warns, by `missing_socket`
    if (socket := stored_socket(home)) is not None:
        with suppress(FileNotWritten):  # a full disk is no reason not to start
            _store(home, replace(socket, reason=reason))
    return _options(own_folder)


def shared_folder(options: str) -> str | None:
    """Return the folder of the second socket in the server's options; None without one."""
    match = re.search(r"unix_socket_directories=[^ ,]*,(\S+)", options)
    return match and match[1]


def _options(own_folder: Path, second: str | None = None) -> str:
    # The mode is that of both sockets; the folder of the first one is closed to others.
    folders, mode = (str(own_folder), "0700") if second is None else (f"{own_folder},{second}", "0777")
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


def _load(home: Path) -> SharedSocket | None:
    """Return what the file about the second socket says; None where there is no such file.

    Raises:
        SettingsError: it cannot be read.
    """
    file = _file(home)
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
        folder, mode, group, reason = values["folder"], values["mode"], values["group"], values.get("reason")
        if not isinstance(folder, str) or not all(one is None or isinstance(one, str) for one in (group, reason)):
            raise TypeError("a value has the wrong type")
        return SharedSocket(folder, int(mode, 8), group, reason)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise SettingsError(
            f"{file} cannot be read ({error}), so there is no second socket; `db role create` makes one"
        ) from error


def _store(home: Path, socket: SharedSocket) -> None:
    with written_atomically(_file(home)) as file:
        file.write(f"{json.dumps({**asdict(socket), 'mode': f'{socket.mode:o}'})}\n".encode())


def _file(home: Path) -> Path:
    return home / "postgres.sockets"
