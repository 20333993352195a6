"""The table of roles: what each is for, so that an upgrade and a restore can give their rights anew."""

from __future__ import annotations

from collections.abc import Iterable

import psycopg
from psycopg import sql

from persistence.roles.rights import ROLES, Role, grant, take_away
from persistence.rows import one_row

REGISTERED = "SELECT name, sends, reads, serves FROM {} ORDER BY name"
REGISTER = """
INSERT INTO {} AS r (name, sends, reads, serves) VALUES (%s, %s, %s, %s)
ON CONFLICT (name) DO UPDATE SET sends = excluded.sends, reads = excluded.reads, serves = excluded.serves
"""
FORGET = "DELETE FROM {} WHERE name = %s"
EXISTING = "SELECT rolname::text FROM pg_catalog.pg_roles WHERE rolname = ANY(%s)"


def registered(cursor: psycopg.Cursor, schema_name: str) -> list[Role]:
    """Return the roles of a schema, by name; none where it is of an earlier version, without the table."""
    table = sql.Identifier(schema_name, ROLES)
    if one_row(cursor, "SELECT pg_catalog.to_regclass(%s)", [table.as_string(cursor)])[0] is None:
        return []
    return [Role(*row) for row in cursor.execute(sql.SQL(REGISTERED).format(table)).fetchall()]


def register(cursor: psycopg.Cursor, schema_name: str, role: Role) -> None:
    """Store what a role is for, and give it the rights."""
    table = sql.Identifier(schema_name, ROLES)
    cursor.execute(sql.SQL(REGISTER).format(table), [role.name, role.sends, role.reads, role.serves])
    grant(cursor, schema_name, role)


def forget(cursor: psycopg.Cursor, schema_name: str, name: str) -> None:
    """Remove a role from the table; its rights stay."""
    cursor.execute(sql.SQL(FORGET).format(sql.Identifier(schema_name, ROLES)), [name])


def existing(cursor: psycopg.Cursor, names: Iterable[str]) -> set[str]:
    """Return those names that are roles of the server."""
    return {name for (name,) in cursor.execute(EXISTING, [list(names)]).fetchall()}


def grant_all(cursor: psycopg.Cursor, schema_name: str) -> None:
    """Give the rights of all roles of a schema anew, as after an upgrade; one that is gone is left out."""
    roles = registered(cursor, schema_name)
    present = existing(cursor, [role.name for role in roles])
    for role in roles:
        if role.name in present:
            grant(cursor, schema_name, role)


def carry_over(cursor: psycopg.Cursor, schema_name: str, before: Iterable[Role]) -> list[Role]:
    """Give the roles that a schema had before a restore their rights in the restored one, and no role any other.

    What the backup says of roles gives no rights, because it may be a file of another's making.

    Args:
        cursor: of the restore's transaction.
        schema_name: as the backup has it.
        before: the roles of this schema before the restore.

    Returns:
        The roles without rights now: those of the backup that were not here, and those that were here where the backup
        is of an earlier version, whose tables know no roles.
    """
    here = {role.name: role for role in before}
    present = existing(cursor, here)
    table = sql.Identifier(schema_name, ROLES)
    if one_row(cursor, "SELECT pg_catalog.to_regclass(%s)", [table.as_string(cursor)])[0] is None:
        return [role for role in here.values() if role.name in present]
    others = [role for role in registered(cursor, schema_name) if role.name not in here]
    still_there = existing(cursor, [role.name for role in others])
    for role in others:
        forget(cursor, schema_name, role.name)
        if role.name in still_there:
            take_away(cursor, schema_name, role.name)
    for role in here.values():
        if role.name in present:
            register(cursor, schema_name, role)
    return others
