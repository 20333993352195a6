"""Runs ``sql/0012_trailing.sql``; the table of decisions may be one that was adopted."""

from __future__ import annotations

from alembic import op

from persistence import adoption
from persistence.migrations.runner import run_file

revision = "0012_trailing"
down_revision = "0011_orders"


def upgrade() -> None:
    """Go forward."""
    adoption.require_order_columns(op.get_bind(), adoption.TRAILING_COLUMNS)
    run_file("0012_trailing.sql")
