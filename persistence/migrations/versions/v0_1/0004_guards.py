"""Runs ``sql/0004_guards.sql``."""

from __future__ import annotations

from persistence.migrations.runner import run_file

revision = "0004_guards"
down_revision = "0003_views"


def upgrade() -> None:
    """Go forward."""
    run_file("0004_guards.sql")
