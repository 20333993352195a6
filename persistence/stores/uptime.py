"""When a process served: spans in ``paper_uptime``, which grow as its lease is renewed."""

from __future__ import annotations

from datetime import datetime, timedelta

import psycopg
from psycopg import sql

from domain.types import Epoch
from persistence.error_translation import is_statement_error
from persistence.log_once import LogErrorsOnce

MAX_RENEWAL_GAP = timedelta(seconds=10)
"""A new span begins where more than this has passed since the last renewal, or where the clock was set back by more."""

# One round trip, one transaction. The lease's thread renews nothing while it waits here, so it does not wait long.
# A process whose epoch is over does not serve, even while nobody has told it yet.
GROW = """
SELECT set_config('lock_timeout', '200ms', true), set_config('statement_timeout', '1s', true);
INSERT INTO paper_uptime (epoch, since, until)
SELECT epoch, {since}, greatest({since}, {until}) FROM paper_lease WHERE epoch = {epoch}
ON CONFLICT (epoch, since) DO UPDATE SET until = greatest(paper_uptime.until, excluded.until)
"""


class Uptime:
    """The present span of a process. It is remembered, so that what could not be stored is stored later."""

    def __init__(self) -> None:
        self._since: datetime | None = None
        self._renewed: datetime | None = None
        self._failures = LogErrorsOnce()

    def grow(self, connection: psycopg.Connection, epoch: Epoch, now: datetime) -> None:
        """Store that the process served up to ``now``; where the database says no, the next renewal stores it.

        Args:
            connection: the lease's, in autocommit; its writer is the Supervisor.
            epoch: of the process.
            now: when the lease was renewed, by the database's clock.

        Raises:
            psycopg.Error: the connection is lost.
        """
        if self._since is None or self._renewed is None or abs(now - self._renewed) > MAX_RENEWAL_GAP:
            self._since = now
        self._renewed = now
        values = {"epoch": epoch, "since": self._since, "until": now}
        statement = sql.SQL(GROW).format(**{name: sql.Literal(each) for name, each in values.items()})
        try:
            connection.execute(statement, prepare=False)
        except psycopg.Error as error:
            if not is_statement_error(error, connection):
                raise
            self._failures.raised("how long the program has been up cannot be stored at the moment", error)
        else:
            self._failures.recovered()
