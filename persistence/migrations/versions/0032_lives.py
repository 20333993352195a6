"""Runs ``sql/0032_lives.sql``."""

from __future__ import annotations

from persistence.migrations.runner import run_file

revision = "0032_lives"
down_revision = "0031_storage"


def upgrade() -> None:
    """Go forward."""
    run_file("0032_lives.sql")
