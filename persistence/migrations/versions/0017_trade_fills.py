"""Runs ``sql/0017_trade_fills.sql``."""

from __future__ import annotations

from alembic import op

from persistence.migrations.dependent_views import require_no_views_on
from persistence.migrations.runner import run_file

revision = "0017_trade_fills"
down_revision = "0016_price_seconds"


def upgrade() -> None:
    """Go forward."""
    require_no_views_on(op.get_bind(), "paper_trades", "fill_no", ["v_paper_ledger_check"])
    run_file("0017_trade_fills.sql")
