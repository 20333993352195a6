"""Runs ``sql/0028_allow_foreign.sql``."""

from __future__ import annotations

from persistence.migrations.runner import run_file

revision = "0028_allow_foreign"
down_revision = "0027_account"


def upgrade() -> None:
    """Go forward."""
    run_file("0028_allow_foreign.sql")
