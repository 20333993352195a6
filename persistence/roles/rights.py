"""The rights of a role, from its kinds: exactly those that a sender, a reader or the service needs.

`grant` takes away what the role has on the program's tables and gives what it should have, so that an upgrade which
brings new tables, views and columns only calls it again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import psycopg
from psycopg import sql

from domain.trading.decision import Decision
from persistence import schema
from persistence.rows import one_row

DECISIONS, ORDERS, ROLES = "trading_decisions", "paper_orders", "paper_roles"
OF_PROGRAM = frozenset({
    "id", "status", "outcome_reason", "order_id", "processed_at", "created_at", "retry_of", "sent_by", "received_at"
})  # fmt: skip
"""Columns of a decision that its sender does not set: the database and the program do."""
SENDER_READS: Mapping[str, Sequence[str]] = {
    DECISIONS: (),
    ORDERS: (),
    "paper_schema_version": (),
    "paper_lease": (),
    "paper_lease_renewal": (),
    "paper_generation": (),
    "paper_processes": ("epoch", "settings"),
    "paper_trading_config": ("portfolio", "name", "life", "currency", "created_at", "closed_at", "replaced_at"),
    "paper_validation_runs": ("id", "name", "portfolios", "strategies", "allow_foreign", "ended_at"),
}
"""What a sender reads, by table, all columns where none is named: its own decisions and orders, whether the service
runs, how old a decision may become, names of portfolios, and which strategies a validation run admits."""
KEPT_FROM_SERVICE = frozenset({"paper_schema_version", ROLES})
"""Tables that the service reads and the owner alone writes."""

RELATIONS = """
SELECT c.relname, c.relkind = 'v' FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = %(schema)s AND (c.relkind IN ('r', 'p') AND c.relname = ANY(%(tables)s)
                                  OR c.relkind = 'v' AND c.relname LIKE 'v\\_paper\\_%%')
ORDER BY 1
"""
FUNCTIONS = """
SELECT p.oid::regprocedure::text FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
WHERE n.nspname = %(schema)s AND p.prorettype <> 'trigger'::regtype AND NOT p.prosecdef
  AND (p.proname LIKE 'paper\\_%%' OR p.proname IN ('calculate_position_pnl', 'get_portfolio_value'))
ORDER BY 1
"""
"""Without those that run with their owner's rights: they are open to all, or to nobody."""
SEQUENCES = """
SELECT DISTINCT n.nspname, s.relname
FROM pg_attrdef a
JOIN pg_depend d ON d.classid = 'pg_attrdef'::regclass AND d.objid = a.oid AND d.refclassid = 'pg_class'::regclass
JOIN pg_class s ON s.oid = d.refobjid AND s.relkind = 'S' JOIN pg_namespace n ON n.oid = s.relnamespace
WHERE a.adrelid = to_regclass(format('%%I.%%I', %(schema)s::text, 'trading_decisions'))
"""
"""Of the defaults of an adopted table; an identity needs no right."""
COLUMNS = """
SELECT attname FROM pg_attribute
WHERE attrelid = to_regclass(format('%%I.%%I', %(schema)s::text, 'trading_decisions'))
  AND attnum > 0 AND NOT attisdropped AND attgenerated = '' ORDER BY attnum
"""
OWNED = """
SELECT coalesce(bool_and(pg_has_role(current_user, relowner, 'USAGE')), false) FROM pg_class
WHERE oid = to_regclass(format('%%I.%%I', %(schema)s::text, 'trading_decisions'))
"""
WRITER = "GRANT TRIGGER ON {} TO {} WITH GRANT OPTION"
"""By this right the triggers of the table know who writes outcomes: PostgreSQL ascribes it to nobody but the owner."""
UNPROTECTED = """
SELECT relname FROM pg_class
WHERE relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = %(schema)s) AND relname = ANY(%(tables)s)
  AND NOT relrowsecurity ORDER BY 1
"""


@dataclass(frozen=True, slots=True)
class Role:
    """A role of the database, and what it is for.

    Attributes:
        sends: inserts decisions, and sees what became of its own.
        reads: reads all tables and views.
        serves: runs the service without owning the tables.
    """

    name: str
    sends: bool = False
    reads: bool = False
    serves: bool = False

    @property
    def sees_own_alone(self) -> bool:
        """Whether it sees its own decisions and their orders, and no others; the function ``paper_sees_all`` agrees."""
        return self.sends and not self.reads and not self.serves

    @property
    def kinds(self) -> tuple[str, ...]:
        """The words for what it is for: ``sender``, ``reader``, ``service``."""
        kinds = {"sender": self.sends, "reader": self.reads, "service": self.serves}
        return tuple(name for name, holds in kinds.items() if holds)


def grant(cursor: psycopg.Cursor, schema_name: str, role: Role) -> None:
    """Give a role exactly its rights on the program's tables; the cursor's role owns them.

    Args:
        cursor: of a transaction.
        schema_name: of the tables.
        role: exists on the server.
    """
    take_away(cursor, schema_name, role.name)
    for right in _rights(cursor, schema_name, role):
        cursor.execute(sql.SQL("GRANT {} TO {}").format(right, sql.Identifier(role.name)))
    if role.serves:
        cursor.execute(sql.SQL(WRITER).format(sql.Identifier(schema_name, DECISIONS), sql.Identifier(role.name)))
    if role.sees_own_alone:
        _protect_rows(cursor, schema_name)


def take_away(cursor: psycopg.Cursor, schema_name: str, name: str) -> None:
    """Take away all rights of a role on the program's tables, views and functions, and on their schema."""
    objects = [sql.SQL("SCHEMA {}").format(sql.Identifier(schema_name))]
    relations = [name for name, _ in _relations(cursor, schema_name)]
    objects += [sql.SQL("TABLE {}").format(sql.Identifier(schema_name, one)) for one in relations]
    objects += [sql.SQL("FUNCTION {}").format(sql.SQL(one)) for one in _functions(cursor, schema_name)]
    objects += [sql.SQL("SEQUENCE {}").format(sql.Identifier(*one)) for one in _sequences(cursor, schema_name)]
    for one in objects:
        cursor.execute(sql.SQL("REVOKE ALL ON {} FROM {} CASCADE").format(one, sql.Identifier(name)))


def sent_columns(cursor: psycopg.Cursor, schema_name: str) -> list[str]:
    """Return the columns of a decision that a sender may set: its fields, and those of a table that was adopted."""
    others = {column for table, column in schema.own_columns() if table == DECISIONS} | OF_PROGRAM
    rows = cursor.execute(COLUMNS, {"schema": schema_name}).fetchall()
    return [name for (name,) in rows if name in Decision.model_fields or name not in others]


def owns_tables(cursor: psycopg.Cursor, schema_name: str) -> bool:
    """Return whether the cursor's role owns the table of decisions, or is a member of the role that does."""
    return bool(one_row(cursor, OWNED, {"schema": schema_name})[0])


def _rights(cursor: psycopg.Cursor, schema_name: str, role: Role) -> Iterator[sql.Composable]:
    """Yield each right with what it is on: ``SELECT ON paper_orders``."""
    yield sql.SQL("USAGE ON SCHEMA {}").format(sql.Identifier(schema_name))
    for function in _functions(cursor, schema_name):
        yield sql.SQL("EXECUTE ON FUNCTION {}").format(sql.SQL(function))
    for name, is_view in _relations(cursor, schema_name):
        on = sql.SQL(" ON {}").format(sql.Identifier(schema_name, name))
        if role.reads or role.serves:
            yield sql.SQL("SELECT") + on
        elif role.sends and name in SENDER_READS:
            yield _columns("SELECT", SENDER_READS[name]) + on
        if role.serves and not is_view and name not in KEPT_FROM_SERVICE:
            yield sql.SQL("INSERT, UPDATE, DELETE") + on
    if role.sends:
        on = sql.SQL(" ON {}").format(sql.Identifier(schema_name, DECISIONS))
        yield _columns("INSERT", sent_columns(cursor, schema_name)) + on
    if role.sends or role.serves:
        for sequence in _sequences(cursor, schema_name):
            yield sql.SQL("USAGE ON SEQUENCE {}").format(sql.Identifier(*sequence))


def _protect_rows(cursor: psycopg.Cursor, schema_name: str) -> None:
    """Let the policies of ``sql/`` count, by which a sender sees its own rows; they never concern the owner."""
    parameters = {"schema": schema_name, "tables": [DECISIONS, ORDERS]}
    for (name,) in cursor.execute(UNPROTECTED, parameters).fetchall():
        table = sql.Identifier(schema_name, name)
        cursor.execute(sql.SQL("ALTER TABLE {} ENABLE ROW LEVEL SECURITY").format(table))


def _columns(right: str, columns: Sequence[str]) -> sql.Composed:
    names = sql.SQL(", ").join(map(sql.Identifier, columns))
    return sql.SQL(f"{right} ({{}})").format(names) if columns else sql.Composed([sql.SQL(right)])


def _relations(cursor: psycopg.Cursor, schema_name: str) -> list[tuple[str, bool]]:
    """Return the program's tables and views, each with whether it is a view."""
    parameters = {"schema": schema_name, "tables": sorted(schema.own_tables())}
    return cursor.execute(RELATIONS, parameters).fetchall()


def _functions(cursor: psycopg.Cursor, schema_name: str) -> list[str]:
    """Return the program's functions that people and views call, as PostgreSQL writes them."""
    return [name for (name,) in cursor.execute(FUNCTIONS, {"schema": schema_name}).fetchall()]


def _sequences(cursor: psycopg.Cursor, schema_name: str) -> list[tuple[str, str]]:
    return cursor.execute(SEQUENCES, {"schema": schema_name}).fetchall()
