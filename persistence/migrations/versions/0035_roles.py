"""Runs ``sql/0035_roles.sql``."""

from __future__ import annotations

from persistence.migrations.runner import run_file

revision = "0035_roles"
down_revision = "0034_senders"


def upgrade() -> None:
    """Go forward."""
    run_file("0035_roles.sql")
