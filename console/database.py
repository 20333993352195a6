"""The database as commands find it: configured, or embedded and started for the moment; and ``run.py db``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import typer

from actors.settings import Settings
from console.options import AsJson, DatabaseUrl, Home, LogLevel, quiet_settings
from console.output import answer
from domain.errors import LeaseHeld
from persistence import schema
from persistence.embedded import EmbeddedServer, running
from persistence.engine import PUBLIC, dsn, probe, shown, with_schema
from persistence.lease import Lease
from persistence.queries import Books

app = typer.Typer(rich_markup_mode=None)


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
def books(settings: Settings) -> Iterator[Books]:
    """Yield the database, for reading."""
    with opened(settings) as url:
        reader = Books(url)
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
    place = f"embedded, in {settings.home}" if settings.url is None else shown(url)
    return place if settings.database_schema == PUBLIC else f"{place}, schema {settings.database_schema}"


@app.command()
def upgrade(
    as_json: AsJson = False,
    home: Home = None,
    database_url: DatabaseUrl = None,
    log_level: LogLevel = None,
) -> None:
    """Bring the database to this program's schema; a second time changes nothing.

    The start does the same. While another instance serves the database, nothing is changed.
    """
    settings = quiet_settings("INFO", home=home, database_url=database_url, log_level=log_level)
    with connected(settings) as url:
        try:
            lease = Lease.take(url)
        except LeaseHeld:
            if not schema.is_current(url):
                raise
            version = schema.newest_version()
        else:
            try:
                version = schema.upgrade(url)
            finally:
                lease.release()
        found = {"schema": version, "database": described(settings, url), "server": probe(url)}
    answer(as_json, found, lambda: print("{database}: schema {schema}, {server}".format(**found)))  # noqa: T201


@app.command("url")
def show_url(
    as_json: AsJson = False,
    home: Home = None,
    database_url: DatabaseUrl = None,
    log_level: LogLevel = None,
) -> None:
    r"""Print the database's URL, as psql takes it.

    \b
      psql "$(run.py db url)" -c "SELECT * FROM v_paper_ledger_check"

    A configured URL is printed whole, its password included: no other command shows it, and no log holds it. The
    embedded database has no password; it can be reached while something runs.
    """
    settings = quiet_settings(home=home, database_url=database_url, log_level=log_level)
    if settings.url is not None:
        url = dsn(with_schema(settings.url, settings.database_schema))
    else:
        url = with_schema(EmbeddedServer(settings.home.resolve()).url, settings.database_schema)
        if not running(settings.home):
            typer.echo(f"The embedded database in {settings.home} does not run now; run.py start starts it.", err=True)
    answer(as_json, {"url": url}, lambda: print(url))  # noqa: T201
