"""Runs ``sql/0010_price_rule.sql``."""

from __future__ import annotations

from persistence.migrations.runner import run_file

revision = "0010_price_rule"
down_revision = "0009_real_prices"


def upgrade() -> None:
    """Go forward."""
    run_file("0010_price_rule.sql")
