"""Connections: how they are made, how a transaction runs, and what its errors mean.

SQLAlchemy gives the pool and the reading side. What is hot goes through psycopg's cursor, because COPY and arrays are
worth more there than anything else.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress

import psycopg
from sqlalchemy import URL, Engine, create_engine, exc, make_url

from domain.errors import (
    DatabaseBusy,
    DatabaseError,
    DatabaseUnavailable,
    DatabaseUnsuitable,
    PaperTradingError,
    SettingsError,
    WriteRefused,
)

OLDEST_SERVER = 15
CONNECT_TIMEOUT = 5
LOCK_TIMEOUT = "5s"
SILENCE_TIMEOUT = 11_000
"""Milliseconds after which a peer that answers nothing is given up, on either side."""
IDLE_IN_TRANSACTION_TIMEOUT = "10s"
MEANINGS: Mapping[str, tuple[type[DatabaseError], str]] = {
    "08": (DatabaseUnavailable, "the database is not available"),  # connection
    "53": (DatabaseUnavailable, "the database lacks resources"),
    "57": (DatabaseUnavailable, "the database is not available"),  # an operator intervened
    "25006": (DatabaseUnavailable, "the database is read-only"),
    "25P03": (DatabaseUnavailable, "the database ended a transaction that was idle"),
    "40001": (DatabaseBusy, "the database is busy"),
    "40P01": (DatabaseBusy, "the database is busy"),
    "55P03": (DatabaseBusy, "the database is busy"),
    "42501": (DatabaseUnsuitable, "the database role lacks a right"),
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

VERSION = """
SELECT current_setting('server_version_num')::int, split_part(current_setting('server_version'), ' ', 1),
       (SELECT extversion FROM pg_extension WHERE extname = 'timescaledb')
"""


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
    return url.set(drivername="postgresql+psycopg")


def shown(database_url: str) -> str:
    """Return where the database is, without user or password: ``host:5432/database``."""
    url = parse_url(database_url)
    host = url.host or url.query.get("host") or "local socket"
    port = f":{url.port}" if url.port else ""
    return f"{host}{port}/{url.database or ''}"


def connect_options(name: str, *, writer: str | None = None) -> dict[str, object]:
    """Return libpq parameters: times in UTC, and limits so that nobody's open session stops trading unseen."""
    options = (
        f"-c timezone=UTC -c lock_timeout={LOCK_TIMEOUT} "
        f"-c idle_in_transaction_session_timeout={IDLE_IN_TRANSACTION_TIMEOUT} "
        # The server's own defaults would keep the locks of a machine that died for two hours.
        f"-c tcp_keepalives_idle=5 -c tcp_keepalives_interval=2 -c tcp_keepalives_count=3 "
        f"-c tcp_user_timeout={SILENCE_TIMEOUT}"
    )
    if writer is not None:
        options += f" -c paper.writer={writer}"
    return {
        "connect_timeout": CONNECT_TIMEOUT,
        "application_name": f"paper-trading {name}",
        "options": options,
        "keepalives_idle": 5,
        "keepalives_interval": 2,
        "keepalives_count": 3,
        "tcp_user_timeout": SILENCE_TIMEOUT,
    }


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
    return create_engine(
        parse_url(database_url),
        pool_size=pool_size,
        max_overflow=2,
        pool_pre_ping=not hot,
        connect_args=connect_options(name, writer=writer),
    )


@contextmanager
def transaction(engine: Engine) -> Iterator[psycopg.Cursor]:
    """Run one transaction on psycopg's cursor; whatever raises inside leaves nothing behind.

    Raises:
        DatabaseUnavailable: the connection is lost; if that was in COMMIT, whether it happened is not known.
        DatabaseBusy: a lock timeout or deadlock; nothing was written.
        WriteRefused: the values are refused; nothing was written.
    """
    with translated():
        connection = engine.raw_connection()
        driver = connection.driver_connection
        assert isinstance(driver, psycopg.Connection)
        try:
            with driver.cursor() as cursor:
                yield cursor
            _commit(driver)
        except BaseException:
            with suppress(psycopg.Error, exc.SQLAlchemyError):
                connection.rollback()
            if driver.closed:
                connection.invalidate()
            raise
        finally:
            connection.close()


def _commit(connection: psycopg.Connection) -> None:
    try:
        connection.commit()
    except psycopg.OperationalError as error:
        if error.sqlstate is None or connection.closed:
            msg = f"the connection was lost in COMMIT: {first_line(error)}"
            raise DatabaseUnavailable(msg, in_doubt=True) from error
        raise


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
