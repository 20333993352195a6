"""A database for one run of the benchmarks, thrown away after it, and connections to it."""

from __future__ import annotations

import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from psycopg import sql

from benchmarks.decisions import CAPITAL
from persistence import connections, schema
from persistence.embedded.server import EmbeddedServer
from persistence.sessions.address import make_url, parse_url
from persistence.stores import portfolios


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """Make a folder, and remove it afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="paper-bench-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def temporary_database(server_url: str | None, folder: Path) -> Iterator[str]:
    """Give out the URL of a new database: on an embedded server under ``folder``, or beside ``server_url``."""
    if server_url is None:
        server = EmbeddedServer.attach(folder)
        try:
            yield server.url
        finally:
            server.release()
        return
    name = f"paper_bench_{secrets.token_hex(4)}"
    with connect(server_url) as connection:
        # template1 may hold an extension that only a superuser may touch.
        connection.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(name)))
    try:
        yield make_url(parse_url(server_url) | {"dbname": name})
    finally:
        with connect(server_url) as connection:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def prepare(database_url: str, names: list[str]) -> None:
    """Make the tables, and rich portfolios of these names."""
    schema.upgrade(database_url)
    for name in names:
        portfolios.create(database_url, name, {"initial_capital": CAPITAL})


def connect(database_url: str, *, writer: str | None = None) -> psycopg.Connection:
    """Open a connection that commits each statement."""
    return connections.connect(database_url, "benchmark", writer=writer)
