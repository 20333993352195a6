"""``run.py db``: back up and restore the embedded database, upgrade a database, print its URL."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from actors.settings import Settings
from console.commands import roles
from console.database import connected, database_label, of_older_tables
from console.display.format import answer, confirmed, print_exactly, size, terminal
from console.options import AsJson, DatabaseUrl, Home, LogLevel, Utc, quiet_settings, with_settings
from console.streams import print_for_people
from domain.errors import LeaseHeld, PaperTradingError, SettingsError
from domain.program import command_name
from persistence import schema
from persistence.connections import probe
from persistence.embedded.backups import backup as backups
from persistence.embedded.backups import restore as restores
from persistence.embedded.backups.backup_file import BackupFile
from persistence.embedded.backups.checksum import BackupKey
from persistence.embedded.backups.contents import Others
from persistence.embedded.errors import BackupRefused
from persistence.embedded.installation import installation
from persistence.embedded.server import EmbeddedServer, running
from persistence.lease import Lease
from persistence.sessions.address import dsn, with_schema

app = typer.Typer(rich_markup_mode=None)
app.add_typer(roles.app, name="role", help="Make, list and remove roles that send decisions or read.")


class RestoredOthers(StrEnum):
    """What becomes of objects in a backup that are not this program's."""

    SKIP = "skip"
    KEEP = "keep"


BackupPath = Annotated[str, typer.Argument(metavar="FILE", help="The backup file.")]


@app.command()
def backup(
    file: BackupPath,
    force: Annotated[bool, typer.Option("--force", help="Replace FILE if it exists.")] = False,
    as_json: AsJson = False,
    home: Home = None,
    log_level: LogLevel = None,
    _utc: Utc = False,
) -> None:
    r"""Back up the embedded database into FILE, as of one moment; a running service may go on.

    \b
      run.py db backup ~/paper-2026-01-31.backup

    FILE gets its name once it is complete; only its owner may read it. It ends with a checksum by which this home knows
    it again. With a database_url, use pg_dump of that server.
    """
    settings = quiet_settings(home=home, log_level=log_level)
    with _embedded(settings, must_exist=True) as server:
        key = BackupKey.of(settings.home)
        written = backups.back_up(server.backup_url, Path(file).expanduser(), server.postgres, key, overwrite=force)
    document = {"file": str(written.file), "bytes": written.size, **asdict(written.contents)}
    document["database"] = database_label(settings, server.url)
    answer(as_json, document, f"{written.file}: {size(written.size)}, {written.contents}")


@app.command()
def restore(
    file: BackupPath,
    replace: Annotated[
        bool,
        typer.Option("--replace", help="Delete the decisions that the database holds. Asks first."),
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask; a script needs it with --replace.")] = False,
    cancel_waiting: Annotated[
        bool,
        typer.Option("--cancel-waiting", help="Cancel decisions without an outcome."),
    ] = False,
    foreign: Annotated[
        bool,
        typer.Option("--foreign", help="Read FILE although this home has not written it; it can run code as you."),
    ] = False,
    others: Annotated[
        RestoredOthers | None,
        typer.Option("--others", help="What becomes of objects that are not this program's, such as functions."),
    ] = None,
    as_json: AsJson = False,
    home: Home = None,
    log_level: LogLevel = None,
    _utc: Utc = False,
) -> None:
    r"""Restore the embedded database from FILE, completely or not at all.

    \b
      run.py db restore ~/paper-2026-01-31.backup
      run.py db restore ~/paper-2026-01-31.backup --replace --yes

    No service may use the database during the restore. A FILE that another home has written, or that was changed since,
    is refused before anything reads it: its maker can run code as this user, and choose every number in it.
    --foreign reads it all the same. Functions, triggers and other objects that are not this program's are listed and
    refused, too; --others skip restores FILE without them, and --others keep with them. Other roles keep the rights
    that they have now.
    """
    settings = quiet_settings(home=home, log_level=log_level)
    path = Path(file).expanduser()
    _require_embedded(settings)
    wanted = Others(others.value) if others is not None else Others.REFUSE
    # An invalid file is refused before a server starts or a question is asked.
    postgres = installation(settings.postgres_bin)
    with BackupFile(path, settings.home, postgres, foreign=foreign, others=wanted) as backup_file:
        if backup_file.doubt is not None:
            print_for_people(f"{path} is read although {backup_file.doubt}")
        with _embedded(settings) as server:
            if replace and not yes:
                _confirm_replace(settings, restores.contents(server.url))
            restored = restores.restore(
                server.url,
                backup_file,
                replace=replace,
                cancel_waiting=cancel_waiting,
                closed=server.without_roles(),
            )
    document = {
        "file": str(path.absolute()),
        "foreign": backup_file.doubt,
        "database": database_label(settings, server.url),
        **asdict(restored.contents),
        "schemas": restored.schemas,
        "ledger_ok": not restored.differences,
        "ledger_differences": restored.differences,
        "rights_left_out": restored.rights_left_out,
        "roles_left_out": [role.name for role in restored.roles_left_out],
        "others": restored.others,
    }
    answer(as_json, document, lambda: _print_restored(document, restored))


@app.command()
def upgrade(
    as_json: AsJson = False,
    home: Home = None,
    database_url: DatabaseUrl = None,
    log_level: LogLevel = None,
    _utc: Utc = False,
) -> None:
    """Upgrade the database to this program's schema; do nothing if it is up to date.

    The start of the service does the same. While another instance serves the database, nothing is changed. An embedded
    database of an earlier major version of PostgreSQL is brought over, with a backup first; the old folder stays.
    """
    settings = quiet_settings("INFO", home=home, database_url=database_url, log_level=log_level)
    with connected(settings, take_over=True) as url:
        try:
            lease = Lease.take(url)
        except LeaseHeld as error:
            if not schema.is_current(url):
                raise of_older_tables(error) from None
            version = schema.newest_version()
        else:
            try:
                version = schema.upgrade(url)
            finally:
                lease.release()
        document = {"schema": version, "database": database_label(settings, url), "server": probe(url)}
    answer(as_json, document, "{database}: schema {schema}, {server}".format(**document))


@app.command("url")
@with_settings
def show_url(settings: Settings, as_json: AsJson = False) -> None:
    r"""Print the database's URL in the form that psql takes.

    \b
      psql "$(run.py db url)" -c "SELECT * FROM v_paper_ledger_check"

    It is that of the owner, who may do everything; run.py db role create makes roles that send or read. A configured
    URL is printed with its password, which no other command and no log shows. The embedded database has no password; it
    accepts connections while the service or another command runs.
    """
    if settings.url is not None:
        url = dsn(with_schema(settings.url, settings.database_schema))
    else:
        url = with_schema(EmbeddedServer(settings.home.resolve()).url, settings.database_schema)
        if not running(settings.home):
            typer.echo(
                f"The embedded database in {settings.home} is not running; start it with `{command_name()} start`",
                err=True,
            )
    answer(as_json, {"url": url}, lambda: print_exactly(f"{url}\n"))


@contextmanager
def _embedded(settings: Settings, *, must_exist: bool = False) -> Iterator[EmbeddedServer]:
    """Yield the embedded server; start it for the command if it is not running."""
    _require_embedded(settings)
    if must_exist and not (settings.home / "postgres").exists():
        raise SettingsError(f"home {settings.home} holds no database; name another folder with --home")
    server = EmbeddedServer.attach(settings.home, settings.postgres_bin)
    try:
        yield server
    finally:
        server.release()


def _require_embedded(settings: Settings) -> None:
    if settings.url is not None:
        msg = "db backup and db restore are for the embedded database, but database_url is set; use pg_dump and"
        raise SettingsError(f"{msg} pg_restore of that server's version")


def _confirm_replace(settings: Settings, contents: backups.Contents) -> None:
    """Ask the user to confirm that the data of the database will be lost.

    Raises:
        BackupRefused: there is no terminal to ask.
        PaperTradingError: the user does not confirm.
    """
    if not contents.decisions:
        return
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise BackupRefused(f"--replace deletes {contents}, and there is no terminal to ask; add --yes to confirm")
    question = f"{contents} in {settings.home} will be deleted. Restore anyway?"
    if not confirmed(question):
        raise PaperTradingError("not restored; nothing was changed")


def _print_restored(document: dict[str, Any], restored: restores.Restored) -> None:
    say = terminal().print
    say(f"{document['database']}: {restored.contents} restored")
    if restored.contents.waiting:
        say(
            f"{restored.contents.waiting} of them wait for the next start: it trades those that are not older than"
            " max_decision_age and expires the others"
        )
    for difference in restored.differences:
        say(f"the books did not balance in the backup: {difference}")
    for role in restored.roles_left_out:
        options = " ".join(f"--{kind}" for kind in role.kinds)
        say(f"role {role.name} has no rights now; `{command_name()} db role create {role.name} {options}` gives them")
    for statement in restored.rights_left_out:
        say(f"not granted, because a restore gives no rights: {statement}")
    for name in restored.others:
        say(f"restored, and not this program's: {name}")
