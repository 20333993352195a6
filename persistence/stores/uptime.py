"""The times in which a process served: spans in ``paper_uptime``, which grow with each renewal of the lease."""

from __future__ import annotations

from datetime import datetime, timedelta

import psycopg
from psycopg import sql

from domain.types import Epoch
from persistence.error_translation import is_statement_error
from persistence.log_once import LogErrorsOnce

MAX_RENEWAL_GAP = timedelta(seconds=10)
"""A new span begins after a longer gap between renewals, or after the clock was set back by more."""

# One statement, one transaction, with short time limits: the lease's thread renews nothing while it waits here.
# A process whose epoch is over does not serve, even before it knows.
GROW = """
SELECT set_config('lock_timeout', '200ms', true), set_config('statement_timeout', '1s', true);
INSERT INTO paper_uptime (epoch, since, until)
SELECT epoch, {since}, greatest({since}, {until}) FROM paper_lease WHERE epoch = {epoch}
ON CONFLICT (epoch, since) DO UPDATE SET until = greatest(paper_uptime.until, excluded.until)
"""


class Uptime:
    """The current span of a process, kept in memory, so that a later renewal stores what could not be stored."""

    def __init__(self) -> None:
        self._since: datetime | None = None
        self._renewed: datetime | None = None
        self._failures = LogErrorsOnce()

    def grow(self, connection: psycopg.Connection, epoch: Epoch, now: datetime) -> None:
        """Store that the process served up to ``now``; if the database refuses, the next renewal stores it.

        Args:
            connection: of the lease, in autocommit mode, with the Supervisor as writer.
            epoch: of the process.
            now: time of the renewal, by the database's clock.

        Raises:
            psycopg.Error: the connection is lost.
        """
        if self._since is None or self._renewed is None or abs(now - self._renewed) > MAX_RENEWAL_GAP:
            self._since = now
        self._renewed = now
        values = {"epoch": epoch, "since": self._since, "until": now}
        statement = sql.SQL(GROW).format(**{name: sql.Literal(value) for name, value in values.items()})
        try:
            connection.execute(statement, prepare=False)
        except psycopg.Error as error:
            if not is_statement_error(error, connection):
                raise
            self._failures.raised("the uptime cannot be stored at the moment", error)
        else:
            self._failures.recovered()
