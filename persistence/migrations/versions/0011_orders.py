"""Runs ``sql/0011_orders.sql``; the table of decisions may be one that was adopted."""

from __future__ import annotations

from alembic import op

from persistence import adoption
from persistence.migrations.dependent_views import require_no_views_on
from persistence.migrations.runner import run_file

revision = "0011_orders"
down_revision = "0010_price_rule"


def upgrade() -> None:
    """Go forward."""
    adoption.require_order_columns(op.get_bind())
    require_no_views_on(op.get_bind(), "paper_fills", "fill_no", ["v_paper_ledger_check", "v_paper_fill_sources"])
    run_file("0011_orders.sql")
