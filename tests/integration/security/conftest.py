"""The databases of these tests have the newest schema from the start."""

from __future__ import annotations

from tests.support.database.upgraded import database_url, embedded_url

__all__ = ["database_url", "embedded_url"]
