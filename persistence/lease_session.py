"""Which session of the database server has the lease.

The row of ``paper_lease_renewal`` names it: by process id, start and role, which no later session shares. The lease is
free once the server has no such session. A session enters itself in one short transaction, which locks the row and
then looks whether the one before it still lives; nothing stays locked between two statements. Only a role that may
update the table can do that, so no other role can have the lease, or keep it from a service.

Earlier versions of this program exclude each other by an advisory lock, which any role may take. This version takes it,
too, so that an earlier one and this one cannot serve at once. But a session that has that lock is in the way only if it
is one of the program, and of a role that may update the table.
"""

from __future__ import annotations

import hashlib
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

from domain.errors import DatabaseUnsuitable, LeaseBlocked, LeaseHeld
from persistence.rows import one_row
from persistence.sessions.address import PUBLIC, display_address, schema_of

LOCK_KEY = 0x70617065725F7464
"""Key of the earlier versions' advisory lock in schema public: ``paper_td`` in ASCII."""
LEASE_TIMEOUT_S = 30.0
"""A process counts as serving only while its last renewal is younger than this."""
PART = "lease"
"""The part of the program that its sessions name."""
APPLICATION_NAME = f"paper-trading {PART}"
NO_TABLE = (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName, psycopg.errors.LockNotAvailable)
"""Errors while the lease's table does not exist yet, or while a backup is being restored."""
ROW_LOCKED = "another session, which has locked the row of paper_lease_renewal"

SESSION_TEXT = """'session ' || {pid} || coalesce(' (' || coalesce(nullif(a.application_name, ''), 'without a name')
    || ', role ' || a.usename || ')', '')"""
IS_SESSION = """a.pid = r.session_pid AND a.usesysid = r.session_role
    AND coalesce(a.backend_start = r.session_start, true)"""
"""Whether the session ``a`` is the one that the row ``r`` names. The server tells the start only to the session's own
role; for others a later session of the same process id and role counts as the same."""
SESSION_WITH_LEASE = f"""(
    SELECT {SESSION_TEXT.format(pid="a.pid")} FROM paper_lease_renewal r JOIN pg_stat_activity a ON {IS_SESSION})"""
"""The session that has the lease, as text for people; NULL if none has it."""

HAS_COLUMNS = "SELECT EXISTS (SELECT FROM pg_attribute WHERE attrelid = to_regclass(%s) AND attname = 'session_pid')"
# One message, so that nothing can hang in the middle of the transaction. The server shows a transaction the sessions of
# one moment: that of the UPDATE, once the row is locked.
ENTER = f"""
SELECT set_config('lock_timeout', '200ms', true);
SELECT FROM {{row}} FOR UPDATE;
UPDATE {{row}} r
SET session_pid = own.pid, session_start = own.backend_start, session_role = own.usesysid, serving = false
FROM pg_stat_activity own
WHERE own.pid = pg_backend_pid()
  AND NOT EXISTS (SELECT FROM pg_stat_activity a WHERE {IS_SESSION} AND a.pid <> own.pid)
RETURNING true
"""
LEAVE = """
SELECT set_config('lock_timeout', '200ms', true);
UPDATE {row} SET session_pid = NULL, session_start = NULL, session_role = NULL, serving = false
WHERE session_pid = pg_backend_pid()
"""
WITH_LEASE = f"""
SELECT {SESSION_TEXT.format(pid="a.pid")},
       r.serving AND r.renewed_at > clock_timestamp() - interval '{LEASE_TIMEOUT_S:g} seconds'
FROM {{row}} r JOIN pg_stat_activity a ON {IS_SESSION}
"""

TRY_LOCK = "SELECT pg_try_advisory_lock(%s)"
# Where the table does not exist yet, the right to make it counts. A prepared transaction has no process id.
WITH_LOCK = f"""
SELECT {SESSION_TEXT.format(pid="coalesce(l.pid::text, '(prepared transaction)')")},
       l.pid IS NOT NULL AND coalesce(a.application_name = '{APPLICATION_NAME}' AND coalesce(
           has_table_privilege(a.usesysid, t.oid, 'UPDATE') OR pg_has_role(a.usesysid, t.relowner, 'MEMBER'),
           has_schema_privilege(a.usesysid, to_regnamespace(%(schema)s), 'CREATE'),
           has_database_privilege(a.usesysid, current_database(), 'CREATE')), true) AS counts
FROM pg_locks l LEFT JOIN pg_stat_activity a USING (pid) LEFT JOIN pg_class t ON t.oid = to_regclass(%(table)s)
WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
  AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND (l.classid::bigint << 32 | l.objid::bigint) = %(key)s ORDER BY counts DESC, l.pid LIMIT 1
"""


@dataclass(frozen=True, slots=True)
class Obstacle:
    """A session because of which this one cannot have the lease.

    Attributes:
        session: the session, as text for people.
        serving: whether it has renewed the lease lately; None where it is unknown, as of an earlier version.
    """

    session: str
    serving: bool | None = None


def lock_key(database_url: str) -> int:
    """Return the key of the advisory lock; each schema of a database has its own."""
    schema = schema_of(database_url)
    if schema == PUBLIC:
        return LOCK_KEY
    return int.from_bytes(hashlib.sha256(f"{LOCK_KEY} {schema}".encode()).digest()[:8], "big") >> 1


class LeaseSession:
    """A session that can have the lease of one schema.

    Args:
        connection: in autocommit mode, a session of the server of its own.
        database_url: of the database.

    Attributes:
        has_lock: whether it has the advisory lock of earlier versions.
        ignored: the session that has it instead and is not in the way, as text for people; None without one.
    """

    def __init__(self, connection: psycopg.Connection, database_url: str) -> None:
        self.has_lock = False
        self.ignored: str | None = None
        self._connection = connection
        self._url = database_url
        self._schema = schema_of(database_url)
        self._row = sql.Identifier(self._schema, "paper_lease_renewal")

    def enter(self) -> Obstacle | None:
        """Enter this session as the one that has the lease; return what is in the way, None on success.

        Where the table does not exist yet, or is an earlier version's, the advisory lock alone has to do, until
        `enter` is called again.
        """
        return self._obstacle_by_lock() or self._obstacle_by_row()

    def lock(self) -> None:
        """Take the advisory lock of earlier versions if it is free."""
        if not self.has_lock:
            self.has_lock = bool(one_row(self._connection, TRY_LOCK, [lock_key(self._url)])[0])

    def leave(self) -> None:
        """Give up the lease, so that it is free on return; a server that does not answer ends the session by itself."""
        # After a mere close the server process goes on until it notices that its client is gone.
        with suppress(psycopg.Error):
            if self._has_columns():
                self._results(LEAVE)
        with suppress(psycopg.Error):
            self._connection.execute("SELECT pg_advisory_unlock_all()")

    def held_error(self, obstacle: Obstacle) -> LeaseHeld:
        """Return the error with which a process ends that cannot have the lease."""
        last = last_renewal(self._connection, self._schema)
        serving = obstacle.serving if obstacle.serving is not None else last is not None and not last.expired
        address = display_address(self._url)
        if serving:
            return LeaseHeld(f"{current_holder(self._connection, self._schema)} serves the database {address} already")
        served = "nothing has served it yet" if last is None else f"{last.holder} does not serve it any more"
        by_hand = ""
        if obstacle.session.startswith("session "):
            by_hand = f", or end it with SELECT pg_terminate_backend({obstacle.session.split()[1]})"
        return LeaseBlocked(
            f"{obstacle.session} has the lease of the database {address} and does not renew it ({served}); it is "
            f"starting, upgrading, restoring or hanging: wait for its end{by_hand}"
        )

    def _obstacle_by_lock(self) -> Obstacle | None:
        self.lock()
        self.ignored = None
        if self.has_lock:
            return None
        table = sql.Identifier(self._schema, "paper_lease").as_string()
        schema = sql.Identifier(self._schema).as_string()
        parameters = {"key": lock_key(self._url), "table": table, "schema": schema}
        row = self._connection.execute(WITH_LOCK, parameters).fetchone()
        if row is None:
            return None
        session, counts = row
        if counts:
            return Obstacle(session, self._serving(session))
        self.ignored = session
        return None

    def _serving(self, session: str) -> bool | None:
        """Return whether a session that has the advisory lock serves, None where that is unknown."""
        if not self._has_columns():
            return None
        row = self._with_lease()
        return row is not None and row[0] == session and bool(row[1])

    def _obstacle_by_row(self) -> Obstacle | None:
        if not self._has_columns():
            return None
        try:
            if self._results(ENTER) == [(True,)]:
                return None
            row = self._with_lease()
        except psycopg.errors.LockNotAvailable:
            return Obstacle(ROW_LOCKED)
        except (psycopg.errors.InsufficientPrivilege, psycopg.errors.ReadOnlySqlTransaction):
            return None  # the start says which right is missing, or that the database cannot be written
        if row is None and not self._connection.execute(sql.SQL("SELECT FROM {}").format(self._row)).fetchall():
            raise DatabaseUnsuitable(
                "table paper_lease_renewal has lost its row: INSERT INTO paper_lease_renewal (renewed_at)"
                " VALUES ('-infinity')"
            )
        return Obstacle(*row) if row is not None else Obstacle("another process, which has just ended,")

    def _has_columns(self) -> bool:
        """Return whether the table exists with the columns that name a session."""
        return bool(one_row(self._connection, HAS_COLUMNS, [self._row.as_string()])[0])

    def _with_lease(self) -> tuple[str, bool] | None:
        """Return the session that has the lease, and whether it serves; None if none has it."""
        return self._connection.execute(sql.SQL(WITH_LEASE).format(row=self._row)).fetchone()

    def _results(self, statements: str) -> list[tuple[Any, ...]]:
        """Run statements in one message and transaction; return the rows of the last one."""
        with self._connection.cursor() as cursor:
            cursor.execute(sql.SQL(statements).format(row=self._row), prepare=False)
            while cursor.nextset():
                pass
            return cursor.fetchall() if cursor.description is not None else []


@dataclass(frozen=True, slots=True)
class Renewal:
    """The last renewal of the lease.

    Attributes:
        holder: the process.
        expired: whether it is too old for a process that serves.
    """

    holder: str
    expired: bool


def last_renewal(connection: psycopg.Connection, schema: str) -> Renewal | None:
    """Return the last renewal of the lease; None if nothing has ever served."""
    lease, renewal = (sql.Identifier(schema, name) for name in ("paper_lease", "paper_lease_renewal"))
    # Not by paper_now(): the schema may be an earlier one, which has no such function.
    statement = sql.SQL(
        "SELECT holder, renewed_at <= clock_timestamp() - %s * interval '1 second' FROM {}, {} WHERE epoch > 0"
    ).format(lease, renewal)
    with suppress(*NO_TABLE):
        row = connection.execute(statement, [LEASE_TIMEOUT_S]).fetchone()
        return None if row is None else Renewal(*row)
    return None


def current_holder(connection: psycopg.Connection, schema: str = PUBLIC) -> str:
    """Return a text that names the holder of the lease, as stored in the database."""
    table = sql.Identifier(schema, "paper_lease")
    statement = sql.SQL("SELECT holder, started_at FROM {} WHERE epoch > 0").format(table)
    try:
        row = connection.execute(statement).fetchone()
    except NO_TABLE:
        row = None
    if row is None:
        return "another process, which is just starting or restoring a backup,"
    return f"{row[0]} (since {row[1]:%Y-%m-%d %H:%M:%S} UTC)"
