"""Runs ``sql/0018_protect.sql``."""

from __future__ import annotations

from persistence.migrations.runner import run_file

revision = "0018_protect"
down_revision = "0017_trade_fills"


def upgrade() -> None:
    """Go forward."""
    run_file("0018_protect.sql")
