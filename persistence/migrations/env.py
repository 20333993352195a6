"""What alembic runs: the connection comes from `persistence.schema`, which holds the lease."""

from __future__ import annotations

from alembic import context

context.configure(connection=context.config.attributes["connection"], version_table="paper_schema_version")
with context.begin_transaction():
    context.run_migrations()
