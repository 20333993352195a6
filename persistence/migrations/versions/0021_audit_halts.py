"""Runs ``sql/0021_audit_halts.sql``."""

from __future__ import annotations

from persistence.migrations.runner import run_file

revision = "0021_audit_halts"
down_revision = "0020_day"


def upgrade() -> None:
    """Go forward."""
    run_file("0021_audit_halts.sql")
