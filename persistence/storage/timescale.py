"""TimescaleDB, where the database has it: hypertables, old chunks of prices, and compression."""

from __future__ import annotations

from datetime import datetime

import psycopg
from loguru import logger
from psycopg import sql
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from persistence.error_translation import first_line

COMMUNITY = "timescale"
"""The value of ``timescaledb.license`` of the edition that compresses; the other one is ``apache``."""
COMPRESS_AFTER_DAYS = 8
LICENSE = "SELECT current_setting('timescaledb.license', true)"
COMPRESSED = """
SELECT compression_enabled FROM timescaledb_information.hypertables
WHERE hypertable_schema = current_schema() AND hypertable_name = 'market_prices'
"""
# The rows of one symbol and source lie together.
COMPRESS = """
ALTER TABLE market_prices SET (timescaledb.compress, timescaledb.compress_segmentby = 'symbol, source',
                               timescaledb.compress_orderby = 'time')
"""
ADD_POLICY = f"""
SELECT {{}}.add_compression_policy('market_prices', INTERVAL '{COMPRESS_AFTER_DAYS} days', if_not_exists => true)
"""
"""A job of the server compresses; it is no thread of this program."""
EXTENSION = """
SELECT quote_ident(n.nspname) FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
WHERE e.extname = 'timescaledb'
"""
IS_HYPERTABLE = """
SELECT EXISTS (SELECT FROM timescaledb_information.hypertables
               WHERE hypertable_schema = current_schema() AND hypertable_name = 'market_prices')
"""
IS_OWNER = """
SELECT pg_has_role(current_user, relowner, 'USAGE') FROM pg_class
WHERE relname = 'market_prices' AND relnamespace = CAST(current_schema() AS regnamespace)
"""
DROP_CHUNKS = "SELECT count(*) FROM {}.drop_chunks('market_prices', older_than => %s)"


def adopt_timescale(connection: Connection, statements: str) -> None:
    """Make hypertables where the extension can be loaded, and compress old prices where its license allows it.

    Args:
        connection: outside of a transaction.
        statements: the text of ``sql/timescale.sql``.
    """
    preloaded = connection.execute(text("SELECT current_setting('timescaledb.disable_load', true)")).scalar()
    is_owner = connection.execute(text(IS_OWNER)).scalar()
    connection.rollback()
    if preloaded is None or not is_owner:
        return  # the owner of the tables does it
    try:
        with connection.begin():
            connection.exec_driver_sql(statements, execution_options={"no_parameters": True})
    except DBAPIError as error:
        if isinstance(error.orig, psycopg.errors.InsufficientPrivilege):
            reason = first_line(error.orig)
            logger.warning("TimescaleDB is installed, but this role may not use it ({}); using ordinary tables", reason)
            return
        raise
    _compress(connection)


def _compress(connection: Connection) -> None:
    """Let the server compress prices after some days; where it cannot, say so and go on."""
    license_ = connection.execute(text(LICENSE)).scalar()
    enabled = connection.execute(text(COMPRESSED)).scalar()
    extension = connection.execute(text(EXTENSION)).scalar()
    connection.rollback()
    if enabled or enabled is None:  # or no hypertable
        return
    if license_ != COMMUNITY:
        logger.info("market_prices is not compressed: TimescaleDB runs under the license {}, without it", license_)
        return
    try:
        with connection.begin():
            connection.exec_driver_sql(COMPRESS)
            connection.exec_driver_sql(ADD_POLICY.format(extension))
    except DBAPIError as error:
        logger.warning("market_prices is not compressed: {}", first_line(error.orig or error))


def drop_old_prices(cursor: psycopg.Cursor, before: datetime) -> int | None:
    """Drop the chunks of prices that are older than a time as a whole; return how many.

    A chunk that is younger in part stays. None where prices lie in an ordinary table, or this role may not drop chunks.
    """
    row = cursor.execute(EXTENSION).fetchone()
    if row is None or not _one(cursor, IS_HYPERTABLE):
        return None
    try:
        with cursor.connection.transaction():  # a savepoint
            dropped = cursor.execute(sql.SQL(DROP_CHUNKS).format(sql.SQL(row[0])), [before]).fetchone()
    except psycopg.errors.InsufficientPrivilege:
        return None
    return int(dropped[0]) if dropped is not None else 0


def _one(cursor: psycopg.Cursor, statement: str) -> bool:
    row = cursor.execute(statement).fetchone()
    return row is not None and bool(row[0])
