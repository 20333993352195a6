"""Watch over the answers of the database: it ends connections on which none can come any more.

A tunnel or a proxy may stop passing bytes on and keep its connections open. It acknowledges whatever is sent, so that
neither TCP's keepalives nor its time limits notice anything, and a statement would wait for ever. A time limit on the
statement would end slow ones, too. So the server is asked, on a new connection, what it does for a session that waits:
if it has answered, or waits for the client itself, the connection is dead.
"""

from __future__ import annotations

import os
import socket
import time
from contextlib import suppress
from types import TracebackType
from typing import Self

import psycopg
from loguru import logger

from domain.worker_thread import WorkerThread
from persistence.connections import connect
from persistence.sessions.address import dsn
from persistence.sessions.session import Session, waiting_sessions

CHECK_INTERVAL_S = 1.0
"""A session is dead only if it waits at two checks without a sign of life between them."""
SILENT_AFTER_S = 3.0
"""From so long a wait without a sign of life on the server is asked."""
ALARMED_CHECK_INTERVAL_S, ALARMED_SILENT_AFTER_S, ALARM_S = 0.25, 1.0, 60.0
"""The same after a dead connection, and for how long: all that went the same way are dead, too."""
PAUSE_S = 3.0
"""After a check in which the server was still at work for all, as in a slow statement."""
ANSWER_LIMIT_S = 5.0

# A session of another server, as after a failover, is not there. A session that waits for its client reads or writes.
DEAD = """
SELECT w.pid, CASE WHEN a.pid IS NOT NULL THEN pg_terminate_backend(a.pid) END
FROM unnest(%(pids)s::int[], %(silent)s::float8[]) AS w (pid, silent)
LEFT JOIN pg_stat_activity a ON a.pid = w.pid AND a.datname = current_database()
      AND a.backend_start < clock_timestamp() - w.silent * interval '1 second'
WHERE a.pid IS NULL OR a.state_change < clock_timestamp() - w.silent / 2 * interval '1 second'
      AND (a.state <> 'active' OR a.wait_event_type = 'Client')
"""


class AnswerWatch:
    """A thread that ends dead connections of this process with a database, from `__enter__` to `__exit__`.

    A thread that waits on one gets the error of a lost connection. Its session on the server is ended, too, so that it
    holds no locks.

    Args:
        database_url: of the connections.
    """

    def __init__(self, database_url: str) -> None:
        self._url = database_url
        self._conninfo = dsn(database_url)
        self._silent: dict[int, float] = {}  # by id of the session: its last sign of life, as of the last check
        self._alarmed_until = 0.0
        self._worker = WorkerThread("answers", self._check, self._failed)

    def __enter__(self) -> Self:
        self._worker.start(CHECK_INTERVAL_S)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._worker.stop(timeout=0.0)  # a check may itself wait for the server

    def _check(self) -> float:
        now = time.monotonic()
        alarmed = now < self._alarmed_until
        silent_after = ALARMED_SILENT_AFTER_S if alarmed else SILENT_AFTER_S
        waiting = [
            (session, since)
            for session, since in waiting_sessions()
            if now - since > silent_after and session.address == self._conninfo and session.own_pid is not None
        ]
        before, self._silent = self._silent, {id(session): since for session, since in waiting}
        silent = [(session, since) for session, since in waiting if before.get(id(session)) == since]
        if silent and not self._end_dead(silent):
            return PAUSE_S
        return ALARMED_CHECK_INTERVAL_S if alarmed else CHECK_INTERVAL_S

    def _end_dead(self, silent: list[tuple[Session, float]]) -> bool:
        """End the dead ones of these sessions; return whether there was one."""
        now = time.monotonic()
        with connect(self._url, "answers", answer_limit=ANSWER_LIMIT_S) as connection:
            # A URL may name several servers.
            silent = [(one, since) for one, since in silent if _server_of(one) == _server_of(connection)]
            pids, times = [session.own_pid for session, _ in silent], [now - since for _, since in silent]
            dead = {pid for pid, _ in connection.execute(DEAD, {"pids": pids, "silent": times})}
        for session, since in silent:
            if session.own_pid in dead and _shut(session, since):
                logger.warning(
                    "{} got no answer for {:.0f} s, and the server has none for it: its connection is lost",
                    session.part, now - since,
                )  # fmt: skip
        if dead:
            self._alarmed_until = now + ALARM_S
        return bool(dead)

    def _failed(self, error: Exception) -> float:
        logger.debug("cannot ask the server for its sessions: {!r}", error)
        return CHECK_INTERVAL_S


def _server_of(session: Session) -> tuple[str, int] | None:
    with suppress(psycopg.Error):  # it has just been closed
        return session.info.host, session.info.port
    return None


def _shut(session: Session, since: float) -> bool:
    """End the connection under a session that still waits since then, and return whether it did."""
    with suppress(OSError, psycopg.Error):
        duplicate = socket.socket(fileno=os.dup(session.pgconn.socket))
        try:
            # After the duplication: had the session closed its own, the number might be another's by now.
            if session.waiting_since == since:
                duplicate.shutdown(socket.SHUT_RDWR)
                return True
        finally:
            duplicate.close()
    return False
