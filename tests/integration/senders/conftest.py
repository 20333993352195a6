"""The databases of these tests have the newest schema from the start, and a role has the rights that a test gives."""

from __future__ import annotations

from tests.integration.persistence.test_rights import role
from tests.support.database.upgraded import database_url, embedded_url

__all__ = ["database_url", "embedded_url", "role"]
