"""Roles are made, listed, given another password, removed, and keep their rights over an upgrade."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import psycopg
import pytest
from alembic.config import Config
from psycopg.conninfo import conninfo_to_dict

from domain.errors import DatabaseUnsuitable, InvalidRequest, WriteRefused
from persistence import schema
from persistence.migrations import runner
from persistence.roles.administration import RoleAdministration, RoleState
from persistence.roles.rights import Role
from tests.support.database.roles import RoleMaker, user_of
from tests.support.database.server import Server, url_of

LATER = """
CREATE TABLE paper_later (number int);
CREATE VIEW v_paper_later AS SELECT * FROM paper_later;
ALTER TABLE trading_decisions ADD COLUMN added_later text;
DROP VIEW v_paper_validation
"""
"""What a later version may bring; views are made anew after it."""


def may(url: str, statement: str) -> bool:
    with psycopg.connect(url) as connection:
        try:
            connection.execute(statement)  # type: ignore[call-overload]
        except psycopg.errors.InsufficientPrivilege:
            return False
    return True


@pytest.fixture
def plain_role(embedded_server: Server, embedded_url: str) -> Iterator[str]:
    """A role that the program did not make, for this database."""
    name = f"role_{secrets.token_hex(4)}"
    with embedded_server.connect(str(conninfo_to_dict(embedded_url)["dbname"])) as admin:
        admin.execute(f"CREATE ROLE {name} LOGIN")
        yield name
        admin.execute(f"DROP OWNED BY {name} CASCADE")
        admin.execute(f"DROP ROLE {name}")


def test_roles_are_listed_with_their_sessions(role_maker: RoleMaker) -> None:
    assert [] == role_maker.administration.roles()
    sender, both = role_maker.make("sender", connections=3), role_maker.make("sender", "reader")
    names = {url: user_of(url) for url in (sender, both)}
    with psycopg.connect(sender), psycopg.connect(sender):
        states = {state.role.name: state for state in role_maker.administration.roles()}
    assert {
        names[sender]: RoleState(Role(names[sender], sends=True), exists=True, connection_limit=3, sessions=2),
        names[both]: RoleState(Role(names[both], sends=True, reads=True), exists=True, connection_limit=20),
    } == states


def test_the_password_is_new_each_time_and_stored_as_scram(role_maker: RoleMaker, embedded_server: Server) -> None:
    name = f"role_{secrets.token_hex(4)}"
    role_maker.url_of(name)
    first = role_maker.administration.create(Role(name, sends=True), connections=1)
    stored = "SELECT rolpassword FROM pg_authid WHERE rolname = %s"
    with embedded_server.connect() as admin:
        (before,) = admin.execute(stored, [name]).fetchone() or ("",)
        second = role_maker.administration.set_password(name)
        (after,) = admin.execute(stored, [name]).fetchone() or ("",)
    assert (True, True) == (before.startswith("SCRAM-SHA-256$"), after.startswith("SCRAM-SHA-256$"))
    assert 4 == len({first, second, before, after})
    assert min(len(first), len(second)) >= 32


def test_a_removed_role_is_gone_with_its_sessions_and_its_decisions_stay(
    role_maker: RoleMaker, embedded_server: Server, embedded_url: str
) -> None:
    sender = role_maker.make("sender")
    session = psycopg.connect(sender, autocommit=True)
    session.execute("INSERT INTO trading_decisions (symbol, decision, confidence) VALUES ('BTC/USDT', 'BUY', 1)")
    assert role_maker.administration.remove(user_of(sender))
    with pytest.raises(psycopg.OperationalError):
        session.execute("SELECT 1")
    session.close()
    with embedded_server.connect() as admin:
        assert None is admin.execute("SELECT FROM pg_roles WHERE rolname = %s", [user_of(sender)]).fetchone()
    with psycopg.connect(embedded_url) as owner:
        assert [(user_of(sender),)] == owner.execute("SELECT sent_by FROM trading_decisions").fetchall()
    assert [] == role_maker.administration.roles()
    with pytest.raises(InvalidRequest, match=r"no role of this database is called .*; none was made yet"):
        role_maker.administration.remove(user_of(sender))


def test_a_role_that_has_made_large_objects_is_removed_with_them(role_maker: RoleMaker, embedded_url: str) -> None:
    sender = role_maker.make("sender")
    with psycopg.connect(sender) as session:
        session.execute("SELECT lo_from_bytea(0, 'anything')")
    assert role_maker.administration.remove(user_of(sender))
    with psycopg.connect(embedded_url) as owner:
        assert (0,) == owner.execute("SELECT count(*) FROM pg_largeobject_metadata").fetchone()


def test_a_role_that_is_gone_from_the_server_is_listed_and_forgotten(
    role_maker: RoleMaker, embedded_server: Server, embedded_url: str
) -> None:
    name = user_of(role_maker.make("reader"))
    with embedded_server.connect(str(conninfo_to_dict(embedded_url)["dbname"])) as admin:
        admin.execute(f"DROP OWNED BY {name}")
        admin.execute(f"DROP ROLE {name}")
    assert [RoleState(Role(name, reads=True), exists=False)] == role_maker.administration.roles()
    with pytest.raises(InvalidRequest, match="does not have role"):
        role_maker.administration.set_password(name)
    assert role_maker.administration.remove(name)
    assert [] == role_maker.administration.roles()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("", "lower-case letters, digits and underscores"),
        ("Agent", "lower-case letters, digits and underscores"),
        ("7up", "begin with no digit"),
        ("a" * 64, "1 to 63"),
        ("agent; DROP ROLE paper", "lower-case"),
        ("pg_monitor", "reserved"),
        ("postgres", "reserved"),
        ("public", "reserved"),
        ("paper", "reserved"),
    ],
)
def test_a_name_that_is_not_possible_is_refused(role_maker: RoleMaker, name: str, message: str) -> None:
    with pytest.raises(InvalidRequest, match=message):
        role_maker.administration.create(Role(name, sends=True), connections=1)


def test_a_name_that_is_taken_is_refused(role_maker: RoleMaker, plain_role: str) -> None:
    with pytest.raises(InvalidRequest, match=r"has a role '.*' already; choose another name, or add --existing"):
        role_maker.administration.create(Role(plain_role, sends=True), connections=1)


def test_an_existing_role_gets_the_rights_as_often_as_you_like(
    role_maker: RoleMaker, plain_role: str, embedded_url: str
) -> None:
    url = url_of(conninfo_to_dict(embedded_url) | {"user": plain_role})
    administration = RoleAdministration(embedded_url)
    for _ in range(2):
        administration.adopt(Role(plain_role, reads=True))
        assert may(url, "SELECT * FROM paper_fills")
    administration.adopt(Role(plain_role, sends=True))
    assert not may(url, "SELECT * FROM paper_fills")
    assert may(url, "SELECT * FROM trading_decisions")
    administration.remove(plain_role)
    assert not may(url, "SELECT * FROM trading_decisions")
    with pytest.raises(InvalidRequest, match="has no role 'nobody_at_all'"):
        administration.adopt(Role("nobody_at_all", sends=True))


def test_who_has_all_rights_cannot_have_less(embedded_server: Server, embedded_url: str, plain_role: str) -> None:
    with embedded_server.connect() as admin:
        admin.execute(f"GRANT paper TO {plain_role}")
    with pytest.raises(InvalidRequest, match="superuser, or has the rights of the owner"):
        RoleAdministration(embedded_url).adopt(Role(plain_role, sends=True))


def test_the_service_is_no_role_that_row_security_concerns(
    embedded_server: Server, embedded_url: str, plain_role: str
) -> None:
    administration, service = RoleAdministration(embedded_url), Role(plain_role, serves=True)
    with pytest.raises(DatabaseUnsuitable, match=f"as a superuser ALTER ROLE {plain_role} BYPASSRLS"):
        administration.adopt(service)
    with embedded_server.connect() as admin:
        admin.execute(f"ALTER ROLE {plain_role} BYPASSRLS")
    administration.adopt(service)
    assert [RoleState(service, exists=True)] == administration.roles()
    with pytest.raises(DatabaseUnsuitable, match="CREATE ROLE another LOGIN BYPASSRLS PASSWORD … and repeat"):
        administration.create(Role("another", serves=True), connections=1)


def test_a_role_without_the_tables_gives_no_rights(role_maker: RoleMaker) -> None:
    reader = role_maker.make("reader")
    with pytest.raises(DatabaseUnsuitable, match=f"role {user_of(reader)} does not own the tables"):
        RoleAdministration(reader).create(Role("another", reads=True), connections=1)


def test_an_owner_that_may_make_roles_needs_no_superuser(embedded_server: Server, embedded_url: str) -> None:
    administration, name = RoleAdministration(embedded_url), f"role_{secrets.token_hex(4)}"
    with pytest.raises(
        DatabaseUnsuitable, match="may not make such a role: as a superuser ALTER ROLE paper CREATEROLE"
    ):
        administration.create(Role(name, sends=True), connections=1)
    with embedded_server.connect() as admin:
        admin.execute("ALTER ROLE paper CREATEROLE")
        try:
            administration.create(Role(name, sends=True), connections=1)
            assert may(url_of(conninfo_to_dict(embedded_url) | {"user": name}), "SELECT * FROM trading_decisions")
            assert administration.set_password(name)
            assert administration.remove(name)
            assert None is admin.execute("SELECT FROM pg_roles WHERE rolname = %s", [name]).fetchone()
        finally:
            admin.execute("ALTER ROLE paper NOCREATEROLE")


def test_a_role_that_could_not_get_its_rights_is_not_left_behind(
    role_maker: RoleMaker, embedded_server: Server, embedded_url: str
) -> None:
    name = f"role_{secrets.token_hex(4)}"
    with psycopg.connect(embedded_url) as owner:
        owner.execute("ALTER TABLE paper_roles ADD CONSTRAINT nobody CHECK (false)")
    with pytest.raises(WriteRefused, match="nobody"):
        role_maker.administration.create(Role(name, sends=True), connections=1)
    with embedded_server.connect() as admin:
        assert None is admin.execute("SELECT FROM pg_roles WHERE rolname = %s", [name]).fetchone()


@pytest.mark.slow
def test_an_upgrade_gives_the_roles_their_rights_on_what_is_new(
    role_maker: RoleMaker, embedded_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sender, reader, service = (role_maker.make(kind) for kind in ("sender", "reader", "service"))

    def upgrade(config: Config, _: str) -> None:
        config.attributes["connection"].exec_driver_sql(LATER)

    monkeypatch.setattr(runner.command, "upgrade", upgrade)
    own_tables = schema.own_tables() | {"paper_later"}
    monkeypatch.setattr(schema, "own_tables", lambda: own_tables)
    with psycopg.connect(embedded_url) as owner:
        owner.execute("UPDATE paper_schema_version SET version_num = '0001_tables'")
        owner.execute("INSERT INTO paper_roles (name, sends, reads, serves) VALUES ('long_gone', true, false, false)")
    schema.upgrade(embedded_url)
    for statement in ("SELECT * FROM paper_later", "SELECT * FROM v_paper_later", "SELECT * FROM v_paper_validation"):
        assert (False, True, True) == (may(sender, statement), may(reader, statement), may(service, statement))
    write = "INSERT INTO paper_later VALUES (1)"
    assert (False, False, True) == (may(sender, write), may(reader, write), may(service, write))


def test_a_role_that_may_not_upgrade_says_so_and_takes_no_lease(role_maker: RoleMaker, embedded_url: str) -> None:
    sender = role_maker.make("sender")
    with psycopg.connect(embedded_url) as owner:
        owner.execute("UPDATE paper_schema_version SET version_num = '0001_tables'")
    with pytest.raises(DatabaseUnsuitable) as error:
        schema.require_may_upgrade(sender)
    assert f"role {user_of(sender)} may not upgrade it: its owner runs `" in str(error.value)
    assert "has schema 0001_tables, this program brings" in str(error.value)
