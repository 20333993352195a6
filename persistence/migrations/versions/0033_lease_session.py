"""Runs ``sql/0033_lease_session.sql``."""

from __future__ import annotations

from persistence.migrations.runner import run_file

revision = "0033_lease_session"
down_revision = "0032_lives"


def upgrade() -> None:
    """Go forward."""
    run_file("0033_lease_session.sql")
