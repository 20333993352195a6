"""The sizes of the program's tables, with their indexes, and the chunks of hypertables."""

from __future__ import annotations

from collections.abc import Collection

import psycopg
from psycopg import sql

from persistence.rows import one_row

SIZES = """
SELECT c.relname, pg_total_relation_size(c.oid) + coalesce(
    (SELECT sum(pg_total_relation_size(i.inhrelid)) FROM pg_inherits i WHERE i.inhparent = c.oid), 0)::bigint
FROM pg_class c
WHERE c.relnamespace = current_schema()::regnamespace AND c.relname = ANY(%s) AND c.relkind IN ('r', 'p')
ORDER BY 1
"""
"""Chunks inherit from their hypertable."""
EXTENSION = """
SELECT n.nspname FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'timescaledb'
"""
HYPERTABLES = """
SELECT h.hypertable_name::text, {}.hypertable_size(format('%%I.%%I', h.hypertable_schema, h.hypertable_name)::regclass)
FROM timescaledb_information.hypertables h
WHERE h.hypertable_schema = current_schema() AND h.hypertable_name::text = ANY(%s)
"""
"""Where chunks are compressed, their data lie in other tables, which only this function knows."""
DATABASE = "SELECT pg_database_size(current_database())"


def timescale_schema(cursor: psycopg.Cursor) -> str | None:
    """Return the schema of the extension TimescaleDB; None where the database has none."""
    row = cursor.execute(EXTENSION).fetchone()
    return None if row is None else str(row[0])


def table_sizes(cursor: psycopg.Cursor, tables: Collection[str]) -> tuple[int, dict[str, int]]:
    """Return the size of the whole database, and that of each table of this schema, in bytes.

    It reads the sizes of files, not their content: some milliseconds.

    Args:
        cursor: of a transaction.
        tables: their names; one that does not exist is left out.
    """
    names = sorted(tables)
    sizes: dict[str, int] = dict(cursor.execute(SIZES, [names]).fetchall())
    if (schema := timescale_schema(cursor)) is not None:
        sizes.update(cursor.execute(sql.SQL(HYPERTABLES).format(sql.Identifier(schema)), [names]).fetchall())
    return one_row(cursor, DATABASE)[0], sizes
