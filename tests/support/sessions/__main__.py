"""Writes domain/trading/sessions/table.py: ``python -m tests.support.sessions``."""

from __future__ import annotations

from tests.support.sessions.table import TABLE, text

TABLE.write_text(text(), encoding="utf-8")
