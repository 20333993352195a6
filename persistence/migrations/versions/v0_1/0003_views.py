"""Runs nothing: the views that it made are in ``sql/views/``, which `persistence.migrations.runner` runs at the end."""

from __future__ import annotations

revision = "0003_views"
down_revision = "0002_triggers"


def upgrade() -> None:
    """Go forward."""
