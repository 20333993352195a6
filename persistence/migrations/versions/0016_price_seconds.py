"""Runs ``sql/0016_price_seconds.sql``."""

from __future__ import annotations

from persistence.migrations.runner import run_file

revision = "0016_price_seconds"
down_revision = "0015_amend_trail"


def upgrade() -> None:
    """Go forward."""
    run_file("0016_price_seconds.sql")
