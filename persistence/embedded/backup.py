"""Back up the whole embedded database into one file, in PostgreSQL's own custom format.

`persistence.embedded.restore` reads it.

The file is written aside and takes its name when it is complete, so that no name ever stands for half a backup.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from domain.errors import BackupFailed, BackupRefused
from persistence.connections import CONNECT_TIMEOUT_S
from persistence.embedded import wheel
from persistence.error_translation import translated
from persistence.session import open_privileged_session

TABLES = """
SELECT n.nspname, c.relname, EXISTS (
    SELECT FROM pg_catalog.pg_attribute WHERE attrelid = c.oid AND attname = 'processed_at')
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' ORDER BY 1, 2
"""
"""Every table that is not PostgreSQL's own, and whether its rows have outcomes; several schemas may have them."""


@dataclass(frozen=True, slots=True)
class Contents:
    """What lies in a database, in all of its schemas together.

    Attributes:
        decisions: with or without outcome.
        waiting: those of them without.
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


def back_up(database_url: str, file: Path, *, overwrite: bool = False) -> Backup:
    """Write a backup of the database as it is at one moment, whoever works on it meanwhile.

    Args:
        database_url: of the embedded database, for its superuser, who may read everything.
        file: where; readable by its owner alone.
        overwrite: replace a file that is there.

    Raises:
        BackupRefused: the file is there already, or cannot be made.
        BackupFailed: it could not be written to its end, as on a full disk; the file is as it was.
        DatabaseUnavailable: the database does not answer.
    """
    file = file.absolute()
    _require_room(file, overwrite=overwrite)
    with _written_aside(file) as aside, _snapshot(database_url) as (snapshot, contents):
        _dump(database_url, snapshot, aside, file)
        _require_room(file, overwrite=overwrite)  # somebody else's may have come meanwhile
    return Backup(file, file.stat().st_size, contents)


def count_contents(cursor: psycopg.Cursor[Any]) -> Contents:
    """Count what lies in a database."""
    decisions = waiting = fills = 0
    for schema, table, has_outcomes in cursor.execute(TABLES).fetchall():
        name = sql.Identifier(schema, table)
        if table == "trading_decisions":
            pending = "pg_catalog.count(*) FILTER (WHERE processed_at IS NULL)" if has_outcomes else "0"
            row = cursor.execute(sql.SQL(f"SELECT pg_catalog.count(*), {pending} FROM {{}}").format(name)).fetchone()
            assert row is not None
            decisions, waiting = decisions + row[0], waiting + row[1]
        elif table == "paper_fills":
            row = cursor.execute(sql.SQL("SELECT pg_catalog.count(*) FROM {}").format(name)).fetchone()
            assert row is not None
            fills += row[0]
    return Contents(decisions, waiting, fills)


def _counted(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"


def _require_room(file: Path, *, overwrite: bool) -> None:
    if os.path.lexists(file) and not (overwrite and file.is_file()):
        what = "exists already; choose another name, or --force to replace it" if file.is_file() else "is no file"
        raise BackupRefused(f"{file} {what}")


@contextmanager
def _written_aside(file: Path) -> Iterator[Path]:
    """Yield an empty file, which gets the name at the end; if anything goes wrong, nothing is left of it."""
    try:
        handle, name = tempfile.mkstemp(dir=file.parent, prefix=".backup-", suffix=".part")  # mode 0600
    except OSError as error:
        raise BackupRefused(f"no backup can be made in {file.parent}: {error.strerror}") from error
    os.close(handle)
    aside = Path(name)
    try:
        yield aside
        aside.replace(file)
    except OSError as error:
        raise BackupFailed(f"the backup {file} could not be written: {error.strerror}") from error
    finally:
        aside.unlink(missing_ok=True)
    with suppress(OSError):  # that the name is durable, too; not every file system can say so of a folder
        folder = os.open(file.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


@contextmanager
def _snapshot(database_url: str) -> Iterator[tuple[str, Contents]]:
    """Yield one moment of the database, by PostgreSQL's name for it, and what lies in the database then."""
    with (
        translated(),
        open_privileged_session(database_url, "backup", connect_timeout=CONNECT_TIMEOUT_S) as kept,
    ):
        kept.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        kept.read_only = True
        with kept.cursor() as cursor:
            name = cursor.execute("SELECT pg_catalog.pg_export_snapshot()").fetchone()
            assert name is not None
            yield name[0], count_contents(cursor)


def _dump(database_url: str, snapshot: str, aside: Path, file: Path) -> None:
    # A file and not its stdout, to which it would append the places of the rows that it cannot go back to fill in.
    options = ["--format=custom", f"--file={aside}", f"--snapshot={snapshot}"]
    with tempfile.TemporaryFile() as errors:
        dumping = subprocess.Popen(  # noqa: S603 - no shell, and nothing from outside but paths
            [wheel.program("pg_dump"), *options, "--no-password", "--lock-wait-timeout=10s", database_url],
            stdin=subprocess.DEVNULL,
            stdout=errors,
            stderr=errors,
            env=wheel.client_environment(),
            start_new_session=True,  # Ctrl-C is for this program, which then ends that one
        )
        try:
            code = dumping.wait()
        except BaseException:
            dumping.kill()
            dumping.wait()
            raise
        if code != 0:
            errors.seek(0)
            reason = wheel.error_line(errors.read().decode(errors="replace"))
            raise BackupFailed(f"the backup {file} could not be written: {reason}")
