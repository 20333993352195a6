"""The lease: one process serves a database.

The process whose session is entered in ``paper_lease_renewal``, on a connection of its own, may write; see
`persistence.lease_session`. Every writing transaction also checks the epoch, so that a process which lost the lease
without noticing writes nothing. A renewal updates a row of its own and waits for no transaction. The rows of
``paper_processes`` are evidence only; the program decides nothing by them.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress

import psycopg
from loguru import logger
from psycopg.types.json import Jsonb
from sqlalchemy import Engine

from domain.alarms import AlarmKind, Notify
from domain.clocks.database_clock import DatabaseClock
from domain.errors import DatabaseBusy, DatabaseUnavailable, DatabaseUnsuitable, Fenced
from domain.retry_policy import RetryPolicy
from domain.types import Epoch
from domain.worker_thread import WorkerThread
from persistence.connections import connect, transaction
from persistence.error_translation import first_line, is_statement_error, translated
from persistence.lease_session import PART, ROW_LOCKED, LeaseSession, current_holder
from persistence.log_once import LogErrorsOnce
from persistence.retry import retrying
from persistence.rows import one_row
from persistence.sessions.address import schema_of
from persistence.sessions.session import OWN_SESSION_NEEDED, Session, has_own_session
from persistence.stores.uptime import Uptime

LOCK_WAIT_S = 2.0
"""How long `Lease.take` waits for the lease of a process that has just died."""
EPOCH_WAIT_S = 30.0
"""How long `Lease.begin_epoch` waits for a transaction of the last holder that is still open."""
RENEWAL_INTERVAL_S = 5.0
TIME_LIMITS = {"keepalives_idle": 3, "keepalives_count": 2, "tcp_user_timeout": 7_000, "answer_limit": 20.0}
"""Parameters of the connection: it is lost 7 s after a renewal that nobody acknowledges, so that 3 s are left of the
15 s after which this process has the lease again. One that is acknowledged and not answered is lost as soon as the
server says so (`persistence.sessions.answers`), or else after 20 s: its disk may take long."""
WRITER = "Supervisor"
"""The writer's name that the triggers in ``sql/`` demand for the lease's tables."""
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
RENEW = "UPDATE paper_lease_renewal SET renewed_at = paper_now(), serving = true RETURNING renewed_at"
END_SESSION = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid = %s AND backend_start = %s"

__all__ = ["Lease", "holder_name", "open_own_session", "writing"]


def holder_name() -> str:
    """Return the name of this process as holder of the lease."""
    return f"process {os.getpid()} on {socket.gethostname()}"


class Lease:
    """The lease of this process, from `take` to `release`.

    Args:
        database_url: of the database.
        connection: whose session has the lease.
        session: that session, entered.
        clock: reads the database's time with each renewal; None: nobody needs it.

    Attributes:
        epoch: of this process; 0 before `begin_epoch`.
        failures: of the thread that renews it.
    """

    def __init__(
        self, database_url: str, connection: Session, session: LeaseSession, clock: DatabaseClock | None = None
    ) -> None:
        self.epoch = Epoch(0)
        self.failures = LogErrorsOnce()
        self._url = database_url
        self._connection = connection
        self._session = session
        self._identity = _identity_of(connection)
        self._uptime = Uptime()
        self._clock = clock
        self._renewed: float | None = None
        self._held = threading.Event()
        self._held.set()
        self._keeper: WorkerThread | None = None

    @classmethod
    def take(cls, database_url: str, timeout: float = LOCK_WAIT_S, clock: DatabaseClock | None = None) -> Lease:
        """Take the lease.

        Args:
            database_url: of the database.
            timeout: seconds to wait for a holder that is just ending.
            clock: reads the database's time with each renewal; None: nobody needs it.

        Raises:
            LeaseHeld: another process serves the database; the message names it. `LeaseBlocked`: another session has
                the lease, and is no service that runs.
            DatabaseUnavailable: the database does not answer.
            DatabaseUnsuitable: a pooler stands between, and gives this process no session of its own.
        """
        with translated():
            connection = open_own_session(database_url)
        session, deadline = LeaseSession(connection, database_url), time.monotonic() + timeout
        try:
            with translated():
                while (obstacle := session.enter()) is not None:
                    if time.monotonic() >= deadline:
                        raise session.held_error(obstacle)
                    threading.Event().wait(0.05)
                taken = cls(database_url, connection, session, clock)
        except BaseException:
            connection.close()
            raise
        if session.ignored is not None:
            logger.warning(
                "{} holds the advisory lock with which earlier versions of this program exclude each other; it is no"
                " service, so it is ignored",
                session.ignored,
            )
        return taken

    def begin_epoch(self, version: str = "", settings: Mapping[str, object] | None = None) -> Epoch:
        """Commit the next epoch, so that no earlier holder can write any more; the schema must exist.

        Args:
            version: of the program, stored with the epoch; empty if it does not matter, as in a test.
            settings: stored with the epoch; values that JSON can hold, and no secrets.

        Raises:
            LeaseHeld: the schema is new, and another process was faster.
        """
        process = {"holder": holder_name(), "version": version, "settings": Jsonb(dict(settings or {}))}
        return retrying(RetryPolicy((DatabaseBusy,), limit_s=EPOCH_WAIT_S))(lambda: self._begin_epoch(process))

    def _begin_epoch(self, process: Mapping[str, object]) -> Epoch:
        with translated():
            # When the lease was taken, there was perhaps no table yet that could name this session.
            if (obstacle := self._session.enter()) is not None:
                if obstacle.session is ROW_LOCKED:
                    raise DatabaseBusy(obstacle.session)
                raise self._session.held_error(obstacle)
            self.epoch = Epoch(*one_row(self._connection, BEGIN, process))
            self._renew()
        return self.epoch

    @property
    def held(self) -> bool:
        """Whether this process holds the lease, as far as it knows; without it nothing is written."""
        return self._held.is_set()

    @property
    def renewed_ago(self) -> float | None:
        """Seconds since the last renewal; None before the first one."""
        return None if self._renewed is None else time.monotonic() - self._renewed

    def require(self) -> None:
        """Raise unless this process holds the lease.

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
        self._keeper = WorkerThread("lease", keep, lost, finish=self._renew_and_leave)
        self._keeper.start(RENEWAL_INTERVAL_S)

    def release(self) -> None:
        """Release the lease; it is free on return unless the database does not answer.

        A renewal that takes long, as behind a lock of another session, is cancelled. A connection that hangs is left to
        its daemon thread.
        """
        if self._keeper is None:
            self._keeper = WorkerThread("lease", lambda: None, finish=self._leave)
            self._keeper.start()
        if not self._keeper.stop(RELEASE_WAIT_S):
            with suppress(psycopg.Error):
                self._connection.cancel_safe(timeout=RELEASE_WAIT_S)
            self._keeper.stop(RELEASE_WAIT_S)

    def _renew_and_leave(self) -> None:
        if self._held.is_set():
            with suppress(psycopg.Error):
                self._renew()  # this process served until now
        self._leave()

    def _leave(self) -> None:
        self._session.leave()
        self._close()

    def _close(self) -> None:
        with suppress(psycopg.Error):
            self._connection.close()

    def _renew(self) -> None:
        row = self._connection.execute(RENEW).fetchone()
        self._renewed = time.monotonic()
        # Last, and in a transaction of its own: a lock on paper_uptime must not prevent the renewal of the lease.
        if row is not None:
            self._uptime.grow(self._connection, self.epoch, row[0])
        if self._clock is not None:
            self._clock.read(lambda: one_row(self._connection, NOW)[0])
        self._session.lock()

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
            # The session still has the lease; another session locks the row, or the database is read-only.
            self.failures.raised("the lease cannot be renewed at the moment", error)
            return RETRY_INTERVAL_S
        if self._held.is_set():
            self.failures.recovered()
            notify(AlarmKind.LEASE_LOST, f"{LOST_MESSAGE}: {first_line(error)}")
        self._held.clear()
        self.failures.raised(LOST_MESSAGE, error)
        return RETRY_INTERVAL_S

    def _retake(self) -> str | None:
        """Connect and enter the new session; return None on success, or a message about the new holder."""
        self._close()
        self._connection = open_own_session(self._url)
        self._session = LeaseSession(self._connection, self._url)
        obstacle = self._session.enter()
        row = self._connection.execute("SELECT epoch FROM paper_lease").fetchone()
        if row is None or row[0] != self.epoch:
            return f"{current_holder(self._connection, schema_of(self._url))} has taken over the database"
        if obstacle is not None:
            # The server has not noticed that this process's old connection is gone, as where a tunnel cut its own side
            # alone. Only that session is ended, and it is of the same role, which may do so.
            self._connection.execute(END_SESSION, self._identity)
            raise psycopg.OperationalError("the lease is still taken, by the same epoch")
        self._identity = _identity_of(self._connection)
        self._held.set()
        return None


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
    """Connect with a session of the server that is this connection's alone, since the lease belongs to a session.

    Raises:
        DatabaseUnsuitable: a pooler gives no such session.
    """
    connection = connect(database_url, PART, writer=WRITER, **TIME_LIMITS)
    try:
        if not has_own_session(connection, lambda: connect(database_url, "lease check")):
            raise DatabaseUnsuitable(OWN_SESSION_NEEDED)
    except BaseException:
        connection.close()
        raise
    return connection


def _identity_of(connection: Session) -> tuple[int, object]:
    """Return process id and start of the connection's session on the server, which no later session shares."""
    statement = "SELECT pid, backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid()"
    pid, start = one_row(connection, statement)
    return pid, start
