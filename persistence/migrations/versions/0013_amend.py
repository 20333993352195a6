"""Runs ``sql/0013_amend.sql``."""

from __future__ import annotations

from persistence.migrations.runner import run_file

revision = "0013_amend"
down_revision = "0012_trailing"


def upgrade() -> None:
    """Go forward."""
    run_file("0013_amend.sql")
