"""The database's time, as it is, or set by its owner as docs/database.md describes it."""

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


def database_time(url: str) -> datetime:
    """Return the time by which the program judges what is now; the machine's clock may differ."""
    with psycopg.connect(url) as session:
        row = session.execute("SELECT paper_now()").fetchone()
    assert row is not None
    return row[0]  # type: ignore[no-any-return]
