"""Runs ``sql/0014_settlement.sql``."""

from __future__ import annotations

from persistence.migrations.runner import run_file

revision = "0014_settlement"
down_revision = "0013_amend"


def upgrade() -> None:
    """Go forward."""
    run_file("0014_settlement.sql")
