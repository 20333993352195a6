"""What holds in each session with the database, whatever its server, role, pooler, URL or shell would have it be.

``ALTER DATABASE … SET client_encoding``, ``ALTER ROLE … SET datestyle``, PGTZ in the shell: psycopg reads values in
one style only, and libpq sends the shell's styles after the program's own. So the settings go along with the
connection's start, where ``RESET ALL`` comes back to, and are set once more and checked in one round trip.
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
REPORTED: Mapping[str, str] = {
    "client_encoding": CLIENT_ENCODING,
    "DateStyle": "ISO, MDY",
    "IntervalStyle": "postgres",
    "TimeZone": "UTC",
    "standard_conforming_strings": "on",
}
"""The server reports these by itself, and psycopg reads and writes values by what was reported last."""
SETTINGS: Mapping[str, str] = {
    **REPORTED,
    "idle_session_timeout": "0",
    "extra_float_digits": "1",
    "default_transaction_isolation": "read committed",  # a fence has to see the epoch that it waited for
}
"""Of every session of this program."""
PRIVILEGED_SEARCH_PATH = "pg_catalog, pg_temp"
PRIVILEGED: Mapping[str, str] = {
    **SETTINGS,
    # Whoever owns the database can put an operator into `public` that fits better than PostgreSQL's own.
    "search_path": PRIVILEGED_SEARCH_PATH,
    "jit": "off",
    "lock_timeout": "10s",
    "statement_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
}
"""Of a session of the embedded server's superuser, which may wait while a program of PostgreSQL's works."""
TCP_USER_TIMEOUT_MS = 11_000
"""Milliseconds after which a peer that answers nothing is given up, on either side."""
KEEPALIVES: Mapping[str, int] = {
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": TCP_USER_TIMEOUT_MS,
}
"""libpq's parameters for this side."""
TCP_SETTINGS: Mapping[str, str] = {
    "tcp_keepalives_idle": "5",
    "tcp_keepalives_interval": "2",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": str(TCP_USER_TIMEOUT_MS),
}
"""For the server's side: its own defaults would keep the locks of a machine that died for two hours."""
CHECKED = frozenset({*SETTINGS, "search_path"})


def startup_options(settings: Mapping[str, str], words: Iterable[str] = ()) -> str:
    """Return libpq's parameter ``options``: ``words``, then the settings, which win because they are last."""
    return " ".join(_escaped(word) for word in [*words, *(f"-c{name}={value}" for name, value in settings.items())])


def _escaped(word: str) -> str:
    return word.replace("\\", "\\\\").replace(" ", "\\ ")


def open_session(
    settings: Mapping[str, str], conninfo: str = "", *, count_as: str | None = None, **options: Any
) -> CountedConnection:
    """Connect as `psycopg.connect` does; every connection of the program begins here.

    Args:
        settings: that hold in the session.
        conninfo: libpq's connection string.
        count_as: see `persistence.database_timing`; None: nothing is counted.
        options: more of psycopg's own and libpq's parameters.

    Raises:
        DatabaseUnsuitable: a setting does not hold although it was set, or cannot be set.
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
    """Connect as the embedded server's superuser; nothing of what others put into the database is run by its name."""
    start = {"application_name": f"paper-trading {name}", "client_encoding": CLIENT_ENCODING}
    return open_session(PRIVILEGED, conninfo, options=startup_options(PRIVILEGED), **start, **options)


def _establish(connection: CountedConnection, settings: Mapping[str, str]) -> None:
    """Set the settings, and see to it that they hold."""
    autocommit = connection.autocommit
    connection.autocommit = True  # what is set in a transaction would go with it
    values = _set(connection, settings)
    connection.autocommit = autocommit
    for name, wanted in settings.items():
        reported = connection.info.parameter_status(name) if name in REPORTED else wanted
        for value in (values[name], reported):
            if name in CHECKED and value != wanted:
                msg = (
                    f"sessions with this database have {name} = {value!r} whatever is set, and this program needs"
                    f" {wanted!r}: connect it to the server itself, or to a pooler that passes on what a session sets"
                )
                raise DatabaseUnsuitable(msg)


def _set(connection: CountedConnection, settings: Mapping[str, str]) -> dict[str, str]:
    """Set the settings; return what the server says that they are then."""
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
