"""Runs ``sql/0022_audit_halts.sql``."""

from __future__ import annotations

from persistence.migrations.runner import run_file

revision = "0022_audit_halts"
down_revision = "0021_since_at"


def upgrade() -> None:
    """Go forward."""
    run_file("0022_audit_halts.sql")
