"""What ``run.py db role`` does: roles are made, listed, given another password, and removed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg
from psycopg import sql

from domain.errors import DatabaseUnsuitable, InvalidRequest
from domain.wording import quoted
from persistence.connections import connect, session
from persistence.error_translation import translated
from persistence.roles import accounts, registry
from persistence.roles.rights import Role, owns_tables, take_away
from persistence.rows import one_row
from persistence.sessions.address import parse_url, schema_of
from persistence.sessions.session import open_privileged_session

PART = "roles"
"""Name of the sessions."""
ACCOUNT = """
SELECT r.rolconnlimit, (SELECT count(*) FROM pg_stat_activity a WHERE a.usesysid = r.oid)
FROM pg_roles r WHERE r.rolname = %s
"""
REACHES = """
SELECT has_database_privilege(%(name)s, current_database(), 'CONNECT'),
       has_schema_privilege(%(name)s, %(schema)s, 'USAGE'), current_database()
"""
IS_AS_OWNER = """
SELECT pg_has_role(%(name)s, c.relowner, 'MEMBER')
FROM pg_class c WHERE c.oid = to_regclass(format('%%I.trading_decisions', %(schema)s::text))
"""
"""Of a superuser, too."""
MAY_MAKE_ROLES = """
SELECT rolcreaterole OR rolsuper, rolsuper, current_user FROM pg_roles WHERE rolname = current_user
"""
RIGHTS_LEFT = """
SELECT count(*) FROM pg_shdepend d JOIN pg_roles r ON r.oid = d.refobjid
WHERE d.refclassid = 'pg_authid'::regclass AND r.rolname = %s
  AND d.dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
"""
"""On objects in this database; the right to connect to it is on none of them."""


@dataclass(frozen=True, slots=True)
class RoleState:
    """A role as it is now.

    Attributes:
        role: what it is for.
        exists: whether the server has it.
        connection_limit: how many sessions it may have at a time; None: any number.
        sessions: how many it has now.
    """

    role: Role
    exists: bool
    connection_limit: int | None = None
    sessions: int = 0


class RoleAdministration:
    """Makes and removes the roles of a database.

    Args:
        url: of the database, for the owner of the tables.
        admin_url: of the embedded database, for its superuser; None: the owner makes the roles himself.
    """

    def __init__(self, url: str, admin_url: str | None = None) -> None:
        self._url = url
        self._admin_url = admin_url
        self._schema = schema_of(url)

    def create(self, role: Role, *, connections: int) -> str:
        """Make a role with its rights; return its password, which nobody stores.

        Args:
            role: the new role.
            connections: how many sessions it may have at a time.

        Raises:
            InvalidRequest: the name is not possible, or taken.
            DatabaseUnsuitable: the URL's role does not own the tables or may not make roles, or the new one would not
                reach the tables. Nothing was changed.
        """
        accounts.require_name(role.name)
        self._require_owner()
        with self._admin() as admin:
            if accounts.exists(admin, role.name):
                raise InvalidRequest(
                    f"the server has a role {quoted(role.name)} already; choose another name, or add --existing to give"
                    " that role the rights"
                )
            if self._admin_url is None:
                _require_maker(admin, role)
            else:
                _close_to_others(admin, self._url)
            password = accounts.make(admin, role.name, connections, all_rows=role.serves)
            try:
                self._give_rights(role)
            except BaseException:
                accounts.remove(admin, role.name)
                raise
        return password

    def adopt(self, role: Role) -> None:
        """Give a role that the server has already its rights; doing it again changes nothing.

        Raises:
            InvalidRequest: the name is not possible, or there is no such role.
            DatabaseUnsuitable: as `create`.
        """
        accounts.require_name(role.name)
        self._require_owner()
        with self._admin() as admin:
            if not accounts.exists(admin, role.name):
                raise InvalidRequest(f"the server has no role {quoted(role.name)}; without --existing one is made")
            if role.serves and not accounts.sees_all_rows(admin, role.name):
                # PostgreSQL refuses COPY, by which the books are written, to a role that row security concerns.
                raise DatabaseUnsuitable(
                    f"the service needs a role that row security does not concern: as a superuser ALTER ROLE"
                    f" {role.name} BYPASSRLS"
                )
            if self._admin_url is not None:
                _close_to_others(admin, self._url)
        self._give_rights(role)

    def roles(self) -> list[RoleState]:
        """Return the roles of this database and schema, by name."""
        with session(self._url, PART) as cursor:
            return [_state(cursor, role) for role in registry.registered(cursor, self._schema)]

    def set_password(self, name: str) -> str:
        """Give a role another password, and return it; its open sessions stay.

        Raises:
            InvalidRequest: it is none of the roles of this database, or the server does not have it any more.
        """
        self._require_registered(name)
        with self._admin() as admin:
            if not accounts.exists(admin, name):
                raise InvalidRequest(f"the server does not have role {quoted(name)} any more; remove it, then make it")
            return accounts.set_password(admin, name)

    def remove(self, name: str) -> bool:
        """Take away the rights of a role, end its sessions, and remove it from the server; its decisions stay.

        Returns:
            Whether the server does not have it any more; see `accounts.remove`.

        Raises:
            InvalidRequest: it is none of the roles of this database.
        """
        self._require_registered(name)
        with self._admin() as admin:
            exists = accounts.exists(admin, name)
            accounts.leave_nothing(admin, name)
            with session(self._url, PART) as cursor:
                registry.forget(cursor, self._schema, name)
                if exists:
                    take_away(cursor, self._schema, name)
                    if not one_row(cursor, RIGHTS_LEFT, [name])[0]:  # else it has some in another schema
                        _change_access(cursor, "REVOKE ALL ON DATABASE {} FROM {}", name)
            return not exists or accounts.remove(admin, name)

    @contextmanager
    def _admin(self) -> Iterator[psycopg.Connection]:
        """Connect in autocommit mode as the role that makes roles."""
        with translated():
            if self._admin_url is None:
                connection = connect(self._url, PART)
            else:
                database = parse_url(self._url)["dbname"]  # a role may have made large objects in it
                connection = open_privileged_session(self._admin_url, PART, dbname=database, autocommit=True)
            with connection:
                yield connection

    def _give_rights(self, role: Role) -> None:
        with session(self._url, PART) as cursor:
            if one_row(cursor, IS_AS_OWNER, {"name": role.name, "schema": self._schema})[0]:
                raise InvalidRequest(
                    f"role {quoted(role.name)} is a superuser, or has the rights of the owner of the tables, so it"
                    " cannot have less"
                )
            _change_access(cursor, "GRANT CONNECT ON DATABASE {} TO {}", role.name)
            registry.register(cursor, self._schema, role)
            connects, uses, database = one_row(cursor, REACHES, {"name": role.name, "schema": self._schema})
            missing = [] if connects else [f"GRANT CONNECT ON DATABASE {database} TO {role.name}"]
            missing += [] if uses else [f"GRANT USAGE ON SCHEMA {self._schema} TO {role.name}"]
            if missing:
                raise DatabaseUnsuitable(
                    f"role {role.name} would not reach the tables, and their owner may not change that: as the owner of"
                    f" the database {'; '.join(missing)}"
                )

    def _require_owner(self) -> None:
        with session(self._url, PART) as cursor:
            if not owns_tables(cursor, self._schema):
                (user,) = one_row(cursor, "SELECT current_user")
                raise DatabaseUnsuitable(
                    f"role {user} does not own the tables, so it cannot give rights on them: use the URL of their owner"
                )

    def _require_registered(self, name: str) -> None:
        with session(self._url, PART) as cursor:
            names = [role.name for role in registry.registered(cursor, self._schema)]
        if name not in names:
            others = f"there are {', '.join(names)}" if names else "none was made yet"
            raise InvalidRequest(f"no role of this database is called {quoted(name)}; {others}")


def _require_maker(admin: psycopg.Connection, role: Role) -> None:
    may_make, may_bypass, user = one_row(admin, MAY_MAKE_ROLES)
    if not may_make or (role.serves and not may_bypass):
        attributes = "LOGIN BYPASSRLS" if role.serves else "LOGIN"
        alone = "" if role.serves else f"ALTER ROLE {user} CREATEROLE, or make the role there with "
        raise DatabaseUnsuitable(
            f"role {user} may not make such a role: as a superuser {alone}CREATE ROLE {role.name} {attributes} PASSWORD"
            " … and repeat the command with --existing"
        )


def _close_to_others(admin: psycopg.Connection, database_url: str) -> None:
    """Let only owners and roles with a grant connect to the databases of the embedded server."""
    for name in (parse_url(database_url)["dbname"], "postgres", "template1"):
        statement = sql.SQL("REVOKE CONNECT, TEMPORARY ON DATABASE {} FROM PUBLIC")
        admin.execute(statement.format(sql.Identifier(name)))


def _change_access(cursor: psycopg.Cursor, statement: str, name: str) -> None:
    """Run a statement about the right to connect: with the name of this database, and that of a role."""
    database = str(one_row(cursor, "SELECT current_database()")[0])
    cursor.execute(sql.SQL(statement).format(sql.Identifier(database), sql.Identifier(name)))


def _state(cursor: psycopg.Cursor, role: Role) -> RoleState:
    row = cursor.execute(ACCOUNT, [role.name]).fetchone()
    if row is None:
        return RoleState(role, exists=False)
    limit, sessions = row
    return RoleState(role, exists=True, connection_limit=limit if limit >= 0 else None, sessions=sessions)
