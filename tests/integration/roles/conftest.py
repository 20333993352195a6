"""The databases of these tests have the newest schema from the start, and can have roles."""

from __future__ import annotations

from tests.support.database.roles import role_maker
from tests.support.database.upgraded import database_url, embedded_url

__all__ = ["database_url", "embedded_url", "role_maker"]
