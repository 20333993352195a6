"""Runs ``sql/0021_since_at.sql``."""

from __future__ import annotations

from persistence.migrations.runner import run_file

revision = "0021_since_at"
down_revision = "0020_day"


def upgrade() -> None:
    """Go forward."""
    run_file("0021_since_at.sql")
