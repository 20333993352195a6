"""Settings of each database session, whatever server, role, pooler, URL or shell would set.

psycopg reads values in one style only, and ``ALTER DATABASE … SET client_encoding``, ``ALTER ROLE … SET datestyle`` or
PGTZ in the shell may set another; libpq sends the shell's settings after the program's own. So the settings are sent
with the connection's start, to which ``RESET ALL`` returns, and are set and checked once more in one statement.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import nullcontext
from typing import Any

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from domain.errors import DatabaseUnsuitable
from persistence.database_timing import CountedConnection
from persistence.environment import is_of_embedded_server, without_libpq_variables

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


def startup_options(settings: Mapping[str, str], others: Iterable[str] = ()) -> str:
    """Return libpq's parameter ``options``: the other options, then the settings, which win because they are last."""
    options = [*others, *(f"-c{name}={value}" for name, value in settings.items())]
    return " ".join(map(_escaped, options))


def _escaped(option: str) -> str:
    return option.replace("\\", "\\\\").replace(" ", "\\ ")


def open_session(
    settings: Mapping[str, str], conninfo: str = "", *, count_as: str | None = None, **options: Any
) -> CountedConnection:
    """Connect like `psycopg.connect`; every connection of the program is made here.

    Args:
        settings: of the session.
        conninfo: libpq's connection string.
        count_as: name for `persistence.database_timing`; None counts nothing.
        options: further parameters of psycopg and libpq.

    Raises:
        DatabaseUnsuitable: a setting cannot be set, or has another value after it was set.
        psycopg.Error: the connection cannot be made, or was lost.
    """
    host = str(options.get("host") or conninfo_to_dict(conninfo).get("host") or "")
    with without_libpq_variables() if is_of_embedded_server(host) else nullcontext():
        connection = CountedConnection.connect(conninfo, **options)
    try:
        _establish(connection, settings)
    except BaseException:
        connection.close()
        raise
    connection.count_as(count_as)
    return connection


def open_privileged_session(conninfo: str, name: str, **options: Any) -> CountedConnection:
    """Connect as the embedded server's superuser, with a search path that holds no objects of others."""
    start = {"application_name": f"paper-trading {name}", "client_encoding": CLIENT_ENCODING}
    return open_session(PRIVILEGED, conninfo, options=startup_options(PRIVILEGED), **start, **options)


def _establish(connection: CountedConnection, settings: Mapping[str, str]) -> None:
    """Set the settings and check their values."""
    autocommit = connection.autocommit
    connection.autocommit = True  # a rollback would undo a setting made in a transaction
    values = _set(connection, settings)
    connection.autocommit = autocommit
    for name, wanted in settings.items():
        status = connection.info.parameter_status(name) if name in REPORTED_SETTINGS else wanted
        for value in (values[name], status):
            if name in CHECKED and value != wanted:
                raise DatabaseUnsuitable(
                    f"sessions with this database have {name} = {value!r} although the program sets {wanted!r}, which"
                    f" it needs: connect it to the server itself, or to a pooler that passes on a session's settings"
                )


def _set(connection: CountedConnection, settings: Mapping[str, str]) -> dict[str, str]:
    """Set the settings; return their values as the server reports them."""
    set_one = "pg_catalog.set_config({}, {}, false)"
    calls = [sql.SQL(set_one).format(sql.Literal(name), sql.Literal(value)) for name, value in settings.items()]
    try:
        row = connection.execute(sql.SQL("SELECT {}").format(sql.SQL(", ").join(calls))).fetchone()
    except psycopg.Error as error:
        if error.sqlstate is None or connection.closed:
            raise
        reason = error.diag.message_primary or str(error)
        raise DatabaseUnsuitable(f"the settings of a session with this database cannot be set: {reason}") from error
    assert row is not None
    # psycopg gives bytes where the encoding is SQL_ASCII.
    values = [value.decode() if isinstance(value, bytes) else str(value) for value in row]
    return dict(zip(settings, values, strict=True))
