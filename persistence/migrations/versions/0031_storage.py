"""Runs ``sql/0031_storage.sql``."""

from __future__ import annotations

from persistence.migrations.runner import run_file

revision = "0031_storage"
down_revision = "0030_time"


def upgrade() -> None:
    """Go forward."""
    run_file("0031_storage.sql")
