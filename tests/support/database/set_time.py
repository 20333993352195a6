"""The database's time, set by its owner as docs/database.md describes it."""

from __future__ import annotations

from datetime import datetime, timedelta

import psycopg
from psycopg import sql

REAL = sql.SQL("greatest(transaction_timestamp(), statement_timestamp())")
SET = sql.SQL("CREATE OR REPLACE FUNCTION paper_now() RETURNS timestamptz LANGUAGE sql STABLE PARALLEL SAFE RETURN {}")


def set_time(owner: psycopg.Connection, time: datetime | timedelta | None) -> None:
    """Have `paper_now()` return a fixed time, the real one and a span of time, or with None the real one again."""
    match time:
        case None:
            body: sql.Composable = REAL
        case datetime():
            body = sql.Literal(time)
        case timedelta():
            body = sql.SQL("{} + {}").format(REAL, sql.Literal(time))
    owner.execute(SET.format(body))
