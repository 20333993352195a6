"""Runs ``sql/0008_validation.sql``."""

from __future__ import annotations

from persistence.migrations.runner import run_file

revision = "0008_validation"
down_revision = "0007_operations"


def upgrade() -> None:
    """Go forward."""
    run_file("0008_validation.sql")
