"""Views of the user that an upgrade must not drop."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, text

from domain.errors import DatabaseUnsuitable

DEPENDENT_VIEWS = """
WITH own AS (
    SELECT array_agg(view) FILTER (WHERE view IS NOT NULL) AS views
    FROM unnest(CAST(:views AS text[])) name CROSS JOIN to_regclass(format('%I.%I', current_schema(), name)) view
)
SELECT DISTINCT v.oid::regclass::text
FROM own CROSS JOIN pg_depend d JOIN pg_rewrite r ON r.oid = d.objid JOIN pg_class v ON v.oid = r.ev_class
LEFT JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
WHERE d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass
  AND (d.refobjid = CAST(:table AS regclass) AND a.attname = :column OR d.refobjid = ANY(own.views))
  AND v.oid <> ALL(coalesce(own.views, '{}'))
ORDER BY 1
"""


def require_no_views_on(connection: Connection, table: str, column: str, views: Sequence[str]) -> None:
    """Raise if a view other than ``views`` uses a column whose type changes, or one of ``views``, which are made anew.

    In a new database there is none of them yet.

    Raises:
        DatabaseUnsuitable: the message names the view and the repair.
    """
    parameters = {"table": table, "column": column, "views": list(views)}
    dependent = connection.execute(text(DEPENDENT_VIEWS), parameters).scalars().all()
    if dependent:
        names = ", ".join(dependent)
        raise DatabaseUnsuitable(
            f"the upgrade changes the type of {table}.{column}, which view {names} uses: keep its definition, "
            f"DROP VIEW {names}, upgrade, and create it again"
        )
