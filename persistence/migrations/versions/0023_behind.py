"""Runs ``sql/0023_behind.sql``."""

from __future__ import annotations

from persistence.migrations.runner import run_file

revision = "0023_behind"
down_revision = "0022_audit_halts"


def upgrade() -> None:
    """Go forward."""
    run_file("0023_behind.sql")
