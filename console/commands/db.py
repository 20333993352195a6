"""``run.py db``: back up and restore the embedded database, upgrade a database, print its URL."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from actors.settings import Settings
from console.database import connected, database_label
from console.display.format import answer, size
from console.options import AsJson, DatabaseUrl, Home, LogLevel, quiet_settings
from domain.errors import BackupRefused, LeaseHeld, PaperTradingError, SettingsError
from domain.program import command_name
from persistence import schema
from persistence.connections import dsn, probe, with_schema
from persistence.embedded import backup as backups
from persistence.embedded import restore as restores
from persistence.embedded.backup_file import BackupFile
from persistence.embedded.server import EmbeddedServer, running
from persistence.lease import Lease

app = typer.Typer(rich_markup_mode=None)
BackupPath = Annotated[str, typer.Argument(metavar="FILE", help="The backup, one file.")]


@app.command()
def backup(
    file: BackupPath,
    force: Annotated[bool, typer.Option("--force", help="Replace FILE if it is there already.")] = False,
    as_json: AsJson = False,
    home: Home = None,
    log_level: LogLevel = None,
) -> None:
    r"""Write everything that the embedded database holds into FILE, as it is at one moment; a service may go on.

    \b
      run.py db backup ~/paper-2026-01-31.backup

    FILE gets its name when it is complete; only its owner may read it. With a database_url use that server's pg_dump.
    """
    settings = quiet_settings(home=home, log_level=log_level)
    with _embedded(settings, must_exist=True) as server:
        made = backups.back_up(server.admin_url, Path(file).expanduser(), overwrite=force)
    found = {"file": str(made.file), "bytes": made.size, **_counted(made.contents)}
    found["database"] = database_label(settings, server.url)
    answer(as_json, found, lambda: print(f"{made.file}: {size(made.size)}, {made.contents}"))  # noqa: T201


@app.command()
def restore(
    file: BackupPath,
    replace: Annotated[
        bool, typer.Option("--replace", help="Even if the database holds decisions: they are lost. Asks first.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask; a script has to say it with --replace.")] = False,
    cancel_waiting: Annotated[
        bool, typer.Option("--cancel-waiting", help="Cancel what had no outcome yet; else it is for the next start.")
    ] = False,
    as_json: AsJson = False,
    home: Home = None,
    log_level: LogLevel = None,
) -> None:
    r"""Bring the embedded database back to what FILE holds: all of it, or nothing is changed.

    \b
      run.py db restore ~/paper-2026-01-31.backup
      run.py db restore ~/paper-2026-01-31.backup --replace --yes

    Nothing may serve the database meanwhile.
    """
    settings = quiet_settings(home=home, log_level=log_level)
    path = Path(file).expanduser()
    _require_embedded(settings)
    BackupFile(path)  # what is no backup is said before a server starts, or anybody is asked
    with _embedded(settings) as server:
        if replace and not yes:
            _ask(settings, restores.contents(server.url))
        restored = restores.restore(server.url, path, replace=replace, cancel_waiting=cancel_waiting)
    document = {
        "file": str(path.absolute()),
        "database": database_label(settings, server.url),
        **_counted(restored.contents),
        "schemas": restored.schemas,
        "ledger_ok": not restored.differences,
        "ledger_differences": restored.differences,
        "rights_left_out": restored.rights_left_out,
    }
    answer(as_json, document, lambda: _tell_restored(document, restored))


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
        found = {"schema": version, "database": database_label(settings, url), "server": probe(url)}
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
            typer.echo(
                f"The embedded database in {settings.home} does not run now; {command_name()} start starts it.",
                err=True,
            )
    answer(as_json, {"url": url}, lambda: print(url))  # noqa: T201


@contextmanager
def _embedded(settings: Settings, *, must_exist: bool = False) -> Iterator[EmbeddedServer]:
    """Yield the embedded server, started for the moment unless it runs."""
    _require_embedded(settings)
    if must_exist and not (settings.home / "postgres").exists():
        msg = f"home is {settings.home}, and no database is in it; --home names another folder"
        raise SettingsError(msg)
    server = EmbeddedServer.attach(settings.home)
    try:
        yield server
    finally:
        server.release()


def _require_embedded(settings: Settings) -> None:
    if settings.url is not None:
        msg = "a database_url is set, and db backup and db restore are for the embedded database; use pg_dump and"
        raise SettingsError(f"{msg} pg_restore of the version of that server")


def _ask(settings: Settings, found: backups.Contents) -> None:
    """Have a person say that what is there may be lost."""
    if not found.decisions:
        return
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise BackupRefused(f"--replace loses {found}, and nobody can be asked here; a script says --yes, too")
    question = f"{found} in {settings.home} are lost for good. Restore all the same?"
    if not typer.confirm(question, err=True):
        raise PaperTradingError("not restored; nothing was changed")


def _counted(contents: backups.Contents) -> dict[str, Any]:
    return {"decisions": contents.decisions, "waiting": contents.waiting, "fills": contents.fills}


def _tell_restored(document: dict[str, Any], restored: restores.Restored) -> None:
    def say(line: str) -> None:
        print(line)  # noqa: T201

    say(f"{document['database']}: {restored.contents} restored")
    if restored.contents.waiting:
        say(
            f"{restored.contents.waiting} of them wait for the next start: it trades those that are not older than"
            " max_decision_age, and expires the others"
        )
    for difference in restored.differences:
        say(f"the books did not balance in the backup: {difference}")
    for statement in restored.rights_left_out:
        say(f"left out, because there is no such role here: {statement}")
