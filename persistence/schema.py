"""Brings a database to the schema of ``sql/``: versioned files by alembic, then ``timescale.sql`` where it applies."""

from __future__ import annotations

from importlib import resources

import psycopg
from alembic import command, op
from alembic.config import Config
from alembic.script import ScriptDirectory
from loguru import logger
from sqlalchemy import Connection, text

from domain.errors import DatabaseUnsuitable
from persistence.engine import engine_for, first_line, shown, translated

VERSION_TABLE = "paper_schema_version"


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", "persistence:migrations")
    return config


def read_file(name: str) -> str:
    """Return the text of a file of ``sql/``."""
    return resources.files("sql").joinpath(name).read_text(encoding="utf-8")


def run_file(name: str) -> None:
    """Run a file of ``sql/`` inside alembic's transaction."""
    # Without this option % and :x in the files would be taken for parameters.
    op.get_bind().exec_driver_sql(read_file(name), execution_options={"no_parameters": True})


def newest_version() -> str:
    """Return the schema version that this program brings."""
    head = ScriptDirectory.from_config(_config()).get_current_head()
    assert head is not None
    return head


def current_version(connection: Connection) -> str | None:
    """Return the schema version of a database, None if it has none yet."""
    if connection.execute(text("SELECT to_regclass(:name)"), {"name": VERSION_TABLE}).scalar() is None:
        return None
    version = connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar()
    return None if version is None else str(version)


def is_current(database_url: str) -> bool:
    """Say whether the database has this program's schema.

    Raises:
        DatabaseUnsuitable: its schema is newer than the program.
    """
    engine = engine_for(database_url, "schema")
    try:
        with translated(), engine.connect() as connection:
            return _check(current_version(connection), database_url) == newest_version()
    finally:
        engine.dispose()


def upgrade(database_url: str) -> str:
    """Bring the database to this program's schema; to be called under the lease. Twice changes nothing.

    Returns:
        The schema version it has now.

    Raises:
        DatabaseUnsuitable: its schema is newer than the program, or the role may not create tables.
    """
    engine = engine_for(database_url, "schema")
    try:
        with translated(), engine.connect() as connection:
            with connection.begin():
                if _check(current_version(connection), database_url) != newest_version():
                    config = _config()
                    config.attributes["connection"] = connection
                    command.upgrade(config, "head")
            _adopt_timescale(connection)
            return newest_version()
    finally:
        engine.dispose()


def _check(version: str | None, database_url: str) -> str | None:
    known = {script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()}
    if version is not None and version not in known:
        msg = (
            f"the database {shown(database_url)} has schema {version}, which is newer than this program's "
            f"{newest_version()}; use the newer program"
        )
        raise DatabaseUnsuitable(msg)
    return version


def _adopt_timescale(connection: Connection) -> None:
    preloaded = connection.execute(text("SELECT current_setting('timescaledb.disable_load', true)")).scalar()
    connection.rollback()
    if preloaded is None:
        return
    try:
        with connection.begin():
            connection.exec_driver_sql(read_file("timescale.sql"), execution_options={"no_parameters": True})
    except Exception as error:
        cause = getattr(error, "orig", None)
        if isinstance(cause, psycopg.errors.InsufficientPrivilege):
            logger.warning(
                "TimescaleDB is there, but this role may not use it ({}); ordinary tables are used", first_line(cause)
            )
            return
        raise
