"""Runs ``sql/0025_smallest_amounts.sql``."""

from __future__ import annotations

from persistence.migrations.runner import run_file

revision = "0025_smallest_amounts"
down_revision = "0024_order_of_checks"


def upgrade() -> None:
    """Go forward."""
    run_file("0025_smallest_amounts.sql")
