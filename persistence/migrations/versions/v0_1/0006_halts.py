"""Runs ``sql/0006_halts.sql``."""

from __future__ import annotations

from persistence.migrations.runner import run_file

revision = "0006_halts"
down_revision = "0005_failures"


def upgrade() -> None:
    """Go forward."""
    run_file("0006_halts.sql")
