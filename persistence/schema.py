"""Upgrade of a database to ``sql/``: versioned files with alembic, the views, then perhaps ``timescale.sql``."""

from __future__ import annotations

import importlib
import re
from collections.abc import Mapping
from functools import cache
from importlib import resources

import psycopg
from loguru import logger
from sqlalchemy import Connection, text
from sqlalchemy.exc import ProgrammingError

from domain.errors import DatabaseUnsuitable
from domain.program import command_name
from persistence.connections import naming_blockers, pool, reading
from persistence.error_translation import first_line
from persistence.sessions.address import PUBLIC, display_address, schema_of
from persistence.storage.timescale import adopt_timescale

VERSION = re.compile(r"\d{4}_\w+\.py")
VERSION_TABLE = "paper_schema_version"
CREATED = re.compile(r"^CREATE TABLE (\w+) \(\n(.*?)^\);$", re.MULTILINE | re.DOTALL)
ADDED = re.compile(r"^ALTER TABLE (\w+) ADD COLUMN (?:IF NOT EXISTS )?(\w+)", re.MULTILINE)
RULES = """
SELECT quote_ident(r.rulename), r.ev_class::regclass::text
FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = :schema AND c.relname = ANY(:tables) AND c.relkind IN ('r', 'p') AND r.ev_enabled <> 'D'
  AND (r.ev_type IN ('2', '3') OR r.ev_type = '4' AND c.relname <> 'trading_decisions')
ORDER BY 2, 1 LIMIT 1
"""
"""A rule on INSERT, UPDATE or DELETE (pg_rewrite's 3, 2 and 4); nothing deletes decisions."""
MAY_UPGRADE = """
SELECT current_user, coalesce(
    (SELECT pg_has_role(current_user, c.relowner, 'USAGE') FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname = :schema AND c.relname = 'paper_schema_version'),
    (SELECT has_schema_privilege(n.oid, 'CREATE') FROM pg_namespace n WHERE n.nspname = :schema),
    has_database_privilege(current_database(), 'CREATE'))
"""
NEEDED_RIGHTS = {"trading_decisions": "UPDATE", "paper_roles": "SELECT"}
"""What the service needs on a table, where that is not INSERT; SELECT it needs on all."""
LACKED_RIGHT = """
SELECT name, needed FROM unnest(CAST(:tables AS text[]), CAST(:rights AS text[])) AS rights (name, needed)
WHERE NOT has_table_privilege(format('%I.%I', CAST(:schema AS text), name), needed) LIMIT 1
"""
MADE = re.compile(r"^ *CREATE (?:OR REPLACE )?(FUNCTION|VIEW|TRIGGER|POLICY) (\w+)", re.MULTILINE)
COLUMN = re.compile(r"^    ([a-z_]+) +[a-z]", re.MULTILINE)


def read_file(name: str) -> str:
    """Return the text of a file of ``sql/``, or of a folder in it."""
    return resources.files("sql").joinpath(*name.split("/")).read_text(encoding="utf-8")


def view_files() -> list[str]:
    """Return the files of ``sql/views/``, in the order in which they run: one may use the views of those before it."""
    files = resources.files("sql").joinpath("views").iterdir()
    return sorted(f"views/{file.name}" for file in files if file.name.endswith(".sql"))


@cache
def versions() -> tuple[str, ...]:
    """Return all schema versions that this program knows, the oldest first: the names of its migrations."""
    packages = ("persistence.migrations.versions", "persistence.migrations.versions.v0_1")
    files = [file for package in packages for file in resources.files(package).iterdir()]
    return tuple(sorted(file.name.removesuffix(".py") for file in files if VERSION.fullmatch(file.name)))


def newest_version() -> str:
    """Return the schema version that this program brings."""
    return versions()[-1]


@cache
def own_tables() -> frozenset[str]:
    """Return the names of all tables in the files of ``sql/``, and of the table with the schema version."""
    return frozenset({VERSION_TABLE, *_columns_of_tables()})


def own_columns() -> frozenset[tuple[str, str]]:
    """Return table and name of each column in the files of ``sql/``."""
    return frozenset((table, column) for table, columns in _columns_of_tables().items() for column in columns)


@cache
def _columns_of_tables() -> Mapping[str, tuple[str, ...]]:
    statements = _all_files()
    columns = {table: COLUMN.findall(body) for table, body in CREATED.findall(statements)}
    for table, column in ADDED.findall(statements):
        columns[table].append(column)
    return {table: tuple(names) for table, names in columns.items()}


@cache
def own_objects() -> frozenset[tuple[str, str]]:
    """Return kind and name of what has code in the files of ``sql/``: functions, views, triggers and policies."""
    views = "".join(map(read_file, view_files()))
    return frozenset((kind, name) for kind, name in MADE.findall(_all_files() + views))


def _all_files() -> str:
    names = sorted(file.name for file in resources.files("sql").iterdir() if file.name.endswith(".sql"))
    return "".join(map(read_file, names))


def is_known(version: str) -> bool:
    """Return whether this program knows the schema version; it does not know a newer program's."""
    return version in versions()


def current_version(connection: Connection, schema: str = PUBLIC) -> str | None:
    """Return the version of a schema; None if it has none yet."""
    table = f"{_quoted(schema)}.{VERSION_TABLE}"
    if connection.execute(text("SELECT to_regclass(:name)"), {"name": table}).scalar() is None:
        return None
    version = connection.execute(text(f"SELECT version_num FROM {table}")).scalar()
    return None if version is None else str(version)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def is_current(database_url: str) -> bool:
    """Return whether the database has this program's newest schema.

    Raises:
        DatabaseUnsuitable: its schema is newer than the program.
    """
    with pool(database_url, "schema") as engine, reading(engine) as connection:
        return _check(current_version(connection, schema_of(database_url)), database_url) == newest_version()


def upgrade(database_url: str) -> str:
    """Bring the database to this program's schema; the caller holds the lease. A second call changes nothing.

    Returns:
        The schema version that the database has now.

    Raises:
        DatabaseUnsuitable: it is read-only, its schema is newer than the program, the role may not create tables, or a
            table is not as this program needs it; the message says which, and how to repair it. Nothing was changed.
        DatabaseBusy: another session, perhaps a reader, holds a lock on a table; the message names the session.
    """
    schema = schema_of(database_url)
    with (
        pool(database_url, "schema") as engine,
        naming_blockers(engine, readers=True),
        reading(engine) as connection,
    ):
        with connection.begin():
            _migrate(connection, database_url)
        adopt_timescale(connection, read_file("timescale.sql"))
        with connection.begin():
            _require_tables(connection, schema)
        return newest_version()


def require_may_upgrade(database_url: str) -> None:
    """Raise unless the role of a URL may upgrade the database: it owns the tables, or may create them.

    Without this a role that only sends or reads would take the lease, which keeps a service from starting.

    Raises:
        DatabaseUnsuitable: it may not; the message says who may.
    """
    with pool(database_url, "schema") as engine, reading(engine) as connection:
        _require_upgrader(connection, database_url)


def _require_upgrader(connection: Connection, database_url: str) -> None:
    schema = schema_of(database_url)
    version = current_version(connection, schema)
    role, may = connection.execute(text(MAY_UPGRADE), {"schema": schema}).one()
    if not may:
        has = "has no tables of this program" if version is None else f"has schema {version}"
        raise DatabaseUnsuitable(
            f"the database {display_address(database_url)} {has}, this program brings {newest_version()}, and role"
            f" {role} may not upgrade it: its owner runs `{command_name()} db upgrade`"
        )


def rehearse(database_url: str) -> None:
    """Do what `upgrade` does but for TimescaleDB, and take it back; while a service runs only what locks no table.

    Raises:
        DatabaseUnsuitable: as `upgrade`.
        DatabaseBusy: as `upgrade`.
    """
    with (
        pool(database_url, "schema") as engine,
        naming_blockers(engine, readers=True),
        reading(engine) as connection,
        connection.begin() as rehearsal,
    ):
        logger.disable("persistence.adoption")  # which would say that it has adopted a table
        try:
            _migrate(connection, database_url)
        finally:
            logger.enable("persistence.adoption")
        _require_tables(connection, schema_of(database_url))
        rehearsal.rollback()


def _migrate(connection: Connection, database_url: str) -> None:
    schema = schema_of(database_url)
    version = _check(current_version(connection, schema), database_url)
    if version != newest_version():
        if version is not None:
            _require_upgrader(connection, database_url)
        _create(connection, schema)
        # Rarely needed and slow to import: commands that only read must start fast.
        importlib.import_module("persistence.migrations.runner").run(connection, schema)


def _check(version: str | None, database_url: str) -> str | None:
    if version is not None and not is_known(version):
        raise DatabaseUnsuitable(
            f"the database {display_address(database_url)} has schema {version}, which is newer than this program's "
            f"{newest_version()}; use the newer program"
        )
    return version


def _create(connection: Connection, schema: str) -> None:
    """Create the schema if it is missing; raise if this role may not create the schema or its tables."""
    role, exists, may_create, may_fill = connection.execute(
        text(
            "SELECT current_user, n.oid IS NOT NULL, has_database_privilege(current_database(), 'CREATE'),"
            " has_schema_privilege(n.oid, 'CREATE')"
            " FROM (SELECT 1) one LEFT JOIN pg_namespace n ON n.nspname = :schema"
        ),
        {"schema": schema},
    ).one()
    if not exists and not may_create:
        repair = f"CREATE SCHEMA {schema} AUTHORIZATION {role}"
        raise DatabaseUnsuitable(f"there is no schema {schema}, and role {role} may not create it: {repair}")
    if exists and not may_fill:
        msg = f"role {role} may not create tables in schema {schema}: GRANT USAGE, CREATE ON SCHEMA {schema} TO {role}"
        raise DatabaseUnsuitable(msg)
    if not exists:
        connection.execute(text(f"CREATE SCHEMA {_quoted(schema)}"))


def _require_tables(connection: Connection, schema: str) -> None:
    """Raise if a table, column or right is missing, or a table cannot be written, so that a start fails at once."""
    if connection.execute(text("SHOW transaction_read_only")).scalar() == "on":
        raise DatabaseUnsuitable("the database is read-only, as a stand-by is; the service needs one that it can write")
    rule = connection.execute(text(RULES), {"schema": schema, "tables": sorted(own_tables())}).first()
    if rule is not None:
        name, table = rule
        raise DatabaseUnsuitable(
            f"the rule {name} changes what is written to table {table}, and the program's statements fail with it: "
            f"DROP RULE {name} ON {table}; use a trigger instead"
        )
    reads = {
        table: f"SELECT {', '.join(columns)} FROM {_quoted(schema)}.{table} LIMIT 0"
        for table, columns in _columns_of_tables().items()
    }
    try:
        _execute_nested(connection, "; ".join(reads.values()))  # in one round trip
    except ProgrammingError:
        for table, read in reads.items():
            _require_readable(connection, read, f"{schema}.{table}")
    rights = [NEEDED_RIGHTS.get(table, "INSERT") for table in reads]
    needed = {"schema": schema, "tables": list(reads), "rights": rights}
    if (lacked := connection.execute(text(LACKED_RIGHT), needed).first()) is not None:
        table, right = lacked
        raise DatabaseUnsuitable(f"the database role lacks the right {right} on table {schema}.{table}")
    _require_writer(connection, schema)


def _execute_nested(connection: Connection, statements: str) -> None:
    with connection.begin_nested():
        # PostgreSQL takes several statements at once only without parameters, be they none.
        connection.exec_driver_sql(statements, execution_options={"no_parameters": True})


def _require_readable(connection: Connection, read: str, table: str) -> None:
    try:
        _execute_nested(connection, read)
    except ProgrammingError as error:  # a lost connection raises another class
        cause = error.orig if isinstance(error.orig, psycopg.Error) else None
        raise DatabaseUnsuitable(f"table {table} cannot be used: {first_line(cause or error)}") from error


def _require_writer(connection: Connection, schema: str) -> None:
    """Raise if this role is no writer of outcomes: triggers allow only the owner of the table, and its members."""
    statement = text("SELECT current_user, has_table_privilege(:name, 'TRIGGER WITH GRANT OPTION')")
    role, is_writer = connection.execute(statement, {"name": f"{_quoted(schema)}.trading_decisions"}).one()
    if not is_writer:
        name = f"{schema}.trading_decisions"
        raise DatabaseUnsuitable(
            f"table {name} belongs to another role, so the outcomes that {role} writes would be refused: "
            f"ALTER TABLE {name} OWNER TO {role}, or GRANT the role of the owner TO {role}"
        )
