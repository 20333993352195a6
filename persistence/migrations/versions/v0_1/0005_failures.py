"""Runs ``sql/0005_failures.sql``."""

from __future__ import annotations

from persistence.migrations.runner import run_file

revision = "0005_failures"
down_revision = "0004_guards"


def upgrade() -> None:
    """Go forward."""
    run_file("0005_failures.sql")
