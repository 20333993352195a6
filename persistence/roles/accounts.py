"""Accounts of roles on the server: made with a random password and limits, given another password, removed."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping, Sequence
from contextlib import suppress

import psycopg
from psycopg import sql

from domain.errors import InvalidRequest
from domain.wording import quoted

NAME = re.compile(r"[a-z_][a-z0-9_]{0,62}")
RESERVED = frozenset({
    "postgres", "public", "none", "paper", "paper_backup", "current_user", "session_user", "current_role", "all",
    "replication",
})  # fmt: skip
"""Names that PostgreSQL, its file of authentication, or this program use otherwise; ``pg_…`` is PostgreSQL's, too."""
PASSWORD_BYTES = 24
SETTINGS: Mapping[str, str] = {
    "lock_timeout": "5s",
    "idle_in_transaction_session_timeout": "10s",
    "statement_timeout": "30s",
    # Compiling the plan of a question to a view takes longer than running it.
    "jit": "off",
}
"""Settings of each role. A session may change them, so they prevent mistakes; the connection limit prevents more."""
ENFORCED: Mapping[str, str] = {"temp_file_limit": "256MB"}
"""Settings that only a superuser makes, and that no session can change."""

EXISTS = "SELECT 1 FROM pg_catalog.pg_roles WHERE rolname OPERATOR(pg_catalog.=) %s"
BYPASSES = "SELECT rolbypassrls FROM pg_catalog.pg_roles WHERE rolname OPERATOR(pg_catalog.=) %s"
SESSIONS = """
SELECT pg_catalog.pg_terminate_backend(pid, 5000) FROM pg_catalog.pg_stat_activity
WHERE backend_type OPERATOR(pg_catalog.=) 'client backend' AND usename OPERATOR(pg_catalog.=) ANY(%s)
"""
"""Ends the sessions of roles; each gets five seconds to end."""
LARGE_OBJECTS = """
SELECT pg_catalog.lo_unlink(l.oid)
FROM pg_catalog.pg_largeobject_metadata l JOIN pg_catalog.pg_roles r ON r.oid OPERATOR(pg_catalog.=) l.lomowner
WHERE r.rolname OPERATOR(pg_catalog.=) %s
"""
"""Any role may make them; no right is needed that could be left out, and the program has none."""
IS_SUPERUSER = "SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname OPERATOR(pg_catalog.=) current_user"


def require_name(name: str) -> None:
    """Raise `InvalidRequest` unless a text can be the name of a role that the program makes."""
    if NAME.fullmatch(name) is None:
        raise InvalidRequest(
            f"role {quoted(name)}: must be 1 to 63 lower-case letters, digits and underscores, and begin with no digit"
        )
    if name in RESERVED or name.startswith("pg_"):
        raise InvalidRequest(f"role {quoted(name)}: the name is reserved; choose another one")


def exists(connection: psycopg.Connection, name: str) -> bool:
    """Return whether the server has a role of that name."""
    return connection.execute(EXISTS, [name]).fetchone() is not None


def sees_all_rows(connection: psycopg.Connection, name: str) -> bool:
    """Return whether row security never concerns a role of the server."""
    row = connection.execute(BYPASSES, [name]).fetchone()
    return row is not None and bool(row[0])


def make(connection: psycopg.Connection, name: str, connections: int, *, all_rows: bool = False) -> str:
    """Make a role that may log in and has no right yet; return its password, which nobody stores.

    Args:
        connection: of a role that may make roles.
        name: of the new role.
        connections: how many sessions it may have at a time.
        all_rows: whether row security never concerns it.
    """
    password = secrets.token_urlsafe(PASSWORD_BYTES)
    role = sql.Identifier(name)
    attributes = "LOGIN BYPASSRLS" if all_rows else "LOGIN"
    statement = sql.SQL(f"CREATE ROLE {{}} {attributes} CONNECTION LIMIT {{}} PASSWORD {{}}")
    connection.execute(statement.format(role, sql.Literal(connections), _verifier(connection, name, password)))
    row = connection.execute(IS_SUPERUSER).fetchone()
    for setting, value in ({**SETTINGS, **ENFORCED} if row is not None and row[0] else SETTINGS).items():
        limit = sql.SQL("ALTER ROLE {} SET {} = {}").format(role, sql.Identifier(setting), sql.Literal(value))
        connection.execute(limit)
    return password


def set_password(connection: psycopg.Connection, name: str) -> str:
    """Give a role another random password, and return it; sessions that are open stay."""
    password = secrets.token_urlsafe(PASSWORD_BYTES)
    statement = sql.SQL("ALTER ROLE {} PASSWORD {}")
    connection.execute(statement.format(sql.Identifier(name), _verifier(connection, name, password)))
    return password


def end_sessions(connection: psycopg.Connection, names: Sequence[str]) -> None:
    """End the sessions of roles; PostgreSQL's own errors go through."""
    connection.execute(SESSIONS, [list(names)])


def leave_nothing(connection: psycopg.Connection, name: str) -> None:
    """End the sessions of a role and delete its large objects in this database, as far as that is allowed."""
    with suppress(psycopg.errors.InsufficientPrivilege):
        end_sessions(connection, [name])
    with suppress(psycopg.errors.InsufficientPrivilege):
        connection.execute(LARGE_OBJECTS, [name])


def remove(connection: psycopg.Connection, name: str) -> bool:
    """Remove a role from the server; return whether that was possible.

    It is not where the role has rights elsewhere, or where the connection's role may not do it. Its sessions end first,
    as far as the connection's role may end them.
    """
    leave_nothing(connection, name)
    try:
        connection.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(sql.Identifier(name)))
    except (psycopg.errors.DependentObjectsStillExist, psycopg.errors.InsufficientPrivilege):
        return False
    return True


def _verifier(connection: psycopg.Connection, name: str, password: str) -> sql.Literal:
    """Return what the server stores in place of a password, so that no log of the server can hold the password."""
    secret = connection.pgconn.encrypt_password(password.encode(), name.encode(), b"scram-sha-256")
    return sql.Literal(secret.decode())
