"""Runs ``sql/0034_senders.sql``."""

from __future__ import annotations

from alembic import op

from persistence.adoption import require_free_names
from persistence.migrations.runner import run_file

revision = "0034_senders"
down_revision = "0033_lease_session"


def upgrade() -> None:
    """Go forward."""
    require_free_names(op.get_bind(), ("sent_by", "received_at"))
    run_file("0034_senders.sql")
