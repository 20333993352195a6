"""Runs ``sql/0019_protect.sql``."""

from __future__ import annotations

from persistence.migrations.runner import run_file

revision = "0019_protect"
down_revision = "0018_legs"


def upgrade() -> None:
    """Go forward."""
    run_file("0019_protect.sql")
