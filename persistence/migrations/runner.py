"""Runs the migrations with alembic, in the transaction of `persistence.schema`."""

from __future__ import annotations

from alembic import command, op
from alembic.config import Config
from sqlalchemy import Connection

from persistence.schema import read_file


def config_for(connection: Connection, schema: str) -> Config:
    """Return the configuration of alembic.

    Args:
        connection: with an open transaction.
        schema: of the tables.
    """
    config = Config()
    config.set_main_option("script_location", "persistence:migrations")
    config.attributes.update(connection=connection, schema=schema)
    return config


def run(connection: Connection, schema: str) -> None:
    """Run each migration that the schema does not have yet."""
    command.upgrade(config_for(connection, schema), "head")


def run_file(name: str) -> None:
    """Run a file of ``sql/`` inside alembic's transaction."""
    # Without this option SQLAlchemy would take % and :x in the files for parameters.
    op.get_bind().exec_driver_sql(read_file(name), execution_options={"no_parameters": True})
