"""Restore of a backup into the embedded database, in one transaction.

Nothing of the backup that has code stays unless the program itself makes the same, and no role gets a right by it; see
`persistence.embedded.backups.foreign_objects` and `persistence.embedded.backups.rights`.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass

import psycopg
from psycopg import sql

from domain.errors import DatabaseBusy, DatabaseError, DatabaseUnavailable
from persistence import schema
from persistence.connections import session
from persistence.embedded.backups import rights
from persistence.embedded.backups.backup import TABLES, Contents, count_contents
from persistence.embedded.backups.backup_file import BackupFile, others_message
from persistence.embedded.backups.contents import Others
from persistence.embedded.backups.foreign_objects import (
    SAFE_PATH,
    SCHEMA,
    Reference,
    foreign_objects,
    read_objects,
    reference,
)
from persistence.embedded.errors import BackupRefused
from persistence.lease import Lease, holder_name
from persistence.roles.registry import carry_over, registered
from persistence.roles.rights import Role
from persistence.rows import one_row
from persistence.sessions.address import PUBLIC, with_schema

EPOCH_INCREMENT = 1_000_000
"""How far a restore raises the epoch. A backup does not know how many processes came after it, perhaps in a folder that
was moved. One of them may still run, and must never find its own epoch in the database."""
CANCEL = """
UPDATE {} SET status = 'cancelled', processed_at = pg_catalog.now(), outcome_reason = 'cancelled: a backup was restored'
WHERE processed_at IS NULL AND status = 'pending'
"""


@dataclass(frozen=True, slots=True)
class Restored:
    """The result of a restore.

    Attributes:
        schemas: the program's schemas in the backup, each with its version.
        contents: of the database now.
        differences: rows of ``v_paper_ledger_check``; the books balance as far as they did in the backup.
        rights_left_out: GRANT statements of the backup that no role has here.
        others: objects that are not this program's and were restored, because the caller wanted it.
        roles_left_out: roles of `run.py db role` without rights now: they do not exist here, or the backup is older.
    """

    schemas: Mapping[str, str]
    contents: Contents
    differences: tuple[str, ...]
    rights_left_out: tuple[str, ...]
    others: tuple[str, ...]
    roles_left_out: tuple[Role, ...] = ()


def contents(database_url: str) -> Contents:
    """Count the rows that a restore would replace.

    Raises:
        DatabaseUnavailable: the database does not answer.
    """
    with session(database_url, "restore") as cursor:
        return count_contents(cursor)


def restore(
    database_url: str,
    backup_file: BackupFile,
    *,
    replace: bool = False,
    cancel_waiting: bool = False,
    with_rights: bool = False,
    closed: AbstractContextManager[None] | None = None,
) -> Restored:
    """Bring the database to the state of the backup; the URL's role will own everything.

    It holds the leases of all schemas meanwhile. The new epochs are far above those of the database and of the backup,
    so that no earlier process of either can write again.

    Args:
        database_url: of the embedded database, for its plain role.
        backup_file: the backup.
        replace: remove everything in the database, tables of others included.
        cancel_waiting: cancel the decisions that had no outcome in the backup; else the next start takes them.
        with_rights: give other roles the rights that they have in the backup, not those that they have now.
        closed: keeps sessions of roles out, whose locks could block the restore; entered once no service can start.

    Raises:
        BackupRefused: the file cannot be restored, or data would be lost. Nothing was changed.
        LeaseHeld: a service uses the database. Nothing was changed.
        DatabaseBusy: another session holds a lock. Nothing was changed.
        DatabaseUnavailable: the database does not answer, or was lost.
    """
    try:
        with ExitStack() as stack:
            for name in sorted({PUBLIC, *_schemas(database_url), *backup_file.schemas}):
                stack.callback(Lease.take(with_schema(database_url, name)).release)
            stack.enter_context(closed or nullcontext())
            made = {version: reference(database_url, version) for version in set(backup_file.schemas.values())}
            restoring = _Restore(backup_file, {name: made[version] for name, version in backup_file.schemas.items()})
            with session(database_url, "restore") as cursor:
                restored = restoring.run(
                    cursor, replace=replace, cancel_waiting=cancel_waiting, with_rights=with_rights
                )
    except DatabaseBusy as error:
        raise DatabaseBusy(f"{error}; nothing was changed") from error
    except DatabaseUnavailable:
        raise
    except DatabaseError as error:
        raise BackupRefused(f"{backup_file} cannot be restored: {error}; nothing was changed") from error
    with session(database_url, "restore") as cursor:
        cursor.execute("ANALYZE")  # else the planner has no statistics of the rows
    return restored


def _schemas(database_url: str) -> list[str]:
    """Return the schemas that have this program's tables."""
    with session(database_url, "restore") as cursor:
        return [name for name, table, _ in cursor.execute(TABLES).fetchall() if table == "paper_lease"]


@dataclass(frozen=True, slots=True)
class _Restore:
    """The transaction of a restore.

    Attributes:
        file: the backup.
        references: what this program makes, by the name of each of its schemas.
    """

    file: BackupFile
    references: Mapping[str, Reference]

    def run(self, cursor: psycopg.Cursor, *, replace: bool, cancel_waiting: bool, with_rights: bool) -> Restored:
        """Restore, and check what was restored; the errors are those of `restore`."""
        cursor.execute(SAFE_PATH)
        epochs = _locked_epochs(cursor)
        if not replace:
            _require_nothing_to_lose(cursor)
        present = rights.present_rights(cursor)
        roles = {name: registered(cursor, name) for name in epochs}
        cursor.execute("DROP OWNED BY CURRENT_USER CASCADE")
        objects = read_objects(cursor)  # of the superuser, which stay
        of_backup = self.file.restore_into(cursor)
        others = foreign_objects(read_objects(cursor) - objects, self.references)
        if others and self.file.others != Others.KEEP:
            hidden = self.file.others == Others.SKIP
            raise BackupRefused(f"{others_message(str(self.file), others, hidden=hidden)}; nothing was changed")
        if with_rights:
            left_out = rights.grant(cursor, of_backup)
        else:
            left_out = rights.settle(cursor, of_backup, {*present, *self._own_rights(cursor)})
        differences: list[str] = []
        without_rights: list[Role] = []
        for name in self.references:
            _raise_epoch(cursor, name, *epochs.get(name, (0, 0)))
            if not with_rights:
                without_rights += carry_over(cursor, name, roles.get(name, ()))
            if cancel_waiting:
                cursor.execute(sql.SQL(CANCEL).format(sql.Identifier(name, "trading_decisions")))
            check = sql.SQL("SELECT difference FROM {}").format(sql.Identifier(name, "v_paper_ledger_check"))
            differences += [row[0] for row in cursor.execute(check).fetchall()]
        named = tuple(f" TO {role.name};" for role in without_rights)
        return Restored(
            schemas=self.file.schemas,
            contents=count_contents(cursor),
            differences=tuple(differences),
            rights_left_out=tuple(statement for statement in left_out if not statement.endswith(named)),
            others=tuple(others),
            roles_left_out=tuple(without_rights),
        )

    def _own_rights(self, cursor: psycopg.Cursor) -> list[str]:
        """Return the rights that the program itself grants, as statements."""
        own = []
        for name, made in self.references.items():
            place = f"{one_row(cursor, 'SELECT quote_ident(%s)', [name])[0]}."
            own += [statement.replace(SCHEMA, place) for statement in made.grants]
        return own


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
