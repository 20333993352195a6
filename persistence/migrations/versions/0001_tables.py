"""Runs ``sql/0001_tables.sql``."""

from __future__ import annotations

from persistence.schema import run_file

revision = "0001_tables"
down_revision = None


def upgrade() -> None:
    """Go forward."""
    run_file("0001_tables.sql")
