"""Backup of the whole embedded database into one file, in PostgreSQL's custom format.

`persistence.embedded.backups.restore` reads it. The file is written under a temporary name and renamed when it is
complete, so that the name never belongs to a partial backup. It is written with the rights of a role that may read
everything and nothing else: what the owner of the database has put into it runs as nobody who may do more.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from persistence.connections import CONNECT_TIMEOUT_S
from persistence.embedded.backups.checksum import BackupKey
from persistence.embedded.errors import BackupFailed, BackupRefused
from persistence.embedded.installation import Installation, client_environment, error_line, text_in
from persistence.error_translation import translated
from persistence.rows import one_row
from persistence.sessions.session import open_privileged_session

TABLES = """
SELECT n.nspname, c.relname, EXISTS (
    SELECT FROM pg_catalog.pg_attribute WHERE attrelid = c.oid AND attname = 'processed_at')
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' ORDER BY 1, 2
"""
"""All tables in all schemas but PostgreSQL's own, and whether their rows have outcomes."""


@dataclass(frozen=True, slots=True)
class Contents:
    """How many rows a database has, in all of its schemas together.

    Attributes:
        decisions: with or without outcome.
        waiting: decisions without outcome.
        fills: executions of orders.
    """

    decisions: int
    waiting: int
    fills: int

    def __str__(self) -> str:
        return f"{_counted(self.decisions, 'decision')} and {_counted(self.fills, 'fill')}"


@dataclass(frozen=True, slots=True)
class Backup:
    """A backup that was written.

    Attributes:
        file: its path.
        size: in bytes.
        contents: of the database at the moment of the backup.
    """

    file: Path
    size: int
    contents: Contents


def back_up(
    database_url: str, file: Path, postgres: Installation, key: BackupKey, *, overwrite: bool = False
) -> Backup:
    """Write a backup of one snapshot of the database; other sessions may go on to write.

    Args:
        database_url: of the embedded database, for a role that may read everything.
        file: path of the backup, which only its owner can read.
        postgres: whose pg_dump writes it.
        key: of the home, for the checksum.
        overwrite: replace an existing file.

    Raises:
        BackupRefused: the file exists already, or cannot be made.
        BackupFailed: the backup could not be completed, as on a full disk; an existing file is unchanged.
        DatabaseUnavailable: the database does not answer.
    """
    file = file.absolute()
    _require_writable(file, overwrite=overwrite)
    with _temporary_file(file) as temporary, _snapshot(database_url) as (snapshot, contents):
        _dump(postgres, database_url, snapshot, temporary, file)
        _seal(temporary, key)
        _require_writable(file, overwrite=overwrite)  # another file may have been made meanwhile
    return Backup(file, file.stat().st_size, contents)


def count_contents(cursor: psycopg.Cursor[Any]) -> Contents:
    """Count the rows of a database."""
    decisions = waiting = fills = 0
    for schema, table, has_outcomes in cursor.execute(TABLES).fetchall():
        name = sql.Identifier(schema, table)
        if table == "trading_decisions":
            pending = "pg_catalog.count(*) FILTER (WHERE status OPERATOR(pg_catalog.=) 'pending')"
            pending = pending if has_outcomes else "0"
            row = one_row(cursor, sql.SQL(f"SELECT pg_catalog.count(*), {pending} FROM {{}}").format(name))
            decisions, waiting = decisions + row[0], waiting + row[1]
        elif table == "paper_fills":
            fills += one_row(cursor, sql.SQL("SELECT pg_catalog.count(*) FROM {}").format(name))[0]
    return Contents(decisions, waiting, fills)


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _require_writable(file: Path, *, overwrite: bool) -> None:
    if os.path.lexists(file) and not (overwrite and file.is_file()):
        reason = "exists already; choose another name, or --force to replace it" if file.is_file() else "is not a file"
        raise BackupRefused(f"{file} {reason}")


@contextmanager
def _temporary_file(file: Path) -> Iterator[Path]:
    """Yield an empty file, which gets the name ``file`` at the end; after an error it is removed."""
    try:
        handle, name = tempfile.mkstemp(dir=file.parent, prefix=".backup-", suffix=".part")  # mode 0600
    except OSError as error:
        raise BackupRefused(f"no backup can be made in {file.parent}: {error.strerror}") from error
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.replace(file)
    except OSError as error:
        raise BackupFailed(f"the backup {file} could not be written: {error.strerror}") from error
    finally:
        temporary.unlink(missing_ok=True)
    with suppress(OSError):  # makes the rename durable; not every file system can sync a folder
        folder = os.open(file.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


@contextmanager
def _snapshot(database_url: str) -> Iterator[tuple[str, Contents]]:
    """Yield PostgreSQL's name of an exported snapshot, and the contents of the database in it."""
    with (
        translated(),
        open_privileged_session(database_url, "backup", connect_timeout=CONNECT_TIMEOUT_S) as connection,
    ):
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        with connection.cursor() as cursor:
            (name,) = one_row(cursor, "SELECT pg_catalog.pg_export_snapshot()")
            yield name, count_contents(cursor)


def _seal(temporary: Path, key: BackupKey) -> None:
    with temporary.open("rb+") as file:
        key.seal(file)
        file.flush()
        os.fsync(file.fileno())


def _dump(postgres: Installation, database_url: str, snapshot: str, temporary: Path, file: Path) -> None:
    # Into a file and not to stdout: pg_dump goes back in the file to fill in the offsets of the rows.
    options = ["--format=custom", f"--file={temporary}", f"--snapshot={snapshot}"]
    # Each role may make large objects that others cannot read; this program has none.
    options += ["--no-large-objects", "--no-password", "--lock-wait-timeout=10s", database_url]
    with tempfile.TemporaryFile() as errors:
        dumping = postgres.started("pg_dump", *options, stdout=errors, stderr=errors, env=client_environment())
        try:
            code = dumping.wait()
        except BaseException:
            dumping.kill()
            dumping.wait()
            raise
        if code != 0:
            raise BackupFailed(f"the backup {file} could not be written: {error_line(text_in(errors))}")
