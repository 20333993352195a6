"""Runs ``sql/0015_amend_trail.sql``."""

from __future__ import annotations

from persistence.migrations.runner import run_file

revision = "0015_amend_trail"
down_revision = "0014_settlement"


def upgrade() -> None:
    """Go forward."""
    run_file("0015_amend_trail.sql")
