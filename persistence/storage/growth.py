"""How large the database is, and how fast it grows, for people and programs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import psycopg
from sqlalchemy.engine import Engine

from persistence import schema
from persistence.connections import transaction
from persistence.rows import one_row
from persistence.storage.sizes import table_sizes

MIN_SPAN = timedelta(hours=1)
"""A shorter time says nothing about a day."""
USUAL_SPAN = timedelta(hours=25)
"""The growth is that since the oldest sample of this time, about a day."""

# The oldest sample of the last day; after a pause, the newest one before it.
BASE = """
SELECT at, tables FROM paper_storage_samples WHERE at = coalesce(
    (SELECT min(at) FROM paper_storage_samples WHERE at BETWEEN %(now)s - %(usual)s AND %(now)s - %(least)s),
    (SELECT max(at) FROM paper_storage_samples WHERE at < %(now)s - %(usual)s))
"""
THINNED = "SELECT paper_now(), (SELECT coalesce(sum(removed), 0)::bigint FROM paper_thinned_prices)"


@dataclass(frozen=True, slots=True)
class Storage:
    """The size of the database. All sizes are bytes, tables with their indexes.

    Attributes:
        bytes: of the program's tables.
        database_bytes: of the whole database, with what else is in it.
        bytes_per_day: by how much the tables grow; negative where they shrink; None where it is not known yet.
        since: when the measurement of the growth began; None where there is none.
        tables: bytes by table, the largest first.
        tables_per_day: growth by table, in the same order; empty where it is not known yet.
        thinned_prices: rows of ``market_prices`` that were removed by thinning, up to now.
    """

    bytes: int
    database_bytes: int
    bytes_per_day: int | None
    since: datetime | None
    tables: Mapping[str, int]
    tables_per_day: Mapping[str, int] = field(default_factory=dict)
    thinned_prices: int = 0


def storage(engine: Engine) -> Storage:
    """Return the size of the database now, and its growth since a day ago.

    Raises:
        DatabaseUnavailable: the database does not answer.
    """
    with transaction(engine) as cursor:
        return read_storage(cursor)


def read_storage(cursor: psycopg.Cursor) -> Storage:
    """Return the size of the database within a transaction; see `storage`."""
    now, thinned = one_row(cursor, THINNED)
    database, sizes = table_sizes(cursor, schema.own_tables())
    tables = dict(sorted(sizes.items(), key=lambda item: (-item[1], item[0])))
    base = cursor.execute(BASE, {"now": now, "least": MIN_SPAN, "usual": USUAL_SPAN}).fetchone()
    total = sum(tables.values())
    if base is None:
        return Storage(total, database, None, None, tables, thinned_prices=thinned)
    at, before = base
    days = (now - at) / timedelta(days=1)
    per_day = {name: round((size - int(before.get(name, 0))) / days) for name, size in tables.items()}
    grown = total - sum(int(before.get(name, 0)) for name in tables)
    return Storage(total, database, round(grown / days), at, tables, per_day, thinned)
