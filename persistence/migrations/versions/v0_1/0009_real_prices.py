"""Runs ``sql/0009_real_prices.sql``."""

from __future__ import annotations

from persistence.migrations.runner import run_file

revision = "0009_real_prices"
down_revision = "0008_validation"


def upgrade() -> None:
    """Go forward."""
    run_file("0009_real_prices.sql")
