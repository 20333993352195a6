"""Runs ``sql/0026_freshness.sql``."""

from __future__ import annotations

from persistence.migrations.runner import run_file

revision = "0026_freshness"
down_revision = "0025_smallest_amounts"


def upgrade() -> None:
    """Go forward."""
    run_file("0026_freshness.sql")
