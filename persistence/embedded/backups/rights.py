"""Rights of other roles over a restore.

A restore gives nobody a right that they do not have now: an old backup would return those that were taken away since,
and a file of another's making could give any. So roles keep the rights that they have in the present database, those
that the program itself grants are granted, and those in the backup are listed, for a person to grant by hand.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

import psycopg
from psycopg import sql

from persistence.embedded.errors import BackupRefused
from persistence.rows import one_row

GRANTS = """
WITH objects (kind, acl, owner, schema, name) AS (
    SELECT CASE c.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, c.relacl, c.relowner, c.relnamespace,
           format('%%I.%%I', n.nspname, c.relname)
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'v', 'm', 'p', 'S')
    UNION ALL
    SELECT 'ROUTINE', p.proacl, p.proowner, p.pronamespace, p.oid::regprocedure::text FROM pg_proc p
    UNION ALL
    SELECT 'SCHEMA', n.nspacl, n.nspowner, n.oid, quote_ident(n.nspname) FROM pg_namespace n
    UNION ALL
    SELECT 'DATABASE', d.datacl, d.datdba, NULL, quote_ident(d.datname) FROM pg_database d
    WHERE d.datname = current_database()
), entries (statement, schema) AS (
    SELECT format('GRANT %%s ON %%s %%s TO %%s%%s', e.privilege_type, o.kind, o.name,
                  CASE e.grantee WHEN 0 THEN 'PUBLIC' ELSE e.grantee::regrole::text END,
                  CASE WHEN e.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END), o.schema
    FROM objects o CROSS JOIN LATERAL aclexplode(o.acl) e WHERE e.grantee <> o.owner
    UNION ALL
    SELECT format('GRANT %%s (%%I) ON TABLE %%I.%%I TO %%s%%s', e.privilege_type, a.attname, n.nspname, c.relname,
                  CASE e.grantee WHEN 0 THEN 'PUBLIC' ELSE e.grantee::regrole::text END,
                  CASE WHEN e.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END), n.oid
    FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    CROSS JOIN LATERAL aclexplode(a.attacl) e WHERE e.grantee <> c.relowner
    UNION ALL
    SELECT format('ALTER DEFAULT PRIVILEGES%%s GRANT %%s ON %%s TO %%s%%s', ' IN SCHEMA ' || quote_ident(n.nspname),
                  e.privilege_type,
                  CASE d.defaclobjtype WHEN 'r' THEN 'TABLES' WHEN 'S' THEN 'SEQUENCES' WHEN 'f' THEN 'FUNCTIONS'
                                       WHEN 'T' THEN 'TYPES' ELSE 'SCHEMAS' END,
                  CASE e.grantee WHEN 0 THEN 'PUBLIC' ELSE e.grantee::regrole::text END,
                  CASE WHEN e.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END), n.oid
    FROM pg_default_acl d LEFT JOIN pg_namespace n ON n.oid = d.defaclnamespace
    CROSS JOIN LATERAL aclexplode(d.defaclacl) e
    WHERE d.defaclrole = current_user::regrole AND e.grantee <> d.defaclrole
)
SELECT e.statement FROM entries e LEFT JOIN pg_namespace n ON n.oid = e.schema
WHERE CASE WHEN %(schema)s::text IS NULL
           THEN n.nspname IS NULL OR n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
           ELSE n.nspname = %(schema)s END
ORDER BY 1
"""
"""The rights of others than the owner, as statements; those in one schema, or in all but PostgreSQL's own. Names are
written in full if the search path has no schema but PostgreSQL's own."""
OBJECT_IS_GONE = (psycopg.errors.UndefinedObject, psycopg.errors.UndefinedTable, psycopg.errors.UndefinedFunction,
                  psycopg.errors.UndefinedColumn, psycopg.errors.InvalidSchemaName,
                  psycopg.errors.InsufficientPrivilege)  # fmt: skip
GRANTED_TO = re.compile(
    r"^(?:ALTER DEFAULT PRIVILEGES .*)?GRANT .* TO (?P<role>.*?)(?: WITH GRANT OPTION)?;$", re.DOTALL
)
"""A statement as pg_restore writes it."""


def present_rights(cursor: psycopg.Cursor) -> list[str]:
    """Return the rights that other roles have in the database now, as statements."""
    return [row[0] for row in cursor.execute(GRANTS, {"schema": None}).fetchall()]


def settle(cursor: psycopg.Cursor, of_backup: Iterable[str], wanted: Collection[str]) -> list[str]:
    """Set the rights in a restored database.

    Args:
        cursor: in the transaction of the restore.
        of_backup: statements of the backup: what takes a right away is done, what gives one is not, but for the owner.
        wanted: statements of `GRANTS`, which give rights; one is left out if its object is not in the backup.

    Returns:
        The statements of the backup whose rights nobody has now.

    Raises:
        BackupRefused: another statement of the backup has given a right, which only a file of another's making does.
    """
    owner = str(one_row(cursor, "SELECT quote_ident(current_user)")[0])
    giving = []
    for statement in of_backup:
        match = GRANTED_TO.match(statement)
        if match is None or match["role"] == owner:
            _try(cursor, statement)
        else:
            giving.append(statement)
    for statement in wanted:
        _try(cursor, statement)
    if surplus := sorted(set(present_rights(cursor)) - set(wanted)):
        raise BackupRefused(f"the backup gives rights where it must not: {surplus[0]}; nothing was changed")
    return [statement for statement in giving if _adds_something(cursor, statement)]


def grant(cursor: psycopg.Cursor, of_backup: Iterable[str]) -> list[str]:
    """Give and take all rights as in the backup; return the statements that failed, because their role is missing."""
    return [statement for statement in of_backup if not _try(cursor, statement)]


def _adds_something(cursor: psycopg.Cursor, statement: str) -> bool:
    """Return whether a statement would change a right, or cannot be done at all."""
    before = present_rights(cursor)
    changes = True
    with cursor.connection.transaction(force_rollback=True):
        if _try(cursor, statement):
            changes = present_rights(cursor) != before
    return changes


def _try(cursor: psycopg.Cursor, statement: str) -> bool:
    """Do a statement; return False if its object or role does not exist. A block runs it: it can end no transaction."""
    block = sql.SQL("BEGIN EXECUTE {}; END").format(sql.Literal(statement)).as_string(cursor)
    try:
        with cursor.connection.transaction():
            cursor.execute(sql.SQL("DO {}").format(sql.Literal(block)))
    except OBJECT_IS_GONE:
        return False
    return True
