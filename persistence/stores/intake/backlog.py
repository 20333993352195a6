"""Rows that a table of decisions had before its adoption, sent as new decisions."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID, uuid5

import psycopg
from loguru import logger
from psycopg import sql

from domain.program import command_name
from domain.wording import counted
from persistence.adoption import REASON, TABLE, WRITTEN_BY_PROGRAM
from persistence.connections import session
from persistence.sessions.address import schema_of

OLD_ROWS = f"""
SELECT id, uid, %(max_age)s::interval IS NOT NULL
       AND coalesce(created_at::timestamptz < paper_now() - %(max_age)s::interval, true)
FROM {TABLE} WHERE status = 'ignored' AND outcome_reason = %(reason)s ORDER BY created_at, id
"""
"""Each with whether it is too old; one that states no time is, where there is a limit."""


@dataclass(frozen=True, slots=True)
class Backlog:
    """What became of the rows that had no copy yet.

    Attributes:
        inserted: copies of them.
        refused: left out because the table's constraints refuse them.
        too_old: left out because they are older than allowed, or state no time.
    """

    inserted: int
    refused: int
    too_old: int


def include_backlog(database_url: str, max_age: timedelta) -> Backlog:
    """Insert copies of the rows from before adoption as new, pending decisions; each row is copied once.

    The ``created_at`` of a copy is the time of its insertion, from which `max_decision_age` counts.

    Args:
        database_url: of the database.
        max_age: rows that are older are left out; 0: none is.
    """
    inserted = refused = too_old = 0
    with session(database_url, "backlog") as cursor:
        # To psycopg a % within a name begins a placeholder.
        names = [sql.Identifier(name.replace("%", "%%")) for name in _copied(cursor, schema_of(database_url))]
        copy = sql.SQL(
            # It grows from statement to statement, so that the copies are traded in the order of the rows.
            "INSERT INTO trading_decisions (uid, created_at, {0})"
            " SELECT %s, paper_now(), {0} FROM trading_decisions WHERE id = %s"
        ).format(sql.SQL(", ").join(names))
        old = cursor.execute(OLD_ROWS, {"max_age": max_age or None, "reason": REASON}).fetchall()
        copies = [uuid5(uid, "backlog") for _, uid, _ in old]
        existing = {
            row[0]
            for row in cursor.execute("SELECT uid FROM trading_decisions WHERE uid = ANY(%s)", [copies]).fetchall()
        }
        for (id_, _, is_too_old), uid in zip(old, copies, strict=True):
            if uid in existing:
                continue
            if is_too_old:
                too_old += 1
            elif _copy(cursor, copy, uid, id_):
                inserted += 1
            else:
                refused += 1
    logger.info("backlog: {} decisions from before adoption are now pending, {} were refused", inserted, refused)
    if too_old:
        number = counted(too_old, "decision from before adoption is", "decisions from before adoption are")
        trade = f"`{command_name()} start --include-backlog --max-age 7d` trades those of the last seven days"
        logger.warning("backlog: {} older than {:g} s, and left out; {}", number, max_age.total_seconds(), trade)
    return Backlog(inserted, refused, too_old)


def _copy(cursor: psycopg.Cursor, statement: sql.Composed, uid: UUID, id_: object) -> bool:
    try:
        with cursor.connection.transaction():
            return cursor.execute(statement, [uid, id_]).rowcount == 1
    except (psycopg.IntegrityError, psycopg.DataError, psycopg.errors.RaiseException) as error:
        logger.debug("decision {} from before adoption is left out: {}", id_, error)
        return False


def _copied(cursor: psycopg.Cursor, schema: str) -> list[str]:
    """Return the columns that are copied: neither those that the program writes nor those of a unique index."""
    return [
        row[0]
        for row in cursor.execute(
            "SELECT a.attname FROM pg_attribute a WHERE a.attrelid = format('%%I.%%I', %s::text, %s::text)::regclass"
            " AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '' AND a.attidentity = ''"
            " AND a.attname <> ALL(%s) AND (a.attnotnull AND NOT a.atthasdef OR NOT EXISTS ("
            "     SELECT FROM pg_index i"
            "     WHERE i.indrelid = a.attrelid AND i.indisunique AND a.attnum = ANY(i.indkey)))",
            [schema, TABLE, ["id", "created_at", *WRITTEN_BY_PROGRAM]],
        ).fetchall()
    ]
