"""Connections, transactions, and the translation of their errors.

SQLAlchemy gives the pool and the reading side; the hot path uses psycopg's cursor for COPY and arrays.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any
from weakref import WeakKeyDictionary

import psycopg
from sqlalchemy import Connection, create_engine, event, exc
from sqlalchemy import Engine as Engine  # noqa: PLC0414 - commands take it from here

from domain import failpoints
from domain.errors import (
    DatabaseBusy,
    DatabaseUnavailable,
    DatabaseUnsuitable,
)
from persistence.error_translation import first_line, is_statement_error, translated
from persistence.rows import one_row
from persistence.sessions.address import (
    PUBLIC,
    SEARCH_PATH,
    display_address,
    dsn,
    schema_of,
    server_options,
)
from persistence.sessions.session import (
    CLIENT_ENCODING,
    KEEPALIVES,
    SETTINGS,
    TCP_SETTINGS,
    Session,
    open_session,
    startup_options,
)

MIN_SERVER_VERSION = 15
CONNECT_TIMEOUT_S = 5
LOCK_TIMEOUT = "5s"
IDLE_IN_TRANSACTION_TIMEOUT = "10s"
STATEMENT_TIMEOUT = "30s"
"""For statements of actors: a slow trigger of the user's ends in an error, which is logged, and a retry."""

BLOCKERS = """
SELECT DISTINCT format('session %%s (%%s, role %%s)', a.pid,
                       coalesce(nullif(a.application_name, ''), 'without a name'), a.usename)
FROM pg_locks l JOIN pg_class c ON c.oid = l.relation AND c.relnamespace = current_schema()::regnamespace
JOIN pg_stat_activity a USING (pid)
WHERE l.granted AND (l.mode <> 'AccessShareLock' OR %(readers)s)
  AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND (c.relname = 'trading_decisions' OR c.relname LIKE 'paper%%')
  AND a.application_name NOT LIKE 'paper-trading %%' AND a.backend_type = 'client backend'
ORDER BY 1 LIMIT 3
"""
"""Sessions of other programs that hold locks on the tables; PostgreSQL's error does not name them."""

VERSION = """
SELECT current_setting('server_version_num')::int, split_part(current_setting('server_version'), ' ', 1),
       (SELECT extversion FROM pg_extension WHERE extname = 'timescaledb'),
       current_setting('timescaledb.restoring', true) = 'on'
"""
RESTORING = (
    "the database was prepared for a restore by timescaledb_pre_restore(), and until timescaledb_post_restore() its"
    " hypertables cannot be written: SELECT timescaledb_post_restore()"
)


logging.getLogger("psycopg").setLevel(logging.ERROR)  # its warnings repeat its exceptions


def connect_options(name: str, database_url: str | None = None, *, writer: str | None = None) -> dict[str, object]:
    """Return libpq's parameters: the session's settings, and time limits so that a forgotten session stops no trading.

    Args:
        name: of the part of the program that connects.
        database_url: the database; its own ``options`` are kept, and its schema comes first in the search path.
        writer: see `engine_for`.
    """
    url_options = server_options(database_url) if database_url else []
    others = [option for option in url_options if not SEARCH_PATH.match(option)]
    return {
        "connect_timeout": CONNECT_TIMEOUT_S,
        "application_name": f"paper-trading {name}",
        "client_encoding": CLIENT_ENCODING,
        "options": startup_options({**TCP_SETTINGS, **_session_settings(database_url, writer)}, others),
        **KEEPALIVES,
    }


def _session_settings(database_url: str | None, writer: str | None) -> dict[str, str]:
    """Return the settings of a session with this database; see `persistence.sessions.session`."""
    settings = {
        **SETTINGS,
        # To compile a query on a view takes longer than to run it: for v_paper_ledger_check 4 to 20 s, against 0.6 s.
        "jit": "off",
        "lock_timeout": LOCK_TIMEOUT,
        "idle_in_transaction_session_timeout": IDLE_IN_TRANSACTION_TIMEOUT,
    }
    if database_url is not None:
        schema = schema_of(database_url)
        # Temporary tables come last, so that none can hide a table of the program.
        settings["search_path"] = f"{PUBLIC},pg_temp" if schema == PUBLIC else f"{schema},{PUBLIC},pg_temp"
    if writer is not None:
        settings |= {"paper.writer": writer, "statement_timeout": STATEMENT_TIMEOUT}
    return settings


def connect(
    database_url: str, name: str, *, writer: str | None = None, answer_limit: float | None = None, **more: object
) -> Session:
    """Return a new connection in autocommit mode, in the URL's schema; psycopg's errors are not translated.

    Args:
        database_url: the database.
        name: of the part of the program that connects.
        writer: see `engine_for`.
        answer_limit: see `Session`.
        more: further parameters of libpq.

    Raises:
        DatabaseUnsuitable: a setting of the session does not hold; see `open_session`.
    """
    settings = _session_settings(database_url, writer)
    options = {**connect_options(name, database_url, writer=writer), **more}
    return open_session(
        settings, dsn(database_url), count_as=name, answer_limit=answer_limit, autocommit=True, **options
    )


def engine_for(
    database_url: str, name: str, *, writer: str | None = None, pool_size: int = 1, hot: bool = False
) -> Engine:
    """Return an engine whose connections carry ``name``, so that the server's own views tell them apart.

    Args:
        database_url: the database.
        name: of the part of the program that connects.
        writer: the actor, if it writes what the triggers in ``sql/`` let only that actor write.
        pool_size: connections kept open.
        hot: do not test an idle connection before its next use; the caller recovers if it was lost.
    """
    engine = create_engine(
        "postgresql+psycopg://",  # the address is libpq's to read
        pool_size=pool_size,
        max_overflow=10,  # a thread that hangs keeps its connection, and its replacement needs one
        pool_pre_ping=not hot,
        use_native_hstore=False,  # the program has none, and to look for it takes as long as to connect
        connect_args=connect_options(name, database_url, writer=writer),
    )
    pids = _BACKENDS[engine] = set()

    settings, conninfo = _session_settings(database_url, writer), dsn(database_url)

    def opened(connection: Session, record: Any) -> None:
        record.info["pid"] = connection.server_pid
        pids.add(record.info["pid"])

    event.listen(engine, "do_connect", lambda *args: open_session(settings, conninfo, count_as=name, **args[3]))
    event.listen(engine, "connect", opened)
    event.listen(engine, "close", lambda _, record: pids.discard(record.info.get("pid", 0)))
    _close_after_disposal(engine)
    return engine


def _close_after_disposal(engine: Engine) -> None:
    """Close every connection that comes back to the engine's pool at or after its disposal.

    A thread may outlast its engine, as at a stop that does not wait for it. Its connection then returns to a pool that
    is not used any more, which would keep the server's session until Python collects it.
    """
    lock = threading.Lock()
    idle: set[psycopg.Connection] = set()
    disposed = False

    def leave(connection: psycopg.Connection, *_: object) -> None:
        with lock:
            idle.discard(connection)

    def come_back(connection: psycopg.Connection | None, _: object) -> None:
        if connection is None:
            return
        with lock:  # the pool has it only after this, so that a disposal at this moment would miss it
            if not disposed:
                idle.add(connection)
                return
        connection.close()

    def close_idle(_: Engine) -> None:
        nonlocal disposed
        with lock:
            disposed = True
            left = list(idle)
            idle.clear()
        for connection in left:
            connection.close()

    event.listen(engine, "checkout", leave)
    event.listen(engine, "checkin", come_back)
    event.listen(engine, "close", leave)
    event.listen(engine, "engine_disposed", close_idle)


_BACKENDS: WeakKeyDictionary[Engine, set[int]] = WeakKeyDictionary()


def backend_pids(engine: Engine) -> list[int]:
    """Return the process ids, on the server, of the connections that ``engine`` holds."""
    return sorted(_BACKENDS.get(engine, ()))


@contextmanager
def transaction(engine: Engine, writes: str = "") -> Iterator[psycopg.Cursor]:
    """Run one transaction on psycopg's cursor; an exception inside rolls it back.

    Args:
        engine: gives the connection.
        writes: name of what is committed, if it belongs to the decision path; see `domain.failpoints`.

    Raises:
        DatabaseUnavailable: the connection is lost; with ``in_doubt`` if that was in COMMIT.
        DatabaseBusy: a lock timeout or deadlock; nothing was written.
        WriteRefused: the database refuses the values; nothing was written.
    """
    with naming_blockers(engine), translated():
        connection = engine.raw_connection()
        driver = connection.driver_connection
        assert isinstance(driver, psycopg.Connection)
        try:
            with driver.cursor() as cursor:
                yield cursor
            if writes:
                failpoints.reach("commits", writes)
            _commit(driver)
            if writes:
                failpoints.reach("committed", writes)
        except BaseException:
            if not _rolled_back(driver):
                connection.invalidate()
            raise
        finally:
            connection.close()


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """Open a connection for SQLAlchemy's queries; the errors are those of `transaction`."""
    with translated(), engine.connect() as connection:
        yield connection


@contextmanager
def pool(database_url: str, name: str) -> Iterator[Engine]:
    """Yield an engine, whose connections are closed afterwards; see `engine_for`."""
    engine = engine_for(database_url, name)
    try:
        yield engine
    finally:
        engine.dispose()


@contextmanager
def session(database_url: str, name: str) -> Iterator[psycopg.Cursor]:
    """Run one `transaction` on a connection of its own, which is closed afterwards."""
    with pool(database_url, name) as engine, transaction(engine) as cursor:
        yield cursor


def _rolled_back(connection: psycopg.Connection) -> bool:
    """Roll back; return whether the connection can be used again. A lost one may be noticed only here."""
    with suppress(psycopg.Error):
        connection.rollback()
        return not connection.closed
    return False


def _commit(connection: psycopg.Connection) -> None:
    try:
        connection.commit()
    except psycopg.Error as error:
        if not is_statement_error(error, connection):
            msg = f"the connection was lost in COMMIT: {first_line(error)}"
            raise DatabaseUnavailable(msg, in_doubt=True) from error
        raise


@contextmanager
def naming_blockers(engine: Engine, *, readers: bool = False) -> Iterator[None]:
    """Add to the message of a lock timeout which sessions of other programs hold locks on the tables.

    With ``readers`` sessions that only read, too, because they block a change of a table.
    """
    try:
        yield
    except DatabaseBusy as error:
        cause = error.__cause__
        if not isinstance(getattr(cause, "orig", cause), psycopg.errors.LockNotAvailable):
            raise
        raise DatabaseBusy(f"{error}{_blockers(engine, readers)}") from error.__cause__


def _blockers(engine: Engine, readers: bool) -> str:
    """Return the end of the message, with the sessions that this role can see; empty if it sees none."""
    with suppress(exc.SQLAlchemyError, psycopg.Error), engine.connect() as connection:
        sessions = connection.exec_driver_sql(BLOCKERS, {"readers": readers}).scalars().all()
        if sessions:
            return f"; locks are held by {', '.join(sessions)}"
    return ""


def probe(database_url: str) -> str:
    """Connect to the database and return its version, such as ``PostgreSQL 17.5, TimescaleDB 2.19.3``.

    Raises:
        DatabaseUnavailable: it does not answer, or refuses the user.
        DatabaseUnsuitable: it is too old, or in the middle of a restore of TimescaleDB.
    """
    with session(database_url, "probe") as cursor:
        number, version, timescale, restoring = one_row(cursor, VERSION)
    if number // 10_000 < MIN_SERVER_VERSION:
        address = display_address(database_url)
        msg = f"the database at {address} is PostgreSQL {version}; {MIN_SERVER_VERSION} or newer is needed"
        raise DatabaseUnsuitable(msg)
    if restoring and timescale:
        raise DatabaseUnsuitable(RESTORING)
    return f"PostgreSQL {version}" + (f", TimescaleDB {timescale}" if timescale else ", without TimescaleDB")
