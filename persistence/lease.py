"""The lease: one process serves a database.

The process that holds an advisory lock, on a connection of its own, may write. Every writing transaction also checks
the epoch, so that a process which lost the lock without noticing writes nothing. A renewal updates a row of its own and
waits for no transaction. The rows of ``paper_processes`` are evidence only; the program decides nothing by them.
"""

from __future__ import annotations

import hashlib
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb
from sqlalchemy import Engine

from domain.alarms import AlarmKind, Notify
from domain.clocks.database_clock import DatabaseClock
from domain.errors import DatabaseBusy, DatabaseUnavailable, DatabaseUnsuitable, Fenced, LeaseHeld
from domain.retry_policy import RetryPolicy
from domain.types import Epoch
from domain.worker_thread import WorkerThread
from persistence.connections import connect, transaction
from persistence.error_translation import first_line, is_statement_error, translated
from persistence.log_once import LogErrorsOnce
from persistence.retry import retrying
from persistence.rows import one_row
from persistence.sessions.address import PUBLIC, display_address, schema_of
from persistence.sessions.session import OWN_SESSION_NEEDED, Session, has_own_session
from persistence.stores.uptime import Uptime

LOCK_KEY = 0x70617065725F7464
"""The advisory lock's key in schema public: ``paper_td`` in ASCII."""
LOCK_WAIT_S = 2.0
"""How long `Lease.take` waits for the lock of a process that has just died."""
EPOCH_WAIT_S = 30.0
"""How long `Lease.begin_epoch` waits for a transaction of the last holder that is still open."""
RENEWAL_INTERVAL_S = 5.0
TIME_LIMITS = {"keepalives_idle": 3, "keepalives_count": 2, "tcp_user_timeout": 7_000, "answer_limit": 20.0}
"""Parameters of the connection: it is lost 7 s after a renewal that nobody acknowledges, so that 3 s are left of the
15 s after which this process has the lease again. One that is acknowledged and not answered is lost as soon as the
server says so (`persistence.sessions.answers`), or else after 20 s: its disk may take long."""
WRITER = "Supervisor"
"""The writer's name that the triggers in ``sql/`` demand for the lease's tables."""
LEASE_TIMEOUT_S = 30.0
"""A process counts as serving only while its last renewal is younger than this. The lock alone does not show it, since
any role can take it."""
LOST_MESSAGE = "the lease's connection is lost; nothing is written until it is back"
REGAINED_MESSAGE = "this process holds the lease again"
RETRY_INTERVAL_S = 0.25
"""Between two attempts to renew the lease, or to get it back."""
RELEASE_WAIT_S = 0.5
"""How long `Lease.release` waits for a renewal under way, and again after it has cancelled that renewal."""

NOW = "SELECT paper_now()"
"""The database's time, which `DatabaseClock` reads; the only place."""

BEGIN = """
WITH begun AS (
    UPDATE paper_lease SET holder = %(holder)s, started_at = paper_now(),
        epoch = greatest(epoch, (SELECT coalesce(max(epoch), 0) FROM paper_processes)) + 1
    RETURNING epoch, holder, started_at
), recorded AS (
    INSERT INTO paper_processes (epoch, holder, version, settings, started_at)
    SELECT epoch, holder, %(version)s, %(settings)s, started_at FROM begun
)
SELECT epoch FROM begun
"""
"""Stores the epoch and its process together. The epoch exceeds every stored one, even if it was set back by hand."""

NO_TABLE = (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName, psycopg.errors.LockNotAvailable)
"""Errors while the lease's table does not exist yet, or while a backup is being restored."""
LOCKED_BY = """
SELECT 'session ' || l.pid || coalesce(' (' || coalesce(nullif(a.application_name, ''), 'without a name')
                                       || ', role ' || a.usename || ')', '')
FROM pg_locks l LEFT JOIN pg_stat_activity a USING (pid)
WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
  AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND (l.classid::bigint << 32 | l.objid::bigint) = {key} LIMIT 1
"""
"""The session that holds the lock, as text for people; no row if none does."""
END_SESSION = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid = %s AND backend_start = %s"
OWN_SESSION = "(paper-trading "
"""Part of the text of `LOCKED_BY` if the session is one of this program."""

__all__ = ["Lease", "current_holder", "holder_name", "lock_key", "open_own_session", "writing"]


def lock_key(database_url: str) -> int:
    """Return the key of the advisory lock; each schema of a database has its own."""
    schema = schema_of(database_url)
    if schema == PUBLIC:
        return LOCK_KEY
    return int.from_bytes(hashlib.sha256(f"{LOCK_KEY} {schema}".encode()).digest()[:8], "big") >> 1


def holder_name() -> str:
    """Return the name of this process as holder of the lease."""
    return f"process {os.getpid()} on {socket.gethostname()}"


class Lease:
    """The lease of this process, from `take` to `release`.

    Attributes:
        epoch: of this process; 0 before `begin_epoch`.
        failures: of the thread that renews it.
    """

    def __init__(self, database_url: str, connection: Session, clock: DatabaseClock | None = None) -> None:
        self.epoch = Epoch(0)
        self.failures = LogErrorsOnce()
        self._url = database_url
        self._connection = connection
        self._session = _session_of(connection)
        self._uptime = Uptime()
        self._clock = clock
        self._renewed: float | None = None
        self._held = threading.Event()
        self._held.set()
        self._keeper: WorkerThread | None = None

    @classmethod
    def take(cls, database_url: str, timeout: float = LOCK_WAIT_S, clock: DatabaseClock | None = None) -> Lease:
        """Take the lock.

        Args:
            database_url: of the database.
            timeout: seconds to wait for a holder that is just ending.
            clock: reads the database's time with each renewal; None: nobody needs it.

        Raises:
            LeaseHeld: another session holds it; the message names the session.
            DatabaseUnavailable: the database does not answer.
            DatabaseUnsuitable: a pooler stands between, and gives this process no session of its own.
        """
        with translated():
            connection = open_own_session(database_url)
        deadline = time.monotonic() + timeout
        try:
            with translated():
                while not _lock(connection, database_url):
                    if time.monotonic() >= deadline:
                        raise LeaseHeld(_held_by(connection, database_url))
                    threading.Event().wait(0.05)
        except BaseException:
            connection.close()
            raise
        return cls(database_url, connection, clock)

    def begin_epoch(self, version: str = "", settings: Mapping[str, object] | None = None) -> Epoch:
        """Commit the next epoch, so that no earlier holder can write any more; the schema must exist.

        Args:
            version: of the program, stored with the epoch; empty if it does not matter, as in a test.
            settings: stored with the epoch; values that JSON can hold, and no secrets.
        """
        process = {"holder": holder_name(), "version": version, "settings": Jsonb(dict(settings or {}))}
        return retrying(RetryPolicy((DatabaseBusy,), limit_s=EPOCH_WAIT_S))(lambda: self._begin_epoch(process))

    def _begin_epoch(self, process: Mapping[str, object]) -> Epoch:
        with translated():
            self.epoch = Epoch(*one_row(self._connection, BEGIN, process))
            self._renew()
        return self.epoch

    @property
    def held(self) -> bool:
        """Whether this process holds the lock, as far as it knows; without it nothing is written."""
        return self._held.is_set()

    @property
    def renewed_ago(self) -> float | None:
        """Seconds since the last renewal; None before the first one."""
        return None if self._renewed is None else time.monotonic() - self._renewed

    def require(self) -> None:
        """Raise unless this process holds the lock.

        Raises:
            DatabaseUnavailable: the lease's connection is lost.
        """
        if not self.held:
            raise DatabaseUnavailable(LOST_MESSAGE)

    def keep(self, on_lost: Callable[[str], None], notify: Notify) -> None:
        """Renew in a thread.

        Args:
            on_lost: called once, with a message, when another process has taken over.
            notify: sends an alarm when the connection is lost, and one when the lease is back.
        """
        keep, lost = lambda: self._keep(on_lost, notify), lambda error: self._failed(error, notify)
        self._keeper = WorkerThread("lease", keep, lost, finish=self._renew_and_unlock)
        self._keeper.start(RENEWAL_INTERVAL_S)

    def release(self) -> None:
        """Release the lock; it is free on return unless the database does not answer.

        A renewal that takes long, as behind a lock of another session, is cancelled. A connection that hangs is left to
        its daemon thread.
        """
        if self._keeper is None:
            self._keeper = WorkerThread("lease", lambda: None, finish=self._unlock)
            self._keeper.start()
        if not self._keeper.stop(RELEASE_WAIT_S):
            with suppress(psycopg.Error):
                self._connection.cancel_safe(timeout=RELEASE_WAIT_S)
            self._keeper.stop(RELEASE_WAIT_S)

    def _renew_and_unlock(self) -> None:
        if self._held.is_set():
            with suppress(psycopg.Error):
                self._renew()  # this process served until now
        self._unlock()

    def _unlock(self) -> None:
        # After a mere close the server process keeps the lock until it notices that its client is gone.
        with suppress(psycopg.Error):
            self._connection.execute("SELECT pg_advisory_unlock_all()")
        self._close()

    def _close(self) -> None:
        with suppress(psycopg.Error):
            self._connection.close()

    def _renew(self) -> None:
        renewing = "UPDATE paper_lease_renewal SET renewed_at = paper_now() RETURNING renewed_at"
        row = self._connection.execute(renewing).fetchone()
        self._renewed = time.monotonic()
        # Last, and in a transaction of its own: a lock on paper_uptime must not prevent the renewal of the lease.
        if row is not None:
            self._uptime.grow(self._connection, self.epoch, row[0])
        if self._clock is not None:
            self._clock.read(lambda: one_row(self._connection, NOW)[0])

    def _keep(self, on_lost: Callable[[str], None], notify: Notify) -> float | None:
        """Renew the lease, or take it back; return the pause, or None if another process has it."""
        if self._held.is_set():
            self._renew()
            self.failures.recovered()
            return RENEWAL_INTERVAL_S
        if (taken_by := self._retake()) is not None:
            on_lost(taken_by)
            return None
        self.failures.recovered(REGAINED_MESSAGE)
        notify(AlarmKind.LEASE_LOST, REGAINED_MESSAGE, over=True)
        return 0.0  # renew at once, so that the gap in the stored uptime is no longer than the outage

    def _failed(self, error: Exception, notify: Notify) -> float:
        if self._held.is_set() and is_statement_error(error, self._connection):
            # The session still has the lock; another session locks the row, or the database is read-only.
            self.failures.raised("the lease cannot be renewed at the moment", error)
            return RETRY_INTERVAL_S
        if self._held.is_set():
            self.failures.recovered()
            notify(AlarmKind.LEASE_LOST, f"{LOST_MESSAGE}: {first_line(error)}")
        self._held.clear()
        self.failures.raised(LOST_MESSAGE, error)
        return RETRY_INTERVAL_S

    def _retake(self) -> str | None:
        """Connect and lock again; return None on success, or a message about the new holder."""
        self._close()
        self._connection = open_own_session(self._url)
        locked = _lock(self._connection, self._url)
        row = self._connection.execute("SELECT epoch FROM paper_lease").fetchone()
        if row is not None and row[0] == self.epoch:
            if locked:
                self._session = _session_of(self._connection)
                self._held.set()
                return None
            # The server has not noticed that this process's old connection is gone, as where a tunnel cut its own side
            # alone. Only that session is ended, and it is of the same role, which may do so.
            self._connection.execute(END_SESSION, self._session)
            raise psycopg.OperationalError("the lock is still taken, by the same epoch")
        return f"{current_holder(self._connection, schema_of(self._url))} has taken over the database"


@contextmanager
def writing(engine: Engine, lease: Lease, writes: str = "") -> Iterator[psycopg.Cursor]:
    """Run a transaction that writes only while this process's epoch is the current one; see `transaction`.

    Raises:
        Fenced: another process holds the lease now; nothing was written.
        DatabaseUnavailable: the database, or the lease's own connection, is lost.
    """
    lease.require()
    with transaction(engine, writes) as cursor:
        if not cursor.execute("SELECT 1 FROM paper_lease WHERE epoch = %s FOR SHARE", [lease.epoch]).fetchone():
            raise Fenced(f"epoch {lease.epoch} does not write any more, another process holds the lease")
        yield cursor


def open_own_session(database_url: str) -> Session:
    """Connect with a session of the server that is this connection's alone, since locks belong to a session.

    Raises:
        DatabaseUnsuitable: a pooler gives no such session.
    """
    connection = connect(database_url, "lease", writer=WRITER, **TIME_LIMITS)
    try:
        if not has_own_session(connection, lambda: connect(database_url, "lease check")):
            raise DatabaseUnsuitable(OWN_SESSION_NEEDED)
    except BaseException:
        connection.close()
        raise
    return connection


def _session_of(connection: Session) -> tuple[int, object]:
    """Return process id and start of the connection's session on the server, which no later session shares."""
    statement = "SELECT pid, backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid()"
    pid, start = one_row(connection, statement)
    return pid, start


def _lock(connection: psycopg.Connection, database_url: str) -> bool:
    return bool(one_row(connection, "SELECT pg_try_advisory_lock(%s)", [lock_key(database_url)])[0])


def _held_by(connection: psycopg.Connection, database_url: str) -> str:
    """Return a message about the session with the lock: the serving process, or a session that renews no lease."""
    schema = schema_of(database_url)
    row = connection.execute(LOCKED_BY.format(key="%s"), [lock_key(database_url)]).fetchone()
    session = row[0] if row is not None else None
    if session is not None and OWN_SESSION not in session:
        last = _last_renewal(connection, schema)
        if last is None or last[1]:
            served = "nothing has served it yet" if last is None else f"{last[0]} does not serve it any more"
            address = display_address(database_url)
            return (
                f"{session} holds the lock of the database {address}, and is no service: {served}; "
                f"end that session, as with SELECT pg_terminate_backend({session.split()[1]})"
            )
    return f"{current_holder(connection, schema)} serves the database {display_address(database_url)} already"


def _last_renewal(connection: psycopg.Connection, schema: str) -> tuple[str, bool] | None:
    """Return the last process that served and whether its lease has expired; None if none ever served."""
    lease, renewal = (sql.Identifier(schema, name) for name in ("paper_lease", "paper_lease_renewal"))
    # Not by paper_now(): the schema may be an earlier one, which has no such function.
    statement = sql.SQL(
        "SELECT holder, renewed_at <= clock_timestamp() - %s * interval '1 second' FROM {}, {} WHERE epoch > 0"
    ).format(lease, renewal)
    with suppress(*NO_TABLE):
        return connection.execute(statement, [LEASE_TIMEOUT_S]).fetchone()
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
