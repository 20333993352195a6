"""Runs ``sql/0003_views.sql``."""

from __future__ import annotations

from persistence.migrations.runner import run_file

revision = "0003_views"
down_revision = "0002_triggers"


def upgrade() -> None:
    """Go forward."""
    run_file("0003_views.sql")
