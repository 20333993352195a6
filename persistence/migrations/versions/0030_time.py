"""Runs ``sql/0030_time.sql``."""

from __future__ import annotations

from persistence.migrations.runner import run_file

revision = "0030_time"
down_revision = "0029_account_requests"


def upgrade() -> None:
    """Go forward."""
    run_file("0030_time.sql")
