"""Puts a backup back into the embedded database: everything in one transaction, or nothing."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import sql

from domain.errors import BackupRefused, DatabaseBusy, DatabaseError, DatabaseUnavailable
from persistence import schema
from persistence.connections import PUBLIC, connect, engine_for, transaction, with_schema
from persistence.embedded.backup import TABLES, Contents, count_contents
from persistence.embedded.backup_file import BackupFile
from persistence.error_translation import translated
from persistence.lease import Lease, holder_name

EPOCH_INCREMENT = 1_000_000
"""How far a restore raises the epoch. A backup does not know how many processes came after it, perhaps in a folder that
was moved away; one of them might still be about, and must never find its own number there."""
CANCEL = """
UPDATE {} SET status = 'cancelled', processed_at = now(), outcome_reason = 'cancelled: a backup was restored'
WHERE processed_at IS NULL AND status = 'pending'
"""


@dataclass(frozen=True, slots=True)
class Restored:
    """What a restore brought back.

    Attributes:
        schemas: of this program that were in the backup, each with its version.
        contents: of the database now.
        differences: sentences of ``v_paper_ledger_check``; the books balance now as they did in the backup.
        rights_left_out: GRANT statements of the backup whose role does not exist here.
    """

    schemas: Mapping[str, str]
    contents: Contents
    differences: tuple[str, ...]
    rights_left_out: tuple[str, ...]


def contents(database_url: str) -> Contents:
    """Count what a restore would replace.

    Raises:
        DatabaseUnavailable: the database does not answer.
    """
    engine = engine_for(database_url, "restore")
    try:
        with transaction(engine) as cursor:
            return count_contents(cursor)
    finally:
        engine.dispose()


def restore(database_url: str, file: Path, *, replace: bool = False, cancel_waiting: bool = False) -> Restored:
    """Make the database what it was when the backup was made; everything will belong to the URL's role.

    The leases of all schemas are held meanwhile. Their epochs go on from far above the higher of the two numbers, so
    that no process of before, from either history, can ever write again.

    Args:
        database_url: of the embedded database, for its plain role.
        file: the backup.
        replace: remove what is in the database, decisions and tables of others included.
        cancel_waiting: cancel the decisions that had no outcome at the backup; else they wait for the next start.

    Raises:
        BackupRefused: the file cannot be restored, or there is something that would be lost. Nothing was changed.
        LeaseHeld: somebody serves the database. Nothing was changed.
        DatabaseBusy: somebody holds a lock. Nothing was changed.
        DatabaseUnavailable: the database does not answer, or went away.
    """
    archive = BackupFile(file)
    engine = engine_for(database_url, "restore")
    try:
        with ExitStack() as leases:
            for each in sorted({PUBLIC, *_schemas(database_url), *archive.schemas}):
                leases.callback(Lease.take(with_schema(database_url, each)).release)
            with transaction(engine) as cursor:
                restored = _restore(cursor, archive, replace=replace, cancel_waiting=cancel_waiting)
    except DatabaseBusy as error:
        raise DatabaseBusy(f"{error}; nothing was changed") from error
    except DatabaseUnavailable:
        raise
    except DatabaseError as error:
        raise BackupRefused(f"{file} cannot be restored: {error}; nothing was changed") from error
    finally:
        engine.dispose()
    with translated(), connect(database_url, "restore") as connection:
        connection.execute("ANALYZE")  # until then the planner would know nothing of the rows
    return restored


def _schemas(database_url: str) -> list[str]:
    """Return the schemas that have this program's tables."""
    with translated(), connect(database_url, "restore") as connection:
        return [name for name, table, _ in connection.execute(TABLES).fetchall() if table == "paper_lease"]


def _restore(cursor: psycopg.Cursor, archive: BackupFile, *, replace: bool, cancel_waiting: bool) -> Restored:
    epochs = _locked_epochs(cursor)
    if not replace:
        _require_nothing_to_lose(cursor)
    cursor.execute("DROP OWNED BY CURRENT_USER CASCADE")
    left_out = archive.restore_into(cursor)
    differences = []
    for each in archive.schemas:
        _raise_epoch(cursor, each, *epochs.get(each, (0, 0)))
        if cancel_waiting:
            cursor.execute(sql.SQL(CANCEL).format(sql.Identifier(each, "trading_decisions")))
        check = sql.SQL("SELECT difference FROM {}").format(sql.Identifier(each, "v_paper_ledger_check"))
        differences += [row[0] for row in cursor.execute(check).fetchall()]
    return Restored(archive.schemas, count_contents(cursor), tuple(differences), tuple(left_out))


def _locked_epochs(cursor: psycopg.Cursor) -> dict[str, tuple[int, int]]:
    """Return epoch and generation of each schema; whoever still writes there waits now, and is too late then."""
    found = {}
    for name, table, _ in cursor.execute(TABLES).fetchall():
        if table == "paper_lease":
            lease, generation = sql.Identifier(name, table), sql.Identifier(name, "paper_generation")
            cursor.execute(sql.SQL("LOCK TABLE {}, {} IN ACCESS EXCLUSIVE MODE").format(lease, generation))
            numbers = sql.SQL("SELECT epoch, generation FROM {}, {}").format(lease, generation)
            found[name] = cursor.execute(numbers).fetchone() or (0, 0)
    return found


def _require_nothing_to_lose(cursor: psycopg.Cursor) -> None:
    found = count_contents(cursor)
    if found.decisions:
        raise BackupRefused(f"the database has {found} already; back it up, and say --replace to lose them")
    ours = schema.own_tables()
    for name, table, _ in cursor.execute(TABLES).fetchall():
        if table not in ours:
            msg = f"the database has a table {name}.{table}, which is not this program's"
            raise BackupRefused(f"{msg}; back it up, and say --replace to lose it")


def _raise_epoch(cursor: psycopg.Cursor, name: str, epoch: int, generation: int) -> None:
    raise_it = sql.SQL("UPDATE {} SET epoch = greatest(epoch, %s) + %s, holder = %s, started_at = now()")
    restorer = f"a restore, {holder_name()}"
    cursor.execute(raise_it.format(sql.Identifier(name, "paper_lease")), [epoch, EPOCH_INCREMENT, restorer])
    if cursor.rowcount != 1:
        raise BackupRefused(f"the backup lacks the row of {name}.paper_lease; nothing was changed")
    keep = sql.SQL("UPDATE {} SET generation = greatest(generation, %s)")
    cursor.execute(keep.format(sql.Identifier(name, "paper_generation")), [generation])
