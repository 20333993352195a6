"""Runs ``sql/0036_turns.sql``."""

from __future__ import annotations

from persistence.migrations.runner import run_file

revision = "0036_turns"
down_revision = "0035_roles"


def upgrade() -> None:
    """Go forward."""
    run_file("0036_turns.sql")
