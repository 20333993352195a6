"""What people have put on the program's views, kept over an upgrade that makes a view anew: rights and comments."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, text

FOUND = """
WITH views AS (
    SELECT oid, relname, relowner, relacl FROM pg_class
    WHERE relkind = 'v' AND relnamespace = CAST(current_schema() AS regnamespace) AND relname LIKE 'v\\_paper\\_%'
), rights AS (
    SELECT oid, relname, relowner, CAST(NULL AS name) AS attname, relacl AS acl FROM views
    UNION ALL
    SELECT v.oid, v.relname, v.relowner, a.attname, a.attacl FROM views v JOIN pg_attribute a ON a.attrelid = v.oid
)
SELECT r.oid, r.relname, r.attname,
       format('GRANT %s%s ON %I TO %s%s', e.privilege_type, '(' || quote_ident(r.attname) || ')', r.relname,
              CASE e.grantee WHEN 0 THEN 'PUBLIC' ELSE CAST(CAST(e.grantee AS regrole) AS text) END,
              CASE WHEN e.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)
FROM rights r CROSS JOIN LATERAL aclexplode(r.acl) e WHERE e.grantee <> r.relowner
UNION ALL
SELECT v.oid, v.relname, a.attname,
       CASE WHEN a.attname IS NULL THEN format('COMMENT ON VIEW %I IS %L', v.relname, d.description)
            ELSE format('COMMENT ON COLUMN %I.%I IS %L', v.relname, a.attname, d.description) END
FROM views v JOIN pg_description d ON d.classoid = CAST('pg_class' AS regclass) AND d.objoid = v.oid
LEFT JOIN pg_attribute a ON a.attrelid = v.oid AND a.attnum = d.objsubid AND d.objsubid > 0
"""
MADE_ANEW = """
SELECT c.oid <> :oid AND (CAST(:column AS name) IS NULL OR a.attname IS NOT NULL)
FROM pg_class c LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = CAST(:column AS name)
WHERE c.oid = to_regclass(quote_ident(:view))
"""


@dataclass(frozen=True)
class Kept:
    """A right or a comment on a view, or on a column of it.

    Attributes:
        oid: of the view that had it.
        view: its name.
        column: None for the view itself.
        statement: gives it again.
    """

    oid: int
    view: str
    column: str | None
    statement: str


def find(connection: Connection) -> list[Kept]:
    """Return what other roles may do with the program's views in the current schema, and the comments on them."""
    return [Kept(*row) for row in connection.execute(text(FOUND))]


def restore(connection: Connection, kept: list[Kept]) -> None:
    """Give rights and comments to those views, and columns, that exist again under the same name."""
    for one in kept:
        parameters = {"oid": one.oid, "view": one.view, "column": one.column}
        if connection.execute(text(MADE_ANEW), parameters).scalar():
            connection.exec_driver_sql(one.statement, execution_options={"no_parameters": True})
