"""Runs the migrations with alembic, and after them ``sql/views/``, in the transaction of `persistence.schema`."""

from __future__ import annotations

import psycopg
from alembic import command, op
from alembic.config import Config
from sqlalchemy import Connection

from persistence.migrations import kept_rights
from persistence.roles.registry import grant_all
from persistence.schema import newest_version, read_file, view_files


def config_for(connection: Connection, schema: str) -> Config:
    """Return the configuration of alembic.

    Args:
        connection: with an open transaction.
        schema: of the tables.
    """
    config = Config()
    config.set_main_option("script_location", "persistence:migrations")
    config.set_main_option("recursive_version_locations", "true")
    config.attributes.update(connection=connection, schema=schema)
    return config


def run(connection: Connection, schema: str) -> None:
    """Run each migration that the schema does not have yet, and give the views their present definitions.

    A view that a migration dropped is made anew, with the rights and comments that it had. The roles of
    `run.py db role` get their rights on what is new.
    """
    kept = kept_rights.find(connection)
    command.upgrade(config_for(connection, schema), "head")
    for name in view_files():
        _execute(connection, name)
    kept_rights.restore(connection, kept)
    driver = connection.connection.driver_connection
    assert isinstance(driver, psycopg.Connection)
    with driver.cursor() as cursor:
        grant_all(cursor, schema)


def run_to(connection: Connection, schema: str, version: str) -> None:
    """Make the objects of a version in an empty schema; the newest version has its views, too.

    Args:
        connection: with an open transaction, and the schema first in its search path.
        schema: of the tables.
        version: of the schema.
    """
    command.upgrade(config_for(connection, schema), version)
    if version == newest_version():
        for name in view_files():
            _execute(connection, name)


def run_file(name: str) -> None:
    """Run a file of ``sql/`` inside alembic's transaction."""
    _execute(op.get_bind(), name)


def _execute(connection: Connection, name: str) -> None:
    # Without this option SQLAlchemy would take % and :x in the files for parameters.
    connection.exec_driver_sql(read_file(name), execution_options={"no_parameters": True})
