"""Runs ``sql/0037_research_trials.sql``."""

from __future__ import annotations

from persistence.migrations.runner import run_file

revision = "0037_research_trials"
down_revision = "0036_turns"


def upgrade() -> None:
    """Go forward."""
    run_file("0037_research_trials.sql")
