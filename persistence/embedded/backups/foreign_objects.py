"""Objects with code in a database, by their definitions, and whether they are this program's.

What a backup calls an object proves nothing, so definitions are compared: those of the restored database with those
that the program's own migrations make, in a schema that is rolled back.
"""

from __future__ import annotations

import importlib
import re
import secrets
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import psycopg
from sqlalchemy import Connection, text

from persistence import schema
from persistence.connections import pool, reading
from persistence.embedded.backups.contents import OWN_VIEW
from persistence.embedded.backups.rights import GRANTS

FIRST_OID = 16384
"""The oid of the first object that is not PostgreSQL's own."""
SAFE_PATH = "SELECT pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true)"
"""For the transaction: nothing that a backup made comes before PostgreSQL's own, and all names are written in full."""
OBJECTS = f"""
WITH objects (class, oid, definition) AS (
    SELECT 'pg_proc'::regclass, oid, CASE WHEN prokind IN ('f', 'p') THEN pg_get_functiondef(oid) END FROM pg_proc
    UNION ALL
    SELECT 'pg_class'::regclass, oid,
           CASE WHEN relkind IN ('v', 'm') THEN concat_ws(' ', reloptions::text, pg_get_viewdef(oid)) END
    FROM pg_class WHERE relkind IN ('v', 'm', 'f', 'c')
    UNION ALL
    SELECT 'pg_trigger'::regclass, oid, concat_ws(' ', nullif(tgenabled, 'O'), pg_get_triggerdef(oid))
    FROM pg_trigger WHERE NOT tgisinternal
    UNION ALL SELECT 'pg_rewrite'::regclass, oid, NULL FROM pg_rewrite WHERE rulename <> '_RETURN'
    UNION ALL
    SELECT 'pg_policy'::regclass, oid,
           concat_ws(' ', '/*', polcmd, polpermissive, polroles, '*/',
                     format('ALTER POLICY %I ON %s', polname, polrelid::regclass),
                     'USING (' || pg_get_expr(polqual, polrelid) || ')',
                     'WITH CHECK (' || pg_get_expr(polwithcheck, polrelid) || ')')
    FROM pg_policy
    UNION ALL SELECT 'pg_operator'::regclass, oid, NULL FROM pg_operator
    UNION ALL SELECT 'pg_opclass'::regclass, oid, NULL FROM pg_opclass
    UNION ALL SELECT 'pg_opfamily'::regclass, oid, NULL FROM pg_opfamily
    UNION ALL SELECT 'pg_cast'::regclass, oid, NULL FROM pg_cast
    UNION ALL SELECT 'pg_type'::regclass, oid, NULL FROM pg_type WHERE typtype <> 'c' AND typcategory <> 'A'
    UNION ALL SELECT 'pg_collation'::regclass, oid, NULL FROM pg_collation
    UNION ALL SELECT 'pg_conversion'::regclass, oid, NULL FROM pg_conversion
    UNION ALL SELECT 'pg_language'::regclass, oid, NULL FROM pg_language
    UNION ALL SELECT 'pg_transform'::regclass, oid, NULL FROM pg_transform
    UNION ALL SELECT 'pg_am'::regclass, oid, NULL FROM pg_am
    UNION ALL SELECT 'pg_ts_config'::regclass, oid, NULL FROM pg_ts_config
    UNION ALL SELECT 'pg_ts_dict'::regclass, oid, NULL FROM pg_ts_dict
    UNION ALL SELECT 'pg_ts_parser'::regclass, oid, NULL FROM pg_ts_parser
    UNION ALL SELECT 'pg_ts_template'::regclass, oid, NULL FROM pg_ts_template
    UNION ALL SELECT 'pg_extension'::regclass, oid, NULL FROM pg_extension
    UNION ALL SELECT 'pg_event_trigger'::regclass, oid, NULL FROM pg_event_trigger
    UNION ALL SELECT 'pg_foreign_data_wrapper'::regclass, oid, NULL FROM pg_foreign_data_wrapper
    UNION ALL SELECT 'pg_foreign_server'::regclass, oid, NULL FROM pg_foreign_server
    UNION ALL SELECT 'pg_publication'::regclass, oid, NULL FROM pg_publication
    UNION ALL SELECT 'pg_statistic_ext'::regclass, oid, NULL FROM pg_statistic_ext
), own AS (
    SELECT class, oid, definition FROM objects o
    WHERE oid >= {FIRST_OID}
      AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = o.class AND d.objid = o.oid AND d.deptype = 'e')
)
SELECT i.type, i.identity, own.definition FROM own CROSS JOIN LATERAL pg_identify_object(own.class, own.oid, 0) i
UNION ALL
SELECT 'row security', oid::regclass::text, NULL FROM pg_class WHERE relrowsecurity
UNION ALL
SELECT 'row security of the owner', oid::regclass::text, NULL FROM pg_class WHERE relforcerowsecurity
UNION ALL
SELECT 'large object', oid::text, NULL FROM pg_largeobject_metadata
UNION ALL
SELECT 'settings', format('of %s in %s', coalesce(r.rolname, 'all roles'), coalesce(d.datname, 'all databases')),
       s.setconfig::text
FROM pg_db_role_setting s LEFT JOIN pg_roles r ON r.oid = s.setrole LEFT JOIN pg_database d ON d.oid = s.setdatabase
"""
RENEWALS: Mapping[str, str] = {
    # PostgreSQL writes an expression with other parentheses after it has read its own text, as a backup has it.
    "view": "CREATE OR REPLACE VIEW {identity} AS {definition}",
    "function": "{definition}",
    "trigger": "CREATE OR REPLACE {rest}",
    "policy": "{definition}",
}


@dataclass(frozen=True, slots=True)
class Object:
    """An object with code, or a setting of the database.

    Attributes:
        kind: such as ``function``.
        identity: its whole name, such as ``public.f(integer)``.
        definition: None where the name alone is known.
    """

    kind: str
    identity: str
    definition: str | None

    def __str__(self) -> str:
        return f"{self.kind} {self.identity}".replace("pg_catalog.", "")

    def in_schema(self, name: str) -> Object:
        """Return the object as it would be in another schema, for a comparison."""
        return Object(self.kind, _moved(self.identity, name), self.definition and _moved(self.definition, name))


@dataclass(frozen=True, slots=True)
class Reference:
    """What the program itself makes in a schema.

    Attributes:
        definitions: of each object, by kind and identity; more than one where PostgreSQL writes it in several ways.
        grants: its own, without the schema's name.
        complete: whether the views are among the objects; an earlier version of the schema had others.
    """

    definitions: Mapping[tuple[str, str], frozenset[str | None]]
    grants: frozenset[str]
    complete: bool

    def difference(self, one: Object, schema_name: str) -> str | None:
        """Return a text about an object in a schema that is not the program's; None if it is."""
        moved = one.in_schema(schema_name)
        if one.kind == ROW_SECURITY and moved.identity.removeprefix(SCHEMA) in schema.own_tables():
            return None  # it only takes rows away from roles
        definitions = self.definitions.get((moved.kind, moved.identity))
        if definitions is not None:
            return None if moved.definition in definitions else f"{one}, which differs from this program's"
        if not self.complete and one.kind == "view" and moved.identity.startswith(f"{SCHEMA}{OWN_VIEW}"):
            return None
        return str(one)


ROW_SECURITY = "row security"
SCHEMA = "@."
"""What stands for the name of the schema in a definition."""


def read_objects(cursor: psycopg.Cursor) -> set[Object]:
    """Return all objects with code in the database; the search path is that of `SAFE_PATH` afterwards."""
    cursor.execute(SAFE_PATH)
    return {Object(*row) for row in cursor.execute(OBJECTS).fetchall()}


def foreign_objects(objects: Iterable[Object], references: Mapping[str, Reference]) -> list[str]:
    """Return the objects that are not this program's, as texts for people.

    Args:
        objects: that a restore has made.
        references: what the program makes, by the name of each of its schemas.
    """
    return sorted(filter(None, (_foreign(one, references) for one in objects)))


def reference(database_url: str, version: str) -> Reference:
    """Return what the program makes for a version of its schema; nothing stays in the database.

    Args:
        database_url: for the role that owns the database.
        version: of the schema.
    """
    runner = importlib.import_module("persistence.migrations.runner")
    name = f"paper_reference_{secrets.token_hex(4)}"
    complete = version == schema.newest_version()
    with pool(database_url, "restore") as engine, reading(engine) as connection, connection.begin() as rehearsal:
        connection.execute(text(f"CREATE SCHEMA {name}"))
        connection.execute(text(f"SELECT pg_catalog.set_config('search_path', '{name}, pg_temp', true)"))
        runner.run_to(connection, name, version)
        cursor = _cursor(connection)
        variants = [_objects_in(cursor, name)]
        grants = frozenset(_moved(row[0], name) for row in cursor.execute(GRANTS, {"schema": name}).fetchall())
        for _ in range(2):
            _renew(cursor, variants[-1])
            variants.append(_objects_in(cursor, name))
        rehearsal.rollback()
    definitions: dict[tuple[str, str], set[str | None]] = {}
    for one in (one.in_schema(name) for variant in variants for one in variant):
        definitions.setdefault((one.kind, one.identity), set()).add(one.definition)
    return Reference({key: frozenset(values) for key, values in definitions.items()}, grants, complete)


def _foreign(one: Object, references: Mapping[str, Reference]) -> str | None:
    differences = [reference.difference(one, name) for name, reference in references.items()]
    return None if None in differences else max(filter(None, differences), key=len, default=str(one))


def _cursor(connection: Connection) -> psycopg.Cursor:
    driver = connection.connection.driver_connection
    assert isinstance(driver, psycopg.Connection)
    return driver.cursor()


def _objects_in(cursor: psycopg.Cursor, name: str) -> list[Object]:
    return [one for one in read_objects(cursor) if re.search(rf"\b{name}\.", one.identity)]


def _renew(cursor: psycopg.Cursor, objects: Iterable[Object]) -> None:
    """Make objects anew from their own definitions."""
    for statement in _renewals(objects):
        cursor.execute(statement.encode())


def _renewals(objects: Iterable[Object]) -> Iterator[str]:
    for one in objects:
        if one.definition is not None and one.kind in RENEWALS:
            rest = one.definition.partition("CREATE ")[2]
            yield RENEWALS[one.kind].format(identity=one.identity, definition=one.definition, rest=rest)


def _moved(definition: str, name: str) -> str:
    """Return a definition without the name of a schema; that of `public` is left out, too."""
    quoted = '"' + name.replace('"', '""') + '"'
    return re.sub(rf"(?<![\w$\"])(?:{re.escape(name)}|{re.escape(quoted)}|public)\.", SCHEMA, definition)
