"""Runs ``sql/0024_order_of_checks.sql``."""

from __future__ import annotations

from persistence.migrations.runner import run_file

revision = "0024_order_of_checks"
down_revision = "0023_behind"


def upgrade() -> None:
    """Go forward."""
    run_file("0024_order_of_checks.sql")
