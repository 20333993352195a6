"""Databases as earlier versions of the program left them, and how a test gets one.

``VERSION.sql.gz`` is what pg_dump wrote (``--format=plain --inserts``) after that version had served for some seconds
at simulated prices. Names of host, process and user, paths and the date are replaced; nothing else is.
"""

from __future__ import annotations

import gzip
from pathlib import Path

import psycopg

FOLDER = Path(__file__).parent


def restore(url: str, version: str) -> None:
    """Fill an empty database with the dump of a version."""
    script = gzip.decompress((FOLDER / f"{version}.sql.gz").read_bytes())
    with psycopg.connect(url) as connection:
        connection.execute(script)
