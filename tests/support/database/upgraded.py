"""Databases that have the newest schema from the start, for folders of tests that are not about the schema.

A ``conftest.py`` imports both fixtures, which take the place of the empty databases of ``tests/conftest.py``. A test
server copies one database for all: that costs less than an empty one and an upgrade.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from persistence import schema
from tests.support.database.server import Server


def upgraded(server: Server) -> Iterator[str]:
    """A database with the newest schema, dropped after the test."""
    yield from until_the_end(server, server.prepared_database(schema.upgrade))


def until_the_end(server: Server, url: str) -> Iterator[str]:
    """Lend a database to a test, and drop it afterwards."""
    yield url
    server.start()  # nothing, unless the test stopped it
    server.drop_database(url)


@pytest.fixture
def database_url(server: Server) -> Iterator[str]:
    """A database on `server`."""
    yield from upgraded(server)


@pytest.fixture
def embedded_url(embedded_server: Server) -> Iterator[str]:
    """A database on `embedded_server`."""
    yield from upgraded(embedded_server)
