"""Adoption of an existing table of decisions, made by another program, in place and with its rows.

It runs inside the first migration's transaction, so a refusal changes nothing. It updates no row, so the owner's
triggers do not fire. Constraints for new rows are added as NOT VALID.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from loguru import logger
from sqlalchemy import Connection, text

from domain.errors import DatabaseUnsuitable
from domain.program import command_name
from persistence.schema import read_file
from persistence.stores.intake.submissions import EVIDENCE

TABLE = "trading_decisions"
REASON = "adopted: in the table before adoption"
"""The outcome of rows that existed before adoption."""
REQUIRED = ("id", "symbol", "decision", "confidence", "reasoning", "current_price", "created_at")
WRITTEN_BY_PROGRAM = (
    "uid", "status", "outcome_reason", "order_id", "processed_at", "retry_of", "sent_by", "received_at",
)  # fmt: skip
"""Columns that the program and its triggers write; in an existing table such a name means something else."""
TEXT = ("text", "character varying")
NUMBER = ("numeric", "double precision", "real")
TIMESTAMP = ("timestamp with time zone", "timestamp without time zone")
TYPES: Mapping[str, tuple[str, ...]] = {
    "id": ("bigint", "integer", "smallint", "uuid"),
    "portfolio": TEXT, "asset_class": TEXT, "symbol": TEXT, "decision": TEXT, "reasoning": TEXT, "strategy": TEXT,
    "idempotency_key": TEXT, "confidence": NUMBER, "risk_score": NUMBER, "current_price": NUMBER, "quantity": NUMBER,
    "created_at": TIMESTAMP, "expires_at": TIMESTAMP,
}  # fmt: skip
ORDER_COLUMNS: Mapping[str, tuple[str, ...]] = {
    "order_type": TEXT, "time_in_force": TEXT, "target": TEXT, "post_only": ("boolean",), "reduce_only": ("boolean",),
    "order_expires_at": TIMESTAMP,
    "limit_price": NUMBER, "stop_price": NUMBER, "stop_loss": NUMBER, "stop_loss_pct": NUMBER, "take_profit": NUMBER,
    "take_profit_pct": NUMBER,
}  # fmt: skip
"""Columns that ``sql/0011_orders.sql`` adds where they are missing, with the types that an existing one may have."""
TRAILING_COLUMNS: Mapping[str, tuple[str, ...]] = {
    "take_profits": ("jsonb",),
    "trail": NUMBER, "trail_pct": NUMBER, "trailing_stop": NUMBER, "trailing_stop_pct": NUMBER,
}  # fmt: skip
"""Those of ``sql/0012_trailing.sql``."""
NEVER_NULL = ("symbol", "decision", "confidence", "created_at", "portfolio")
KINDS = {"v": "a view", "m": "a materialized view", "f": "a foreign table", "p": "a partitioned table"}

RELATION = """
SELECT c.oid, c.relkind, pg_has_role(current_user, c.relowner, 'USAGE') AS owned, current_user AS role,
       row_security_active(c.oid) AS hides, n.nspname AS schema,
       EXISTS (SELECT FROM pg_inherits i WHERE c.oid IN (i.inhrelid, i.inhparent)) AS inherits
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = current_schema() AND c.relname = :table
"""
HYPERTABLE = """
SELECT EXISTS (SELECT FROM timescaledb_information.hypertables
               WHERE hypertable_schema = :schema AND hypertable_name = :table)
"""
COLUMNS = """
SELECT a.attname AS name, format_type(a.atttypid, NULL) AS type, a.attnotnull AS filled,
       a.atthasdef OR a.attidentity <> '' AS defaulted, a.attgenerated <> '' AS generated
FROM pg_attribute a WHERE a.attrelid = :oid AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum
"""
UNIQUE_ID = """
SELECT EXISTS (
    SELECT FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
    WHERE i.indrelid = :oid AND a.attname = 'id' AND i.indnkeyatts = 1 AND i.indisunique AND i.indisvalid
      AND i.indimmediate AND i.indpred IS NULL)
"""
ADDED: Mapping[str, str] = {
    "uid": "uuid NOT NULL DEFAULT gen_random_uuid()",
    "portfolio": "text NOT NULL DEFAULT 'default'",
    "asset_class": "text",
    "risk_score": "numeric(38,18)",
    "quantity": "numeric(38,18)",
    "strategy": "text",
    "expires_at": "timestamptz",
    "idempotency_key": "text",
    "status": "text NOT NULL DEFAULT 'ignored'",
    "outcome_reason": f"text DEFAULT '{REASON}'",
    "order_id": "uuid",
    "processed_at": "timestamptz DEFAULT now()",
}
AFTERWARDS = (
    "ALTER COLUMN status SET DEFAULT 'pending'",
    "ALTER COLUMN outcome_reason DROP DEFAULT",
    "ALTER COLUMN processed_at DROP DEFAULT",
)


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the existing table."""

    name: str
    type: str
    filled: bool
    defaulted: bool
    generated: bool


def exists(connection: Connection) -> bool:
    """Return whether the schema has a table, view or other relation of that name."""
    return connection.execute(text(RELATION), {"table": TABLE}).first() is not None


def adopt(connection: Connection) -> None:
    """Give the existing table the columns and constraints of ``sql/0001_decisions.sql``; its rows count as ignored.

    Raises:
        DatabaseUnsuitable: the table cannot be adopted; the message gives the reason and the repair.
    """
    relation = connection.execute(text(RELATION), {"table": TABLE}).one()
    name = f"{relation.schema}.{TABLE}"
    _require_owned_table(connection, relation, name)
    connection.execute(text(f"LOCK TABLE {TABLE} IN ACCESS EXCLUSIVE MODE"))
    columns = {c.name: c for c in (Column(*row) for row in connection.execute(text(COLUMNS), {"oid": relation.oid}))}
    _require_columns(name, columns)
    _require_ids(connection, relation.oid, name, columns["id"])
    _require_distinct_keys(connection, name, columns)
    for statement in _changes(columns):
        connection.exec_driver_sql(f"ALTER TABLE {TABLE} {statement}", execution_options={"no_parameters": True})
    for index in re.findall(r"^CREATE INDEX .*?;$", _rules(), re.MULTILINE | re.DOTALL):
        connection.exec_driver_sql(index, execution_options={"no_parameters": True})
    if columns["id"].type != "bigint":
        using = "NULL::uuid" if columns["id"].type == "uuid" else f"decision_id::{columns['id'].type}"
        connection.execute(
            text(f"ALTER TABLE paper_orders ALTER COLUMN decision_id TYPE {columns['id'].type} USING {using}")
        )
    _log_result(connection, name, columns)


def require_order_columns(connection: Connection, needed: Mapping[str, tuple[str, ...]] = ORDER_COLUMNS) -> None:
    """Raise if the table has a column of a name that the terms of an order need, and of another type.

    Args:
        connection: of the migration.
        needed: the columns, each with its possible types.

    Raises:
        DatabaseUnsuitable: the message names the column and the repair.
    """
    relation = connection.execute(text(RELATION), {"table": TABLE}).one()
    columns = {c.name: c for c in (Column(*row) for row in connection.execute(text(COLUMNS), {"oid": relation.oid}))}
    _require_types(f"{relation.schema}.{TABLE}", columns, needed)


def require_free_names(connection: Connection, names: Collection[str]) -> None:
    """Raise if the table, which an earlier version made or adopted, has columns of names that the program needs.

    Raises:
        DatabaseUnsuitable: the message names the column and the repair.
    """
    relation = connection.execute(text(RELATION), {"table": TABLE}).one()
    columns = [Column(*row).name for row in connection.execute(text(COLUMNS), {"oid": relation.oid})]
    _refuse_taken(f"{relation.schema}.{TABLE}", [name for name in names if name in columns], "used")


def _require_owned_table(connection: Connection, relation: object, name: str) -> None:
    kind = KINDS.get(relation.relkind)  # type: ignore[attr-defined]
    if kind is None and relation.relkind == "r":  # type: ignore[attr-defined]
        kind = "part of an inheritance" if relation.inherits else None  # type: ignore[attr-defined]
        extension = connection.execute(text("SELECT to_regclass('timescaledb_information.hypertables')")).scalar()
        places = {"schema": relation.schema, "table": TABLE}  # type: ignore[attr-defined]
        if extension is not None and connection.execute(text(HYPERTABLE), places).scalar():
            kind = "a hypertable"
    elif kind is None:
        kind = "not a table"
    if kind is not None:
        msg = f"{name} is {kind}, and only an ordinary table can be adopted; rename it, or set another database_schema"
        raise DatabaseUnsuitable(msg)
    if not relation.owned:  # type: ignore[attr-defined]
        role = relation.role  # type: ignore[attr-defined]
        msg = f"table {name} belongs to another role, so {role} cannot adopt it: ALTER TABLE {name} OWNER TO {role}"
        raise DatabaseUnsuitable(msg)
    if relation.hides:  # type: ignore[attr-defined]
        msg = f"row security hides rows of table {name} from this role: ALTER TABLE {name} NO FORCE ROW LEVEL SECURITY"
        raise DatabaseUnsuitable(msg)


def _require_columns(name: str, columns: Mapping[str, Column]) -> None:
    missing = [column for column in REQUIRED if column not in columns]
    if missing:
        without = f"table {name} cannot be adopted without column {', '.join(missing)}"
        raise DatabaseUnsuitable(f"{without}; add it, or set another database_schema")
    _refuse_taken(name, [column for column in WRITTEN_BY_PROGRAM if column in columns], "adopted")
    _require_types(name, columns, TYPES)


def _refuse_taken(name: str, taken: Collection[str], done: str) -> None:
    if taken:
        first = next(iter(taken))
        raise DatabaseUnsuitable(
            f"table {name} has column {', '.join(taken)}, which this program writes itself, so it cannot be {done}: "
            f"ALTER TABLE {name} RENAME COLUMN {first} TO my_{first}"
        )


def _require_types(name: str, columns: Mapping[str, Column], allowed_types: Mapping[str, tuple[str, ...]]) -> None:
    for column, types in allowed_types.items():
        existing = columns.get(column)
        if existing is not None and existing.type not in types:
            allowed = " or ".join(types)
            msg = f"column {column} of table {name} is {existing.type}, and must be {allowed}: ALTER its TYPE"
            raise DatabaseUnsuitable(msg)
        if existing is not None and existing.generated:
            msg = f"column {column} of table {name} is generated, and must be one that can be inserted"
            raise DatabaseUnsuitable(msg)


def _require_ids(connection: Connection, oid: int, name: str, column: Column) -> None:
    unique = connection.execute(text(UNIQUE_ID), {"oid": oid}).scalar()
    if not unique or not column.filled:
        reason = f"the ids of table {name} may be double or missing, so it cannot be adopted"
        raise DatabaseUnsuitable(f"{reason}: ALTER TABLE {name} ADD PRIMARY KEY (id)")
    if not column.defaulted and column.type != "uuid":
        next_id = connection.execute(text(f"SELECT coalesce(max(id)::bigint, 0) + 1 FROM {TABLE}")).scalar()
        raise DatabaseUnsuitable(
            f"column id of table {name} has no default, so a decision cannot be inserted without one: "
            f"ALTER TABLE {name} ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (START WITH {next_id})"
        )


def _require_distinct_keys(connection: Connection, name: str, columns: Mapping[str, Column]) -> None:
    if "idempotency_key" in columns:
        duplicate = connection.execute(
            text(
                f"SELECT idempotency_key FROM {TABLE} WHERE idempotency_key IS NOT NULL"
                " GROUP BY 1 HAVING count(*) > 1 LIMIT 1"
            )
        ).scalar()
        if duplicate is not None:
            msg = f"idempotency_key {duplicate!r} is in two rows of table {name}: set all but one of them to NULL"
            raise DatabaseUnsuitable(msg)


def _changes(columns: Mapping[str, Column]) -> list[str]:
    """Return the actions of ALTER TABLE, in order."""
    changes = [f"ADD COLUMN {name} {definition}" for name, definition in ADDED.items() if name not in columns]
    changes += AFTERWARDS
    if not columns["id"].defaulted:
        changes.append("ALTER COLUMN id SET DEFAULT gen_random_uuid()")
    if not columns["created_at"].defaulted:
        without_zone = columns["created_at"].type == "timestamp without time zone"
        changes.append(f"ALTER COLUMN created_at SET DEFAULT now(){' AT TIME ZONE $$UTC$$' if without_zone else ''}")
    if "portfolio" in columns and not columns["portfolio"].defaulted:
        changes.append("ALTER COLUMN portfolio SET DEFAULT 'default'")
    changes += [
        f'ADD CONSTRAINT "{name} is needed" CHECK ({name} IS NOT NULL) NOT VALID'
        for name in NEVER_NULL
        if name in columns and not columns[name].filled
    ]
    rules = re.findall(r'^    (CONSTRAINT "[^"]+"\s+(UNIQUE|CHECK) .*?\))(?:,?)$(?=\n    CONSTRAINT|\n\);)', _rules(),
                       re.MULTILINE | re.DOTALL)  # fmt: skip
    return changes + [f"ADD {rule}{' NOT VALID' if kind == 'CHECK' else ''}" for rule, kind in rules]


def _rules() -> str:
    return read_file("0001_decisions.sql")


def _log_result(connection: Connection, name: str, columns: Mapping[str, Column]) -> None:
    rows = connection.execute(text(f"SELECT count(*) FROM {TABLE}")).scalar()
    logger.info("table {} is adopted; its {} rows count as ignored", name, rows)
    required = [
        c.name
        for c in columns.values()
        if c.filled
        and not c.generated
        and c.name not in {"id", *NEVER_NULL}
        and (not c.defaulted or c.name in set(TYPES) - set(EVIDENCE))  # those are inserted as NULL, not left out
    ]
    if required:
        logger.warning(
            "table {} requires {} in each row, but `{} decide` and submit() insert it only for a decision that has it: "
            "allow NULL, or insert with SQL",
            name,
            ", ".join(required),
            command_name(),
        )
