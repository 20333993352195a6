"""Runs ``sql/0029_account_requests.sql``."""

from __future__ import annotations

from persistence.migrations.runner import run_file

revision = "0029_account_requests"
down_revision = "0028_allow_foreign"


def upgrade() -> None:
    """Go forward."""
    run_file("0029_account_requests.sql")
