"""Runs ``sql/0018_legs.sql``."""

from __future__ import annotations

from alembic import op

from persistence.migrations.dependent_views import require_no_views_on
from persistence.migrations.runner import run_file

revision = "0018_legs"
down_revision = "0017_trade_fills"


def upgrade() -> None:
    """Go forward."""
    require_no_views_on(op.get_bind(), "paper_orders", "leg", ["v_paper_ledger_check"])
    run_file("0018_legs.sql")
