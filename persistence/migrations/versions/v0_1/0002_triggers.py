"""Runs ``sql/0002_triggers.sql``."""

from __future__ import annotations

from persistence.migrations.runner import run_file

revision = "0002_triggers"
down_revision = "0001_tables"


def upgrade() -> None:
    """Go forward."""
    run_file("0002_triggers.sql")
