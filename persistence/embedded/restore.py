"""Restore of a backup into the embedded database, in one transaction."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import sql

from domain.errors import DatabaseBusy, DatabaseError, DatabaseUnavailable
from persistence import schema
from persistence.connections import session
from persistence.embedded.backup import TABLES, Contents, count_contents
from persistence.embedded.backup_file import BackupFile
from persistence.embedded.errors import BackupRefused
from persistence.lease import Lease, holder_name
from persistence.roles.registry import carry_over, registered
from persistence.roles.rights import Role
from persistence.sessions.address import PUBLIC, with_schema

EPOCH_INCREMENT = 1_000_000
"""How far a restore raises the epoch. A backup does not know how many processes came after it, perhaps in a folder that
was moved. One of them may still run, and must never find its own epoch in the database."""
CANCEL = """
UPDATE {} SET status = 'cancelled', processed_at = now(), outcome_reason = 'cancelled: a backup was restored'
WHERE processed_at IS NULL AND status = 'pending'
"""


@dataclass(frozen=True, slots=True)
class Restored:
    """The result of a restore.

    Attributes:
        schemas: the program's schemas in the backup, each with its version.
        contents: of the database now.
        differences: rows of ``v_paper_ledger_check``; the books balance as far as they did in the backup.
        rights_left_out: GRANT statements of the backup whose role does not exist here.
        roles_left_out: roles of `run.py db role` without rights now: they do not exist here, or the backup is older.
    """

    schemas: Mapping[str, str]
    contents: Contents
    differences: tuple[str, ...]
    rights_left_out: tuple[str, ...]
    roles_left_out: tuple[Role, ...] = ()


def contents(database_url: str) -> Contents:
    """Count the rows that a restore would replace.

    Raises:
        DatabaseUnavailable: the database does not answer.
    """
    with session(database_url, "restore") as cursor:
        return count_contents(cursor)


def restore(database_url: str, file: Path, *, replace: bool = False, cancel_waiting: bool = False) -> Restored:
    """Bring the database to the state of the backup; the URL's role will own everything.

    It holds the leases of all schemas meanwhile. The new epochs are far above those of the database and of the backup,
    so that no earlier process of either can write again.

    Args:
        database_url: of the embedded database, for its plain role.
        file: the backup.
        replace: remove everything in the database, tables of others included.
        cancel_waiting: cancel the decisions that had no outcome in the backup; else the next start takes them.

    Raises:
        BackupRefused: the file cannot be restored, or data would be lost. Nothing was changed.
        LeaseHeld: a service uses the database. Nothing was changed.
        DatabaseBusy: another session holds a lock. Nothing was changed.
        DatabaseUnavailable: the database does not answer, or was lost.
    """
    backup_file = BackupFile(file)
    try:
        with ExitStack() as leases:
            for name in sorted({PUBLIC, *_schemas(database_url), *backup_file.schemas}):
                leases.callback(Lease.take(with_schema(database_url, name)).release)
            with session(database_url, "restore") as cursor:
                restored = _restore(cursor, backup_file, replace=replace, cancel_waiting=cancel_waiting)
    except DatabaseBusy as error:
        raise DatabaseBusy(f"{error}; nothing was changed") from error
    except DatabaseUnavailable:
        raise
    except DatabaseError as error:
        raise BackupRefused(f"{file} cannot be restored: {error}; nothing was changed") from error
    with session(database_url, "restore") as cursor:
        cursor.execute("ANALYZE")  # else the planner has no statistics of the rows
    return restored


def _schemas(database_url: str) -> list[str]:
    """Return the schemas that have this program's tables."""
    with session(database_url, "restore") as cursor:
        return [name for name, table, _ in cursor.execute(TABLES).fetchall() if table == "paper_lease"]


def _restore(cursor: psycopg.Cursor, backup_file: BackupFile, *, replace: bool, cancel_waiting: bool) -> Restored:
    epochs = _locked_epochs(cursor)
    if not replace:
        _require_nothing_to_lose(cursor)
    roles = {name: registered(cursor, name) for name in epochs}
    cursor.execute("DROP OWNED BY CURRENT_USER CASCADE")
    left_out = backup_file.restore_into(cursor)
    differences: list[str] = []
    without_rights: list[Role] = []
    for name in backup_file.schemas:
        _raise_epoch(cursor, name, *epochs.get(name, (0, 0)))
        without_rights += carry_over(cursor, name, roles.get(name, ()))
        if cancel_waiting:
            cursor.execute(sql.SQL(CANCEL).format(sql.Identifier(name, "trading_decisions")))
        check = sql.SQL("SELECT difference FROM {}").format(sql.Identifier(name, "v_paper_ledger_check"))
        differences += [row[0] for row in cursor.execute(check).fetchall()]
    named = tuple(f" TO {role.name};" for role in without_rights)
    left_out = [statement for statement in left_out if not statement.endswith(named)]
    return Restored(
        backup_file.schemas, count_contents(cursor), tuple(differences), tuple(left_out), tuple(without_rights)
    )


def _locked_epochs(cursor: psycopg.Cursor) -> dict[str, tuple[int, int]]:
    """Lock the leases and return epoch and generation of each schema; a process that still writes waits, then fails."""
    epochs = {}
    for name, table, _ in cursor.execute(TABLES).fetchall():
        if table == "paper_lease":
            lease, generation = sql.Identifier(name, table), sql.Identifier(name, "paper_generation")
            cursor.execute(sql.SQL("LOCK TABLE {}, {} IN ACCESS EXCLUSIVE MODE").format(lease, generation))
            numbers = sql.SQL("SELECT epoch, generation FROM {}, {}").format(lease, generation)
            epochs[name] = cursor.execute(numbers).fetchone() or (0, 0)
    return epochs


def _require_nothing_to_lose(cursor: psycopg.Cursor) -> None:
    existing = count_contents(cursor)
    if existing.decisions:
        raise BackupRefused(f"the database has {existing} already; back it up, and use --replace to lose them")
    own_tables = schema.own_tables()
    for name, table, _ in cursor.execute(TABLES).fetchall():
        if table not in own_tables:
            msg = f"the database has a table {name}.{table}, which is not this program's"
            raise BackupRefused(f"{msg}; back it up, and use --replace to lose it")


def _raise_epoch(cursor: psycopg.Cursor, name: str, epoch: int, generation: int) -> None:
    raise_epoch = sql.SQL("UPDATE {} SET epoch = greatest(epoch, %s) + %s, holder = %s, started_at = now()")
    restorer = f"a restore, {holder_name()}"
    cursor.execute(raise_epoch.format(sql.Identifier(name, "paper_lease")), [epoch, EPOCH_INCREMENT, restorer])
    if cursor.rowcount != 1:
        raise BackupRefused(f"the backup lacks the row of {name}.paper_lease; nothing was changed")
    keep_generation = sql.SQL("UPDATE {} SET generation = greatest(generation, %s)")
    cursor.execute(keep_generation.format(sql.Identifier(name, "paper_generation")), [generation])
