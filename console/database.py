"""Database of a command: the configured one, or the embedded one, which is started for the command if needed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager

from actors.settings import Settings
from domain.errors import LeaseBlocked, LeaseHeld, NotRunning, RightMissing
from domain.program import command_name
from domain.validation.progress import Progress
from persistence import schema
from persistence.connections import pool, probe
from persistence.embedded.server import EmbeddedServer, running
from persistence.error_translation import translated
from persistence.lease import Lease, open_own_session
from persistence.queries.row_lists import LedgerReader
from persistence.queries.validation import open_progress
from persistence.roles.urls import warn_of_own_user
from persistence.sessions.address import PUBLIC, display_address, parse_url, with_schema


def has_database(settings: Settings) -> bool:
    """Return whether there is a database; the first start makes an embedded one."""
    return settings.url is not None or (settings.home / "postgres").exists()


def require_database(settings: Settings) -> None:
    """Raise `NotRunning` unless there is a database."""
    if not has_database(settings):
        msg = f"The service is not running, and home {settings.home} has no database"
        raise NotRunning(f"{msg}; start it with `{command_name()} start`")


def running_url(settings: Settings) -> str | None:
    """Return the database's URL; None for an embedded one whose server does not run, which nothing starts here."""
    if settings.url is not None:
        return with_schema(settings.url, settings.database_schema)
    if not running(settings.home):
        return None
    return with_schema(EmbeddedServer(settings.home.resolve()).url, settings.database_schema)


@contextmanager
def connected(settings: Settings, *, take_over: bool = False) -> Iterator[str]:
    """Yield the database's URL; an embedded server stops afterwards, unless another process uses it.

    Args:
        settings: name the database.
        take_over: bring embedded data of an earlier major version of PostgreSQL over; else they are refused.
    """
    if settings.url is not None:
        warn_of_own_user(settings.url)
        with _naming_role(settings.url):
            yield with_schema(settings.url, settings.database_schema)
        return
    server = EmbeddedServer.attach(settings.home, settings.postgres_bin, take_over=take_over)
    try:
        yield with_schema(server.url, settings.database_schema)
    finally:
        server.release(spare_sessions=True)


@contextmanager
def _naming_role(url: str) -> Iterator[None]:
    """Add to the error about a right that is missing whose right it is, and who has it."""
    try:
        yield
    except RightMissing as error:
        role = parse_url(url).get("user") or "of this database"
        detail = error.reason or str(error)
        msg = (
            f"role {role} may not do this ({detail}): ask the owner of the database, or use the URL of a role that may"
        )
        raise RightMissing(msg) from error


@contextmanager
def opened(settings: Settings) -> Iterator[str]:
    """Yield the URL of the database, upgraded to this program's schema."""
    with connected(settings) as url:
        ensure_schema(url)
        yield url


@contextmanager
def ledger_reader(settings: Settings) -> Iterator[LedgerReader]:
    """Yield a reader of the ledger."""
    with opened(settings) as url, closing(LedgerReader(url)) as reader:
        yield reader


def validation_progress(url: str) -> list[Progress]:
    """Return how far each open validation run of a database is."""
    with pool(url, "validation") as engine:
        return open_progress(engine)


def ensure_schema(url: str) -> None:
    """Upgrade the database to this program's schema, under the lease, unless it is up to date.

    Raises:
        LeaseHeld: a process with another schema serves it.
        DatabaseUnsuitable: the role of the URL may not upgrade it.
    """
    if not schema.is_current(url):
        schema.require_may_upgrade(url)
        try:
            lease = Lease.take(url)
        except LeaseHeld as error:
            if schema.is_current(url):  # another process has just upgraded it
                return
            raise of_older_tables(error) from None
        try:
            schema.upgrade(url)
        finally:
            lease.release()


def of_older_tables(error: LeaseHeld) -> LeaseHeld:
    """Return the error of a command that needs newer tables than those that the running service has."""
    if isinstance(error, LeaseBlocked):
        return error  # no service runs
    return LeaseHeld(
        f"{error}. Its tables are older than this program: stop that one and start this one, which upgrades them"
    )


def require_usable(url: str) -> str:
    """Raise the error with which a start would refuse the database, and change nothing; return the server's version.

    Args:
        url: of the database.

    Raises:
        DatabaseUnsuitable: the program cannot use it.
        DatabaseUnavailable: it does not answer.
    """
    server = probe(url)
    with translated(), open_own_session(url):
        pass
    if schema.is_current(url):
        schema.rehearse(url)
        return server
    try:
        lease = Lease.take(url)
    except LeaseHeld:  # a service of another version, whose tables are not to be locked
        return server
    try:
        schema.rehearse(url)
    finally:
        lease.release()
    return server


def database_label(settings: Settings, url: str) -> str:
    """Return the place of the database for people, without user and password."""
    place = f"embedded, in {settings.home}" if settings.url is None else display_address(url)
    return place if settings.database_schema == PUBLIC else f"{place}, schema {settings.database_schema}"
