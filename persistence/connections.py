"""Connections: how they are made, how a transaction runs, and what its errors mean.

SQLAlchemy gives the pool and the reading side; the hot path uses psycopg's cursor for COPY and arrays.
"""

from __future__ import annotations

import logging
import re
import shlex
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any
from weakref import WeakKeyDictionary

import psycopg
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy import URL, create_engine, event, exc, make_url
from sqlalchemy import Engine as Engine  # noqa: PLC0414 - commands take it from here

from domain import failpoints
from domain.errors import (
    DatabaseBusy,
    DatabaseError,
    DatabaseUnavailable,
    DatabaseUnsuitable,
    PaperTradingError,
    SettingsError,
    WriteRefused,
)
from persistence.session import CLIENT_ENCODING, KEEPALIVES, SETTINGS, TCP_SETTINGS, open_session, startup_options

OLDEST_SERVER = 15
CONNECT_TIMEOUT = 5
LOCK_TIMEOUT = "5s"
IDLE_IN_TRANSACTION_TIMEOUT = "10s"
STATEMENT_TIMEOUT = "30s"
"""For what actors write: somebody's slow trigger is said and tried again, not waited for in silence."""
PUBLIC = "public"
SEARCH_PATH = re.compile(r"^(?:-c\s*|--)search_path\s*=\s*\"?([^,\"\s]+)")
MEANINGS: Mapping[str, tuple[type[DatabaseError], str]] = {
    "08": (DatabaseUnavailable, "the database is not available"),  # connection
    "53": (DatabaseUnavailable, "the database lacks resources"),
    "57": (DatabaseUnavailable, "the database is not available"),  # an operator intervened
    "25006": (DatabaseUnavailable, "the database is read-only"),
    "25P03": (DatabaseUnavailable, "the database ended a transaction that was idle"),
    "58": (DatabaseUnavailable, "the database's machine fails"),  # such as an input/output error
    "XX": (DatabaseUnavailable, "the database has an internal error"),
    "57014": (DatabaseBusy, "the database took too long"),  # statement_timeout, or somebody cancelled the statement
    "40001": (DatabaseBusy, "the database is busy"),
    "40P01": (DatabaseBusy, "the database is busy"),
    "55P03": (DatabaseBusy, "the database is busy"),
    "0A000": (DatabaseBusy, "the tables have just been changed"),  # so a prepared statement does not fit any more
    "26000": (DatabaseBusy, "the database has forgotten a prepared statement"),  # psycopg prepares it again
    "42501": (DatabaseUnsuitable, "the database role lacks a right"),
    "3F": (DatabaseUnsuitable, "the database lacks the schema"),
    "42P01": (DatabaseUnsuitable, "the tables are not as this program made them"),
    "42703": (DatabaseUnsuitable, "the tables are not as this program made them"),
    "42P10": (DatabaseUnsuitable, "the tables are not as this program made them"),
    "42804": (DatabaseUnsuitable, "the tables are not as this program made them"),
    "42883": (DatabaseUnsuitable, "the tables are not as this program made them"),
    "42": (DatabaseUnsuitable, "a table, trigger or rule is not as this program needs it"),
    "55": (DatabaseUnsuitable, "a table is not in the state that this program needs"),
    "42P06": (DatabaseUnsuitable, "a name that this program needs is taken"),
    "42P07": (DatabaseUnsuitable, "a name that this program needs is taken"),
    "42710": (DatabaseUnsuitable, "a name that this program needs is taken"),
    "42723": (DatabaseUnsuitable, "a name that this program needs is taken"),
    "21": (WriteRefused, "a trigger refused the values"),
    "27": (WriteRefused, "a trigger refused the values"),
    "38": (WriteRefused, "a trigger refused the values"),  # one in another language than PL/pgSQL
    "39": (WriteRefused, "a trigger refused the values"),
    "22": (WriteRefused, "the database refused the values"),
    "23": (WriteRefused, "the database refused the values"),
    "44": (WriteRefused, "the database refused the values"),
    "54": (WriteRefused, "the database refused the values"),
    "P0": (WriteRefused, "a trigger refused the values"),
}
"""What an SQLSTATE, or its class, means to the program (PostgreSQL's documentation, appendix A)."""
WITHOUT_STATE: Mapping[type[psycopg.Error], tuple[type[DatabaseError], str]] = {
    psycopg.DataError: (WriteRefused, "the values cannot be sent to the database"),
    psycopg.ProgrammingError: (DatabaseUnsuitable, "database_url cannot be used"),
}
"""What psycopg itself found; what is not here is a connection that is lost, or was never made."""
AWAY: tuple[type[DatabaseError], str] = (DatabaseUnavailable, "the database is not available")
OTHER: tuple[type[DatabaseError], str] = (DatabaseError, "the database refused the statement")

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
"""Sessions of others that hold locks on the tables: who was in the way is not told with the timeout itself."""

VERSION = """
SELECT current_setting('server_version_num')::int, split_part(current_setting('server_version'), ' ', 1),
       (SELECT extversion FROM pg_extension WHERE extname = 'timescaledb')
"""


logging.getLogger("psycopg").setLevel(logging.ERROR)  # its warnings say again what it raises


def parse_url(database_url: str) -> URL:
    """Return ``database_url`` as SQLAlchemy's URL for psycopg.

    Raises:
        SettingsError: it is no PostgreSQL URL. The URL itself is not repeated: it may hold a password.
    """
    try:
        url = make_url(database_url)
    except (exc.ArgumentError, ValueError):
        msg = "database_url is not a URL; it must look like postgresql://user:password@host:5432/database"
        raise SettingsError(msg) from None
    if url.get_backend_name() not in {"postgresql", "postgres"}:
        msg = f"database_url names {url.drivername!r}; only postgresql:// databases work"
        raise SettingsError(msg)
    url = url.set(drivername="postgresql+psycopg")
    try:
        conninfo_to_dict(dsn(url))
    except psycopg.ProgrammingError as error:
        msg = f"database_url cannot be used: {first_line(error)}"
        raise SettingsError(msg) from None
    return url


def shown(database_url: str) -> str:
    """Return where the database is, without user or password: ``host:5432/database``."""
    url = parse_url(database_url)
    host = url.host or url.query.get("host") or "local socket"
    return f"{host}{f':{url.port}' if url.port else ''}/{url.database or ''}"


def schema_of(database_url: str) -> str:
    """Return the schema that a URL names in its ``options=-csearch_path=…``; ``public`` where it names none."""
    found = [match[1] for word in _words(parse_url(database_url)) if (match := SEARCH_PATH.match(word))]
    return found[-1] if found else PUBLIC


def with_schema(database_url: str, schema: str) -> str:
    """Return the URL with ``schema`` first in its search path, as psql takes it, too; ``public`` adds nothing."""
    if schema == PUBLIC:
        return database_url
    url = parse_url(database_url)
    words = [word for word in _words(url) if not SEARCH_PATH.match(word)]
    options = shlex.join([*words, f"-csearch_path={schema},{PUBLIC}"])
    return dsn(url.update_query_dict({"options": options}))


def _words(url: URL) -> list[str]:
    """Return the server options of a URL, one a word, ``-c name=value`` joined to ``-cname=value``."""
    options = url.query.get("options", "")
    words = shlex.split(options if isinstance(options, str) else " ".join(options))
    return re.sub("(^|\0)-c\0", r"\1-c", "\0".join(words)).split("\0") if words else []


def dsn(database_url: str | URL) -> str:
    """Return the URL in libpq's own spelling; it may hold a password."""
    url = parse_url(database_url) if isinstance(database_url, str) else database_url
    # libpq takes a + for a plus, where SQLAlchemy means a blank.
    place, mark, query = url.set(drivername="postgresql").render_as_string(hide_password=False).partition("?")
    return place + mark + query.replace("+", "%20")


def connect_options(name: str, database_url: str | None = None, *, writer: str | None = None) -> dict[str, object]:
    """Return libpq parameters: what the session needs, and limits so that nobody's open session stops trading unseen.

    Args:
        name: who connects.
        database_url: where; its own ``options`` count, too, and its schema comes first in the search path.
        writer: see `engine_for`.
    """
    words = [word for word in _words(parse_url(database_url)) if not SEARCH_PATH.match(word)] if database_url else []
    return {
        "connect_timeout": CONNECT_TIMEOUT,
        "application_name": f"paper-trading {name}",
        "client_encoding": CLIENT_ENCODING,
        "options": startup_options({**TCP_SETTINGS, **_session_settings(database_url, writer)}, words),
        **KEEPALIVES,
    }


def _session_settings(database_url: str | None, writer: str | None) -> dict[str, str]:
    """Return what holds in a session with this database; see `persistence.session`."""
    settings = {
        **SETTINGS,
        # Compiling a view's question takes longer than answering it: that of the ledger 4 to 20 s, answered in 0.6 s.
        "jit": "off",
        "lock_timeout": LOCK_TIMEOUT,
        "idle_in_transaction_session_timeout": IDLE_IN_TRANSACTION_TIMEOUT,
    }
    if database_url is not None:
        schema = schema_of(database_url)
        # The session's own temporary tables come last, or they would stand before the program's.
        settings["search_path"] = f"{PUBLIC},pg_temp" if schema == PUBLIC else f"{schema},{PUBLIC},pg_temp"
    if writer is not None:
        settings |= {"paper.writer": writer, "statement_timeout": STATEMENT_TIMEOUT}
    return settings


def connect(database_url: str, name: str, *, writer: str | None = None) -> psycopg.Connection[Any]:
    """Return a connection of its own, in autocommit, in the URL's schema; psycopg's errors are not translated.

    Raises:
        DatabaseUnsuitable: a setting of the session does not hold.
    """
    settings = _session_settings(database_url, writer)
    options = connect_options(name, database_url, writer=writer)
    return open_session(settings, dsn(database_url), count_as=name, autocommit=True, **options)


def engine_for(
    database_url: str, name: str, *, writer: str | None = None, pool_size: int = 1, hot: bool = False
) -> Engine:
    """Return an engine whose connections carry ``name``, so that the server's own views tell them apart.

    Args:
        database_url: where.
        name: who connects.
        writer: the actor that the guards of ``sql/`` let write what only it may write.
        pool_size: connections kept open.
        hot: do not look first whether a connection that was idle is still alive; the user recovers if it is not.
    """
    engine = create_engine(
        parse_url(database_url),
        pool_size=pool_size,
        max_overflow=10,  # a thread that hangs keeps its connection, and has a successor
        pool_pre_ping=not hot,
        connect_args=connect_options(name, database_url, writer=writer),
    )
    pids = _BACKENDS[engine] = set()

    settings = _session_settings(database_url, writer)

    def opened(connection: psycopg.Connection, record: Any) -> None:
        record.info["pid"] = connection.info.backend_pid
        pids.add(record.info["pid"])

    event.listen(engine, "do_connect", lambda *given: open_session(settings, *given[2], count_as=name, **given[3]))
    event.listen(engine, "connect", opened)
    event.listen(engine, "close", lambda _, record: pids.discard(record.info.get("pid", 0)))
    disposed = threading.Event()

    # A thread may outlast its engine, as at a stop that does not wait for it. Its connection then comes back to
    # nobody's pool, which would keep the server's session until Python collects it.
    def returned(connection: psycopg.Connection | None, _: Any) -> None:
        if connection is not None and disposed.is_set():
            connection.close()

    event.listen(engine, "engine_disposed", lambda _: disposed.set())
    event.listen(engine, "checkin", returned)
    return engine


_BACKENDS: WeakKeyDictionary[Engine, set[int]] = WeakKeyDictionary()


def backends(engine: Engine) -> list[int]:
    """Return the server's process ids of the connections that ``engine`` holds."""
    return sorted(_BACKENDS.get(engine, ()))


@contextmanager
def transaction(engine: Engine, writes: str = "") -> Iterator[psycopg.Cursor]:
    """Run one transaction on psycopg's cursor; whatever raises inside leaves nothing behind.

    Args:
        engine: whose connection is used.
        writes: what is committed, where it lies on the way of a decision; see `domain.failpoints`.

    Raises:
        DatabaseUnavailable: the connection is lost; if that was in COMMIT, whether it happened is not known.
        DatabaseBusy: a lock timeout or deadlock; nothing was written.
        WriteRefused: the values are refused; nothing was written.
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


def answered(error: Exception, connection: psycopg.Connection) -> bool:
    """Whether the server said ``error`` and goes on with this session: what was asked for did not happen."""
    return (
        isinstance(error, psycopg.Error)
        and error.sqlstate is not None
        and error.diag.severity_nonlocalized == "ERROR"  # after FATAL and PANIC the session is over
        and not connection.closed
    )


def _rolled_back(connection: psycopg.Connection) -> bool:
    """Whether the connection can be used again; one that was cut may not have noticed yet."""
    with suppress(psycopg.Error):
        connection.rollback()
        return not connection.closed
    return False


def _commit(connection: psycopg.Connection) -> None:
    try:
        connection.commit()
    except psycopg.Error as error:
        if not answered(error, connection):
            msg = f"the connection was lost in COMMIT: {first_line(error)}"
            raise DatabaseUnavailable(msg, in_doubt=True) from error
        raise


@contextmanager
def naming_blockers(engine: Engine, *, readers: bool = False) -> Iterator[None]:
    """Add to a lock timeout which sessions of others hold locks on the tables; of readers, too, for who alters one."""
    try:
        yield
    except DatabaseBusy as error:
        cause = error.__cause__
        if not isinstance(getattr(cause, "orig", cause), psycopg.errors.LockNotAvailable):
            raise
        raise DatabaseBusy(f"{error}{_blockers(engine, readers)}") from error.__cause__


def _blockers(engine: Engine, readers: bool) -> str:
    """Name them, as far as this role sees them; nothing where nobody is to be found."""
    with suppress(exc.SQLAlchemyError, psycopg.Error), engine.connect() as connection:
        found = connection.exec_driver_sql(BLOCKERS, {"readers": readers}).scalars().all()
        if found:
            return f"; locks are held by {', '.join(found)}"
    return ""


@contextmanager
def translated() -> Iterator[None]:
    """Turn the driver's errors into those of `domain.errors`."""
    try:
        yield
    except PaperTradingError:
        raise
    except exc.DBAPIError as error:
        raise meaning(error.orig if isinstance(error.orig, psycopg.Error) else None, error) from error
    except exc.SQLAlchemyError as error:
        raise DatabaseUnavailable(f"the database gave no connection: {first_line(error)}") from error
    except psycopg.Error as error:
        raise meaning(error, error) from error


def meaning(error: psycopg.Error | None, shown_error: Exception) -> DatabaseError:
    """Return what a driver's error means to the program, by its SQLSTATE, or by its kind where it has none."""
    text = first_line(error or shown_error)
    state = error.sqlstate if error is not None else None
    if state is None:
        kind, sentence = next((m for cause, m in WITHOUT_STATE.items() if isinstance(error, cause)), AWAY)
    else:
        kind, sentence = MEANINGS.get(state) or MEANINGS.get(state[:2]) or OTHER
    return kind(f"{sentence}: {text}")


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message, for one sentence."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def probe(database_url: str) -> str:
    """Try the database and return its version, such as ``PostgreSQL 17.5, TimescaleDB 2.19.3``.

    Raises:
        DatabaseUnavailable: it does not answer, or refuses the user.
        DatabaseUnsuitable: it is too old.
    """
    engine = engine_for(database_url, "probe")
    try:
        with transaction(engine) as cursor:
            row = cursor.execute(VERSION).fetchone()
    finally:
        engine.dispose()
    assert row is not None
    number, version, timescale = row
    if number // 10_000 < OLDEST_SERVER:
        msg = f"the database at {shown(database_url)} is PostgreSQL {version}; {OLDEST_SERVER} or newer is needed"
        raise DatabaseUnsuitable(msg)
    return f"PostgreSQL {version}" + (f", TimescaleDB {timescale}" if timescale else ", without TimescaleDB")
