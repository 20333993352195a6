"""Runs ``sql/0020_day.sql``."""

from __future__ import annotations

from persistence.migrations.runner import run_file

revision = "0020_day"
down_revision = "0019_protect"


def upgrade() -> None:
    """Go forward."""
    run_file("0020_day.sql")
