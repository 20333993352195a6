"""Settings of each database session, whatever server, role, pooler, URL or shell would set.

psycopg reads values in one style only, and ``ALTER DATABASE … SET client_encoding``, ``ALTER ROLE … SET datestyle`` or
PGTZ in the shell may set another; libpq sends the shell's settings after the program's own. So the settings are sent
with the connection's start, to which ``RESET ALL`` returns, and are set and checked once more in one statement.

A pooler may refuse or drop what is sent with the start, and may give each transaction another session of the server. So
behind a pooler each transaction begins with the settings, as ``SET LOCAL``, and leaves none behind.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, nullcontext
from typing import Any, TypeVar

import psycopg
from psycopg import sql
from psycopg.abc import PQGen
from psycopg.conninfo import conninfo_to_dict
from psycopg.generators import execute
from psycopg.pq import ExecStatus, TransactionStatus

from domain.errors import DatabaseUnsuitable
from persistence.database_timing import CountedConnection
from persistence.sessions.address import joined_options, url_settings
from persistence.sessions.environment import is_of_embedded_server, without_libpq_variables

CLIENT_ENCODING = "UTF8"
REPORTED_SETTINGS: Mapping[str, str] = {
    "client_encoding": CLIENT_ENCODING,
    "DateStyle": "ISO, MDY",
    "IntervalStyle": "postgres",
    "TimeZone": "UTC",
    "standard_conforming_strings": "on",
}
"""Settings that the server reports by itself; psycopg reads and writes values by the last report."""
SETTINGS: Mapping[str, str] = {
    **REPORTED_SETTINGS,
    "idle_session_timeout": "0",
    "extra_float_digits": "1",
    "default_transaction_isolation": "read committed",  # a fence must see the epoch that it waited for
}
"""Settings of every session of this program."""
PRIVILEGED_SEARCH_PATH = "pg_catalog, pg_temp"
PRIVILEGED: Mapping[str, str] = {
    **SETTINGS,
    # The owner of the database can put an operator into `public` that PostgreSQL prefers to its own.
    "search_path": PRIVILEGED_SEARCH_PATH,
    "jit": "off",
    "lock_timeout": "10s",
    "statement_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
}
"""Settings of a session of the embedded server's superuser, which may be idle while pg_dump works."""
TCP_USER_TIMEOUT_MS = 11_000
"""After this time without an answer either side closes the connection."""
KEEPALIVES: Mapping[str, int] = {
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": TCP_USER_TIMEOUT_MS,
}
"""libpq's parameters for the program's side."""
TCP_SETTINGS = {f"tcp_{name.removeprefix('tcp_')}": str(value) for name, value in KEEPALIVES.items()}
"""For the server's side: its defaults would keep the locks of a machine that died for two hours."""
CHECKED = frozenset({*SETTINGS, "search_path"})


OPTIONS_REFUSED = "unsupported startup parameter"
"""Part of a pooler's message where it refuses settings that are sent with the connection's start."""
POOLER_CHECKS = 4
"""Connections that are opened at most to find out whether a pooler shares sessions of the server."""
OWN_SESSION_NEEDED = (
    "the pooler at the address of this database gives each transaction another session (transaction pooling), and the"
    " service and an upgrade need sessions of their own: connect them to the server itself, or to a pooler in session"
    " mode; decide and attach() work with either"
)

T = TypeVar("T")
_waiting: dict[int, Session] = {}
"""The sessions of this process that wait for an answer, by `id`; changed by whole entries alone, so without a lock."""
_without_options: set[str] = set()
"""Connection strings of poolers that refuse settings at the start."""
_own_sessions: set[str] = set()
"""Connection strings of poolers that give each connection a session of its own."""


class Session(CountedConnection):
    """A connection with the program's settings.

    Attributes:
        server_pid: process id of the session on the server, when it was opened.
        pooled: whether a pooler stands between, so that each transaction sets the settings.
        settings: that each transaction behind a pooler sets.
        address: the connection string.
        part: of the program that uses it.
        waiting_since: moment of `time.monotonic` since which it waits without a sign of life; None while it does not.
        answer_limit: seconds after which a wait without a sign of life ends; None: never.
        listening: whether it waits for notifications, which is no wait for an answer.
    """

    server_pid = 0
    pooled = False
    settings: Mapping[str, str] = {}
    address = ""
    part = ""
    waiting_since: float | None = None
    answer_limit: float | None = None
    listening = False

    def wait(self, gen: PQGen[T], *args: Any, **options: Any) -> T:
        """Wait for the server."""
        if self.listening:
            return super().wait(gen, *args, **options)
        self.waiting_since = time.monotonic()
        _waiting[id(self)] = self
        try:
            return super().wait(self._watched(gen), *args, **options)
        finally:
            _waiting.pop(id(self), None)
            self.waiting_since = None

    def _watched(self, gen: PQGen[T]) -> PQGen[T]:
        """Pass a wait on and keep the time of the last sign of life.

        Raises:
            psycopg.OperationalError: there was none for `answer_limit`. TCP does not notice this where something
                between, such as a tunnel, acknowledges everything and passes nothing on.
        """
        limit = self.answer_limit
        try:
            wanted = next(gen)
            while True:
                ready = yield wanted
                if ready:
                    self.waiting_since = time.monotonic()
                elif limit is not None and time.monotonic() - (self.waiting_since or 0.0) > limit:
                    raise psycopg.OperationalError(f"the server has not answered for {limit:g} s")
                wanted = gen.send(ready)
        except StopIteration as end:
            value: T = end.value
            return value

    def notifies(self, *args: Any, **options: Any) -> Iterator[psycopg.Notify]:  # type: ignore[override]
        """Wait for notifications."""
        self.listening = True
        try:
            yield from super().notifies(*args, **options)
        finally:
            self.listening = False

    @property
    def own_pid(self) -> int | None:
        """Process id of the session on the server; None where a pooler gives each transaction another one."""
        shared = self.pooled and self.address not in _own_sessions
        return None if shared or not self.server_pid else self.server_pid

    def _start_query(self) -> PQGen[None]:
        """Begin a transaction if there is none; behind a pooler with the settings, in one message.

        This is psycopg's own hook, so that no statement can be without them. They are no query, after which a
        transaction could not get another isolation level.
        """
        begins = not self.autocommit and self.pgconn.transaction_status == TransactionStatus.IDLE
        if not self.pooled or not begins:
            yield from super()._start_query()
            return
        settings = [_set_local(*item) for item in self.settings.items()]
        if self._pipeline:  # as executemany() has it: all is sent together in any case, but one by one
            yield from super()._start_query()
            for statement in settings:
                yield from self._exec_command(statement)
        else:
            self.pgconn.send_query(b"; ".join([self._get_tx_start_command(), *settings]))
            for result in (yield from execute(self.pgconn)):
                if result.status != ExecStatus.COMMAND_OK:
                    raise psycopg.errors.error_from_result(result)


def _set_local(name: str, value: str) -> bytes:
    # Of a list of names each is a value of its own.
    values = [part.strip() for part in value.split(",")] if name == "search_path" else [value]
    statement = sql.SQL("SET LOCAL {} = {}").format(
        sql.Identifier(*name.split(".")), sql.SQL(", ").join(map(sql.Literal, values))
    )
    return statement.as_bytes()


def startup_options(settings: Mapping[str, str], others: Iterable[str] = ()) -> str:
    """Return libpq's parameter ``options``: the other options, then the settings, which win because they are last."""
    return joined_options([*others, *(f"-c{name}={value}" for name, value in settings.items())])


def open_session(
    settings: Mapping[str, str],
    conninfo: str = "",
    *,
    count_as: str | None = None,
    answer_limit: float | None = None,
    **options: Any,
) -> Session:
    """Connect like `psycopg.connect`; every connection of the program is made here.

    Args:
        settings: of the session.
        conninfo: libpq's connection string.
        count_as: name for `persistence.database_timing`; None counts nothing.
        answer_limit: see `Session`.
        options: further parameters of psycopg and libpq.

    Raises:
        DatabaseUnsuitable: a setting cannot be set, or has another value after it was set; or the encoding of the
            database cannot hold every text.
        psycopg.Error: the connection cannot be made, or was lost.
    """
    host = str(options.get("host") or conninfo_to_dict(conninfo).get("host") or "")
    with without_libpq_variables() if is_of_embedded_server(host) else nullcontext():
        connection = _connected(conninfo, options)
    connection.part, connection.answer_limit = count_as or "", answer_limit
    try:
        _establish(connection, settings)
    except BaseException:
        connection.close()
        raise
    connection.address = conninfo
    if connection.pooled and conninfo:
        connection.settings = {**url_settings(conninfo), **settings}
    if conninfo in _own_sessions:
        _set(connection, connection.settings, keep=True)
    connection.count_as(count_as)
    return connection


def _connected(conninfo: str, options: dict[str, Any]) -> Session:
    """Connect with the settings; without them where a pooler refuses them."""
    # An empty value, because without one libpq would take that of the URL or the shell.
    without = {**options, "options": ""}
    if conninfo in _without_options:
        return Session.connect(conninfo, **without)
    try:
        return Session.connect(conninfo, **options)
    except psycopg.OperationalError as error:
        if OPTIONS_REFUSED not in str(error):
            raise
    connection = Session.connect(conninfo, **without)
    _without_options.add(conninfo)
    return connection


def waiting_sessions() -> list[tuple[Session, float]]:
    """Return the sessions of this process that wait for an answer now, and since when each has no sign of life."""
    times = [(session, session.waiting_since) for session in _waiting.copy().values()]
    return [(session, since) for session, since in times if since is not None]


def open_privileged_session(conninfo: str, name: str, **options: Any) -> Session:
    """Connect as the embedded server's superuser, with a search path that holds no objects of others."""
    start = {"application_name": f"paper-trading {name}", "client_encoding": CLIENT_ENCODING}
    own = startup_options(PRIVILEGED)
    return open_session(PRIVILEGED, conninfo, answer_limit=None, options=own, **start, **options)


def has_own_session(connection: Session, connect: Callable[[], Session]) -> bool:
    """Return whether the connection keeps one session of the server, so that locks and LISTEN last.

    Behind a pooler that is so if no other connection gets this session while this one has no transaction. Then it keeps
    its settings outside of transactions, too, and so do all that are opened later.

    Args:
        connection: in autocommit mode.
        connect: opens another connection to the same database.
    """
    if not connection.pooled:
        return True
    own = _server_pid(connection)
    with ExitStack() as undo:
        for _ in range(POOLER_CHECKS):
            other = undo.enter_context(connect())
            other.autocommit = False  # its transaction keeps the session that it got
            if _server_pid(other) == own or _server_pid(connection) != own:
                return False
    _set(connection, connection.settings, keep=True)
    _own_sessions.add(connection.address)
    return True


def _server_pid(connection: psycopg.Connection[Any]) -> int:
    row = connection.execute("SELECT pg_catalog.pg_backend_pid()").fetchone()
    assert row is not None
    return int(row[0])


def _establish(connection: Session, settings: Mapping[str, str]) -> None:
    """Set the settings and check their values, and the encoding of the database."""
    autocommit = connection.autocommit
    connection.autocommit = True  # a rollback would undo a setting made in a transaction
    values = _set(connection, settings)
    connection.autocommit = autocommit
    connection.settings = settings
    connection.server_pid = int(values[PID])
    connection.pooled = connection.server_pid != connection.info.backend_pid
    if connection.pooled:
        connection.prepare_threshold = None  # the next transaction may be in a session that has not prepared it
    if values[ENCODING] != CLIENT_ENCODING:
        raise DatabaseUnsuitable(
            f"the database {connection.info.dbname} has the encoding {values[ENCODING]}, and the program needs"
            f" {CLIENT_ENCODING}, which can hold every text: make a database with CREATE DATABASE … ENCODING"
            f" '{CLIENT_ENCODING}' TEMPLATE template0, and copy the tables into it with pg_dump and psql"
        )
    for name, wanted in settings.items():
        # Behind a pooler they are in force, and reported, within a transaction alone.
        in_force = name in REPORTED_SETTINGS and (name == "client_encoding" or not connection.pooled)
        status = connection.info.parameter_status(name) if in_force else wanted
        for value in (values[name], status):
            if name in CHECKED and value != wanted:
                raise DatabaseUnsuitable(
                    f"sessions with this database have {name} = {value!r} although the program sets {wanted!r}, which"
                    f" it needs: connect it to the server itself, or to a pooler that passes on a session's settings"
                )


PID, ENCODING = "pid", "encoding"
"""Names, beside those of the settings, of what `_set` returns."""


def _set(connection: Session, settings: Mapping[str, str], *, keep: bool = False) -> dict[str, str]:
    """Set the settings; return their values as the server reports them, and what it says of itself.

    Behind a pooler they are set for this statement alone, unless they are to be kept: the session may be another's
    next. The server knows its session by another process id than that which a pooler gave to this connection.
    """
    local = f"pg_catalog.pg_backend_pid() OPERATOR(pg_catalog.<>) {connection.info.backend_pid}"
    set_one = f"pg_catalog.set_config({{}}, {{}}, {'false' if keep else local})"
    calls = [sql.SQL(set_one).format(sql.Literal(name), sql.Literal(value)) for name, value in settings.items()]
    facts = [sql.SQL("pg_catalog.pg_backend_pid()"), sql.SQL("pg_catalog.current_setting('server_encoding')")]
    try:
        row = connection.execute(sql.SQL("SELECT {}").format(sql.SQL(", ").join([*facts, *calls]))).fetchone()
    except psycopg.Error as error:
        if error.sqlstate is None or connection.closed:
            raise
        reason = error.diag.message_primary or str(error)
        raise DatabaseUnsuitable(f"the settings of a session with this database cannot be set: {reason}") from error
    assert row is not None
    # psycopg gives bytes where the encoding is SQL_ASCII.
    values = [value.decode() if isinstance(value, bytes) else str(value) for value in row]
    return dict(zip([PID, ENCODING, *settings], values, strict=True))
