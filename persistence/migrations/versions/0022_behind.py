"""Runs ``sql/0022_behind.sql``."""

from __future__ import annotations

from persistence.migrations.runner import run_file

revision = "0022_behind"
down_revision = "0021_since_at"


def upgrade() -> None:
    """Go forward."""
    run_file("0022_behind.sql")
