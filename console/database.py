"""The database as commands find it: configured, or embedded and started for the moment."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from actors.settings import Settings
from domain.errors import LeaseHeld
from persistence import schema
from persistence.connections import PUBLIC, display_address, with_schema
from persistence.embedded.server import EmbeddedServer
from persistence.lease import Lease
from persistence.queries.row_lists import LedgerReader


@contextmanager
def connected(settings: Settings) -> Iterator[str]:
    """Yield the database's URL; an embedded server runs while it is used, longer if somebody else is attached."""
    if settings.url is not None:
        yield with_schema(settings.url, settings.database_schema)
        return
    server = EmbeddedServer.attach(settings.home)
    try:
        yield with_schema(server.url, settings.database_schema)
    finally:
        server.release()


@contextmanager
def opened(settings: Settings) -> Iterator[str]:
    """Yield the URL of the database, which has this program's schema."""
    with connected(settings) as url:
        ensure_schema(url)
        yield url


@contextmanager
def ledger_reader(settings: Settings) -> Iterator[LedgerReader]:
    """Yield the database, for reading."""
    with opened(settings) as url:
        reader = LedgerReader(url)
        try:
            yield reader
        finally:
            reader.close()


def ensure_schema(url: str) -> None:
    """Bring the database to this program's schema, under the lease, unless it has it.

    Raises:
        LeaseHeld: another program serves it, with another schema.
    """
    if not schema.is_current(url):
        try:
            lease = Lease.take(url)
        except LeaseHeld:
            if schema.is_current(url):  # that other process has just made it
                return
            raise
        try:
            schema.upgrade(url)
        finally:
            lease.release()


def described(settings: Settings, url: str) -> str:
    """Return where the database is, for a person: never with user or password."""
    place = f"embedded, in {settings.home}" if settings.url is None else display_address(url)
    return place if settings.database_schema == PUBLIC else f"{place}, schema {settings.database_schema}"
