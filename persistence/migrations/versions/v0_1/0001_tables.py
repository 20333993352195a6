"""Runs ``sql/0001_tables.sql`` and ``sql/0001_decisions.sql``, or adopts the table of decisions that is there."""

from __future__ import annotations

from alembic import op

from persistence import adoption
from persistence.migrations.runner import run_file

revision = "0001_tables"
down_revision = None


def upgrade() -> None:
    """Go forward."""
    run_file("0001_tables.sql")
    if adoption.exists(op.get_bind()):
        adoption.adopt(op.get_bind())
    else:
        run_file("0001_decisions.sql")
