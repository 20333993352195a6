"""One data folder of PostgreSQL, and the server that runs on it; who may start and stop it is its caller's affair."""

from __future__ import annotations

import os
import shutil
import time
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

import psutil
import psycopg

from domain.files.private_files import read_own_file
from persistence.embedded import server_log
from persistence.embedded.errors import EmbeddedServerError
from persistence.embedded.installation import Installation, error_line
from persistence.embedded.locks import postmaster
from persistence.embedded.orphans import await_starters, end_processes_in
from persistence.embedded.server_user import allow_traversal, user_of_roots_server
from persistence.embedded.shared_socket import shared_folder, socket_options, without_second
from persistence.embedded.socket_folder import PORT, disarm_stale_lock, make_socket_folder, server_owners, socket_lock
from persistence.rows import one_row
from persistence.sessions.session import open_privileged_session

SERVER_TIMEOUT_S = 60.0
"""For a start with crash recovery, and for a stop."""
TAKEN_OVER = "postgres.next"
"""Folder in ``home`` with data that were taken over from an earlier major version, until they are the present ones."""
OWNER, BACKUP_ROLE, SUPERUSER = "paper", "paper_backup", "postgres"
"""The plain role that owns the database, the one that reads it for backups, and the one that may do everything."""
ROLES = """
SELECT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'paper'),
       EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'paper_backup'),
       EXISTS (SELECT FROM pg_catalog.pg_database WHERE datname = 'paper'),
       EXISTS (SELECT FROM pg_catalog.pg_database d CROSS JOIN LATERAL pg_catalog.aclexplode(d.datacl) e
               JOIN pg_catalog.pg_roles r ON r.oid = e.grantee WHERE d.datname = 'paper' AND r.rolname = 'paper_backup')
"""
MAKE_BACKUP_ROLE = (
    # Policies for rows, which the owner may have made, must not leave anything out of a backup.
    "CREATE ROLE paper_backup LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE BYPASSRLS CONNECTION LIMIT 10",
    "GRANT pg_read_all_data TO paper_backup",
)


class Cluster:
    """A data folder and its server.

    Args:
        data: the folder.
        socket_folder: of the server's socket.
        home: of a service whose roles may have a second socket; None: there is none.

    Attributes:
        data: the folder.
        socket_folder: of the server's socket.
        log: the server's own.
        superuser: for libpq, of the superuser in the database ``postgres``.
    """

    def __init__(self, data: Path, socket_folder: Path, home: Path | None = None) -> None:
        self._home = home
        self.data = data
        self.socket_folder = socket_folder
        self.log = data / "log"
        self.superuser = f"host={socket_folder} port={PORT} user=postgres dbname=postgres connect_timeout=10"

    def url(self, role: str) -> str:
        """Return the URL of the database ``paper`` for a role."""
        # With the port, because PGPORT in the environment of a client would select another socket.
        return f"postgresql://{role}@:{PORT}/paper?host={quote(str(self.socket_folder))}"

    @property
    def version(self) -> int | None:
        """The major version that made the data; None where there are none."""
        file = self.data / "PG_VERSION"
        return int(self._read(file).partition(b".")[0]) if file.exists() else None

    @property
    def process(self) -> psutil.Process | None:
        """The server's process; None if there is none.

        Raises:
            OSError: the folder cannot be read, so the server may run.
        """
        return postmaster(self.data)

    def initialise(self, postgres: Installation) -> None:
        """Make the database's files.

        Raises:
            EmbeddedServerError: the folder has something else, or initdb fails.
        """
        if self.data.exists() and any(self.data.iterdir()):
            raise EmbeddedServerError(f"{self.data} is not empty and is not a PostgreSQL data folder: move it away.")
        # initdb writes PG_VERSION early, so an incomplete folder would look complete: make it elsewhere, then rename.
        new_data = self.data.with_name(f"{self.data.name}.new")
        # An initdb whose program was killed would write into the new folder.
        end_processes_in(new_data, server_owners(self.data))
        shutil.rmtree(new_data, ignore_errors=True)
        new_data.mkdir(mode=0o700)
        if (user := self._server_user()) is not None:
            os.chown(new_data, *user)
        options = ["--auth-local=trust", "--auth-host=reject", "--encoding=UTF8", "--locale=C", "--data-checksums"]
        code, output = self._run(postgres, "initdb", "-U", "postgres", "-D", str(new_data), *options)
        if code != 0:
            shutil.rmtree(new_data, ignore_errors=True)
            raise EmbeddedServerError(f"A database could not be made in {self.data}: {error_line(output)}.")
        new_data.rename(self.data)

    def start(self, postgres: Installation) -> None:
        """Start the server.

        Raises:
            EmbeddedServerError: it does not start.
        """
        make_socket_folder(self.socket_folder, self.data, self._server_user())
        for lock in (self.data / "postmaster.pid", socket_lock(self.socket_folder)):
            disarm_stale_lock(lock, self.data)
        self.trim_log()
        options = f"-c listen_addresses= -c port={PORT} -c max_connections=100 -c reserved_connections=20"
        options += " -c fsync=on -c synchronous_commit=on"
        options += server_log.OPTIONS
        sockets = self._socket_options()
        deadline = time.monotonic() + 10
        while True:
            old_size = self.log.stat().st_size if self.log.exists() else 0
            code, output = self._pg_ctl(postgres, "start", "-l", str(self.log), "-o", options + sockets)
            if code == 0:
                return
            logged = self._read(self.log)[old_size:].decode(errors="replace") if self.log.exists() else ""
            reason = error_line(logged or output)
            second = shared_folder(sockets)
            if second is not None and second in reason and self._home is not None:
                sockets = without_second(
                    self._home,
                    self.socket_folder,
                    f"the second socket cannot be opened ({reason})",
                )
                continue
            # Backends of a killed postmaster live until they notice, and keep its shared memory meanwhile.
            if "still in use" not in reason or time.monotonic() > deadline:
                raise EmbeddedServerError(f"The embedded PostgreSQL in {self.data} could not be started: {reason}.")
            time.sleep(0.2)

    def stop(self, postgres: Installation, *, immediate: bool = False) -> None:
        """Stop the server.

        Args:
            postgres: whose pg_ctl does it.
            immediate: as a power cut would; the next start recovers.

        Raises:
            EmbeddedServerError: it does not stop.
        """
        for mode in ("fast", "immediate")[immediate:]:
            if self.process is None:
                break
            self._pg_ctl(postgres, "stop", "-m", mode)
        if self.process is not None:
            raise EmbeddedServerError(f"The embedded PostgreSQL in {self.data} does not stop.")
        if self.socket_folder != self.data:
            with suppress(OSError):
                self.socket_folder.rmdir()

    def await_starters(self) -> None:
        """Wait for a server that a killed program has just begun to start."""
        await_starters(self.data, server_owners(self.data), lambda: self.process is not None)

    def trim_log(self) -> None:
        """Empty the server's log if it is too long; its end stays beside it.

        Raises:
            OSError: it cannot be read or emptied, or is not the server's.
        """
        server_log.trim(self.log, server_owners(self.data))

    def make_roles_and_database(self) -> None:
        """Make the program's roles and its database, where they are missing."""
        deadline = time.monotonic() + SERVER_TIMEOUT_S
        while True:
            try:
                connection = open_privileged_session(self.superuser, "embedded", autocommit=True)
                break
            except psycopg.OperationalError:  # it may still run crash recovery
                if time.monotonic() > deadline or self.process is None:
                    raise
                time.sleep(0.05)
        with connection:
            has_owner, has_backup_role, has_database, may_connect = one_row(connection, ROLES)
            if not has_owner:
                connection.execute("CREATE ROLE paper LOGIN")
            if not has_backup_role:
                with connection.transaction():
                    for statement in MAKE_BACKUP_ROLE:
                        connection.execute(statement)
            if not has_database:
                connection.execute("CREATE DATABASE paper OWNER paper")
            if not may_connect:  # once there are other roles, only those that need the database may connect to it
                connection.execute("GRANT CONNECT ON DATABASE paper TO paper_backup")
            # So that other roles cannot use up all connections.
            connection.execute("GRANT pg_use_reserved_connections TO paper, paper_backup")

    def user(self) -> tuple[int, int]:
        """Return user and group that run the server."""
        return self._server_user() or (os.geteuid(), os.getegid())

    def _socket_options(self) -> str:
        if self._home is not None:
            return socket_options(self._home, self.socket_folder, self.user())
        return f" -c unix_socket_directories={self.socket_folder} -c unix_socket_permissions=0700"

    def _read(self, file: Path) -> bytes:
        """Return the content of a file in the data folder, which the server's user could have exchanged for a link."""
        return read_own_file(file, server_owners(self.data))

    def _server_user(self) -> tuple[int, int] | None:
        """Return user and group of the server; None: those of this process. PostgreSQL refuses to run as root."""
        if os.geteuid() != 0:
            return None
        with suppress(FileNotFoundError):
            owner = self.data.stat()
            if owner.st_uid != 0:
                return owner.st_uid, owner.st_gid
        return user_of_roots_server()

    def _pg_ctl(self, postgres: Installation, command: str, *arguments: str) -> tuple[int, str]:
        options = ("-w", "-t", f"{SERVER_TIMEOUT_S:.0f}", "-D", str(self.data))
        return self._run(postgres, "pg_ctl", command, *options, *arguments)

    def _run(self, postgres: Installation, program: str, *arguments: str) -> tuple[int, str]:
        user = self._server_user()
        if user is not None:
            allow_traversal(user, {*self.data.parents, *postgres.folders()})
        return postgres.run(program, *arguments, user=user)
