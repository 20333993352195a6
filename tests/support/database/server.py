"""Base class of the test servers; `tests.support.database.servers` describes them."""

from __future__ import annotations

import secrets
import socket
import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import quote, urlencode

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

ROLE = "paper"
"""The plain role that owns the test databases; it may log in and nothing else."""


class Unavailable(Exception):
    """This machine has no such server, or the server cannot do this; the message is one line with the reason."""


def url_of(params: Mapping[str, Any]) -> str:
    """Return connection parameters as a URL for libpq, psql and SQLAlchemy.

    Args:
        params: libpq's keywords. A host that is a folder (a socket) becomes part of the query, as libpq requires.
    """
    rest = {key: str(value) for key, value in params.items() if value is not None}
    user, password, name = rest.pop("user", ""), rest.pop("password", ""), rest.pop("dbname", "")
    login = quote(user, safe="") + (f":{quote(password, safe='')}" if password else "")
    place = ""
    if not any(character in rest.get("host", "/") for character in "/,"):
        host, port = rest.pop("host"), rest.pop("port", "")
        place = (f"[{host}]" if ":" in host else host) + (f":{port}" if port else "")
    query = f"?{urlencode(rest, quote_via=quote, safe='/')}" if rest else ""
    return f"postgresql://{login}{'@' if login else ''}{place}/{quote(name, safe='')}{query}"


@contextmanager
def one_transaction(url: str, **options: Any) -> Iterator[psycopg.Connection[Any]]:
    """Connect for one transaction, and close the connection whatever happens.

    psycopg's own ``with`` leaves it open where COMMIT is refused. On a busy disk that happens: a COMMIT with a
    notification waits for the COMMIT of any other session that has one, and ``lock_timeout`` ends that wait.
    """
    with closing(psycopg.connect(url, **options)) as connection, connection:
        yield connection


def free_port() -> int:
    """Return a free TCP port on 127.0.0.1."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def run(command: Sequence[str | Path], *, timeout: float = 120, **options: Any) -> str:
    """Run a program without stdin and return its output.

    The output goes to a file, not a pipe: a server that inherits a pipe would keep it open.

    Args:
        command: the program and its arguments.
        timeout: seconds.
        options: of :class:`subprocess.Popen`, such as ``user`` and ``env``.

    Raises:
        RuntimeError: it failed; the message ends with its stderr.
    """
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        done = subprocess.run(
            [str(argument) for argument in command],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            timeout=timeout,
            check=False,
            **options,
        )
        out.seek(0)
        err.seek(0)
        if done.returncode != 0:
            output = err.read().decode(errors="replace").strip() or out.read().decode(errors="replace").strip()
            raise RuntimeError(f"{Path(command[0]).name} ended with {done.returncode}: {output}")
        return out.read().decode()


class Server(ABC):
    """One database server, with the databases and the role of the tests.

    Attributes:
        name: as in the table of `tests.support.database.servers`; part of a test's id.
        running: whether `start` was called after the last `stop`.
    """

    may_stop: ClassVar[bool] = True
    may_copy: ClassVar[bool] = False
    """Whether it copies databases, and faster than they are made."""

    def __init__(self, name: str) -> None:
        self._prepared: dict[Callable[[str], object], str] = {}
        self.name = name
        self.running = False
        self._password: str | None = None
        self._role: str | None = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}>"

    @property
    @abstractmethod
    def admin_url(self) -> str:
        """The URL of a role that may create databases; a restart does not change it."""

    def start(self) -> None:
        """Start the server and wait until it answers; do nothing if it runs already."""
        self._start()
        self.running = True

    def stop(self, *, immediate: bool = False) -> None:
        """Stop the server and keep its data, so that `start` brings back the same databases at the same URLs.

        Args:
            immediate: like a crash, without a checkpoint; the next start recovers from the log.

        Raises:
            Unavailable: tests may not stop it; see `may_stop`.
        """
        self._stop(immediate)
        self.running = False

    @abstractmethod
    def _start(self) -> None: ...

    @abstractmethod
    def _stop(self, immediate: bool) -> None: ...

    def restart(self, *, immediate: bool = False) -> None:
        """Stop the server and start it again."""
        self.stop(immediate=immediate)
        self.start()

    @abstractmethod
    def close(self) -> None:
        """End the server and remove its data."""

    def answers(self) -> bool:
        """Return whether the server accepts connections now."""
        try:
            psycopg.connect(self.admin_url, connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    def connect(self, database: str | None = None) -> psycopg.Connection[Any]:
        """Return a connection as the administrator, in autocommit mode."""
        chosen = {} if database is None else {"dbname": database}
        return psycopg.connect(self.admin_url, autocommit=True, connect_timeout=10, **chosen)

    def create_database(self, template: str = "template0") -> str:
        """Make a database that belongs to the plain role.

        Args:
            template: the database that is copied; by default it is the empty one.

        Returns:
            The database's URL for that role.
        """
        name = f"paper_{secrets.token_hex(6)}"
        with self.connect() as admin:
            if self._role is None:
                self._role = self._create_role(admin)
            statement = "CREATE DATABASE {} OWNER {} TEMPLATE {}" + (" STRATEGY file_copy" if self.may_copy else "")
            names = (name, self._role, template)
            admin.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))
        params = conninfo_to_dict(self.admin_url) | {"user": self._role, "dbname": name}
        if self._password is not None:
            params["password"] = self._password
        return url_of(params)

    def prepared_database(self, prepare: Callable[[str], object]) -> str:
        """Make a database as `prepare` leaves an empty one, once for all where this server copies databases.

        Returns:
            The database's URL for the plain role.
        """
        if prepare in self._prepared:
            return self.create_database(str(conninfo_to_dict(self._prepared[prepare])["dbname"]))
        url = self.create_database()
        prepare(url)
        if not self.may_copy:
            return url
        self._seal(url)
        self._prepared[prepare] = url
        return self.prepared_database(prepare)

    def _seal(self, url: str) -> None:
        """Have nobody connect to a database any more, so that it can be copied: TimescaleDB's scheduler would stay."""
        name = str(conninfo_to_dict(url)["dbname"])
        with self.connect() as admin:
            admin.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS false").format(sql.Identifier(name)))
            sessions = "FROM pg_stat_activity WHERE datname = %s"
            deadline = time.monotonic() + 30
            while admin.execute(f"SELECT pg_terminate_backend(pid) {sessions}", [name]).fetchall():
                assert time.monotonic() < deadline, f"sessions of {name} do not end"
                time.sleep(0.02)

    def drop_database(self, url: str) -> None:
        """Drop a database that `create_database` made, and end all of its sessions.

        It is optional; but each database with TimescaleDB occupies a background worker while it exists.
        """
        with self.connect() as admin:
            name = sql.Identifier(str(conninfo_to_dict(url)["dbname"]))
            admin.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(name))

    def _create_role(self, admin: psycopg.Connection[Any]) -> str:
        """Make the plain role and return its name. It needs no password: test servers trust every connection."""
        admin.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(ROLE)))
        return ROLE
