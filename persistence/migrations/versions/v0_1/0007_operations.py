"""Runs ``sql/0007_operations.sql``."""

from __future__ import annotations

from persistence.migrations.runner import run_file

revision = "0007_operations"
down_revision = "0006_halts"


def upgrade() -> None:
    """Go forward."""
    run_file("0007_operations.sql")
