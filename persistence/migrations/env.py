"""Alembic's environment script; the connection comes from `persistence.schema`, whose caller holds the lease."""

from __future__ import annotations

from alembic import context

context.configure(
    connection=context.config.attributes["connection"],
    version_table="paper_schema_version",
    # Without it alembic would accept the version table of another schema in the search path.
    version_table_schema=context.config.attributes["schema"],
)
with context.begin_transaction():
    context.run_migrations()
