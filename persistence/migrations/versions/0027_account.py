"""Runs ``sql/0027_account.sql``."""

from __future__ import annotations

from persistence.migrations.runner import run_file

revision = "0027_account"
down_revision = "0026_freshness"


def upgrade() -> None:
    """Go forward."""
    run_file("0027_account.sql")
