"""Databases that have the newest schema."""

from __future__ import annotations

from tests.support.database.upgraded import database_url as database_url  # noqa: PLC0414
from tests.support.database.upgraded import embedded_url as embedded_url  # noqa: PLC0414
