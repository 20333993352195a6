"""A sender, a reader and the service have exactly the rights that they need."""

from __future__ import annotations

import psycopg
import pytest

from actors import Decision
from persistence import schema
from persistence.roles.administration import RoleAdministration
from persistence.roles.rights import Role
from persistence.sessions.address import with_schema
from tests.support.database.roles import RoleMaker, user_of
from tests.support.database.server import Server

INSERT = "INSERT INTO trading_decisions (symbol, decision, confidence"
BUY = f"{INSERT}) VALUES ('BTC/USDT', 'BUY', 0.75)"
RIGHTS = """
SELECT c.relname, e.privilege_type, NULL
FROM pg_class c CROSS JOIN LATERAL aclexplode(c.relacl) e WHERE e.grantee = %(role)s::regrole
UNION ALL
SELECT c.relname, e.privilege_type, a.attname
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
CROSS JOIN LATERAL aclexplode(a.attacl) e WHERE e.grantee = %(role)s::regrole
"""
RELATIONS = """
SELECT oid::regclass::text, relkind FROM pg_class
WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'v') AND pg_get_userbyid(relowner) = current_user
"""


def rights(owner_url: str, url: str) -> set[tuple[str, str, str | None]]:
    """Return the rights of a role: relation, right, and the column where it is one on a column."""
    with psycopg.connect(owner_url) as owner:
        return set(owner.execute(RIGHTS, {"role": user_of(url)}).fetchall())


def refused(url: str, statement: str) -> bool:
    """Return whether a role lacks the right for a statement."""
    with psycopg.connect(url) as connection:
        try:
            connection.execute(statement)  # type: ignore[call-overload]
        except psycopg.errors.InsufficientPrivilege:
            return True
        connection.rollback()
    return False


def test_a_sender_has_these_rights_and_no_others(role_maker: RoleMaker, embedded_url: str) -> None:
    has = rights(embedded_url, role_maker.make("sender"))
    assert {"trading_decisions"} == {relation for relation, right, _ in has if right != "SELECT"}
    assert {"INSERT"} == {right for _, right, _ in has if right != "SELECT"}
    inserted = {column for _, right, column in has if right == "INSERT"}
    assert set(Decision.model_fields) == inserted
    assert set() == inserted & {"id", "order_id", "status", "created_at", "outcome_reason", "processed_at", None}
    all_columns = {relation for relation, right, column in has if right == "SELECT" and column is None}
    assert {
        "trading_decisions", "paper_orders", "paper_schema_version", "paper_lease", "paper_lease_renewal",
        "paper_generation",
    } == all_columns  # fmt: skip
    in_part = {relation for relation, right, column in has if right == "SELECT" and column is not None}
    assert {"paper_processes", "paper_trading_config", "paper_validation_runs"} == in_part
    assert set() == {column for _, _, column in has} & {"current_capital", "initial_capital"}


@pytest.mark.parametrize(
    "statement",
    [
        f"{INSERT}, created_at) VALUES ('A/B', 'BUY', 1, '2000-01-01')",
        f"{INSERT}, status) VALUES ('A/B', 'BUY', 1, 'pending')",
        f"{INSERT}, id) OVERRIDING SYSTEM VALUE VALUES ('A/B', 'BUY', 1, 9)",
        f"{INSERT}, order_id) VALUES ('A/B', 'BUY', 1, gen_random_uuid())",
        f"{INSERT}, sent_by) VALUES ('A/B', 'BUY', 1, 'paper')",
        "UPDATE trading_decisions SET status = 'cancelled', processed_at = now()",
        "DELETE FROM trading_decisions",
        "TRUNCATE trading_decisions",
        "LOCK TABLE trading_decisions IN SHARE MODE",
        "ALTER TABLE trading_decisions ADD COLUMN mine int",
        "CREATE TRIGGER mine BEFORE INSERT ON trading_decisions FOR EACH ROW EXECUTE FUNCTION paper_decision_stands()",
        "INSERT INTO paper_orders DEFAULT VALUES",
        "INSERT INTO paper_fills DEFAULT VALUES",
        "INSERT INTO paper_halts (halted, reason) VALUES (false, 'go on')",
        "INSERT INTO paper_account_requests (portfolio, kind, amount, reason) VALUES ('default', 'deposit', 1, 'me')",
        "UPDATE paper_trading_config SET slippage_pct = 0",
        "UPDATE paper_lease SET epoch = epoch + 1",
        "UPDATE paper_lease_renewal SET renewed_at = now()",
        "INSERT INTO paper_roles (name, sends, reads, serves) VALUES (current_user, true, true, true)",
        "DELETE FROM paper_roles",
        "SELECT * FROM paper_fills",
        "SELECT * FROM paper_trades",
        "SELECT * FROM paper_positions",
        "SELECT * FROM paper_roles",
        "SELECT current_capital FROM paper_trading_config",
        "SELECT * FROM v_paper_open_positions",
        "SELECT * FROM v_paper_ledger_check",
        "SELECT get_portfolio_value()",
        "CREATE TABLE mine (number int)",
        "CREATE TEMP TABLE mine (number int)",
        "CREATE OR REPLACE FUNCTION paper_now() RETURNS timestamptz LANGUAGE sql AS 'SELECT now()'",
        "SELECT rolpassword FROM pg_authid",
        "SET ROLE paper",
        "COPY trading_decisions TO PROGRAM 'cat'",
    ],
)  # fmt: skip
def test_a_sender_can_do_nothing_else(role_maker: RoleMaker, statement: str) -> None:
    assert refused(role_maker.make("sender"), statement)


def test_no_setting_of_a_session_gives_a_sender_more(role_maker: RoleMaker) -> None:
    with psycopg.connect(role_maker.make("sender"), autocommit=True) as sender:
        for name in ("PositionKeeper", "Supervisor", "DecisionWatcher"):
            sender.execute(f"SET paper.writer = '{name}'")  # type: ignore[call-overload]
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                sender.execute("UPDATE trading_decisions SET status = 'executed'")
        sender.execute("SET row_security = off")
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="row-level security"):
            sender.execute("SELECT * FROM trading_decisions")


def test_a_sender_sees_its_own_decisions_alone(role_maker: RoleMaker, embedded_url: str) -> None:
    one, other, reader = role_maker.make("sender"), role_maker.make("sender"), role_maker.make("reader")
    both = role_maker.make("sender", "reader")
    for url in (one, other, embedded_url, both):
        with psycopg.connect(url) as connection:
            row = connection.execute(f"{BUY} RETURNING sent_by, status").fetchone()
            assert (user_of(url), "pending") == row
    seen = {}
    for url in (one, other, reader, both, embedded_url):
        with psycopg.connect(url) as connection:
            seen[url] = {name for (name,) in connection.execute("SELECT sent_by FROM trading_decisions").fetchall()}
    everybody = {user_of(url) for url in (one, other, embedded_url, both)}
    own = {one: {user_of(one)}, other: {user_of(other)}}
    assert own | dict.fromkeys((reader, both, embedded_url), everybody) == seen


def test_a_reader_reads_everything_and_changes_nothing(role_maker: RoleMaker, embedded_url: str) -> None:
    reader = role_maker.make("reader")
    with psycopg.connect(embedded_url) as owner:
        relations = owner.execute(RELATIONS).fetchall()
    assert len(relations) > 30
    assert [] == [name for name, _ in relations if refused(reader, f"SELECT count(*) FROM {name}")]
    tables = [name for name, kind in relations if kind == "r"]
    writing = ["INSERT INTO {} DEFAULT VALUES", "DELETE FROM {}", "TRUNCATE {}"]
    assert [] == [name for name in tables for one in writing if not refused(reader, one.format(name))]
    assert not refused(reader, "SELECT get_portfolio_value()")
    assert refused(reader, BUY)


def test_the_service_writes_the_tables_and_does_not_own_them(role_maker: RoleMaker, embedded_url: str) -> None:
    service = role_maker.make("service")
    has = rights(embedded_url, service)
    assert {"SELECT", "INSERT", "UPDATE", "DELETE"} == {right for table, right, _ in has if table == "paper_fills"}
    assert {"SELECT"} == {right for table, right, _ in has if table in {"paper_roles", "paper_schema_version"}}
    for statement in (
        "CREATE TABLE mine (number int)",
        "DROP TABLE paper_fills",
        "ALTER TABLE paper_fills DISABLE TRIGGER ALL",
        "TRUNCATE paper_portfolio_snapshots",
        "CREATE OR REPLACE FUNCTION paper_now() RETURNS timestamptz LANGUAGE sql AS 'SELECT now()'",
        "UPDATE paper_schema_version SET version_num = '0001_tables'",
    ):
        assert refused(service, statement), statement


def test_a_role_has_no_more_sessions_than_its_limit(role_maker: RoleMaker) -> None:
    url = role_maker.make("sender", connections=2)
    too_many = pytest.raises(psycopg.OperationalError, match="too many connections")
    with psycopg.connect(url), psycopg.connect(url), too_many:
        psycopg.connect(url)


def test_a_role_waits_neither_long_for_a_lock_nor_idle_in_a_transaction(role_maker: RoleMaker) -> None:
    names = ("lock_timeout", "idle_in_transaction_session_timeout", "statement_timeout", "temp_file_limit")
    with psycopg.connect(role_maker.make("sender"), autocommit=True) as sender:
        values = [sender.execute(f"SHOW {name}").fetchone() for name in names]  # type: ignore[call-overload]
        assert [("5s",), ("10s",), ("30s",), ("256MB",)] == values
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            sender.execute("SET temp_file_limit = -1")


def test_the_columns_and_the_sequence_of_an_adopted_table_are_the_senders_too(
    embedded_server: Server, empty_embedded_url: str
) -> None:
    with psycopg.connect(empty_embedded_url) as owner:
        owner.execute(
            "CREATE TABLE trading_decisions (id serial PRIMARY KEY, symbol text, decision text, confidence numeric,"
            " reasoning text, current_price numeric, created_at timestamptz DEFAULT now(), model text, grade int)"
        )
    schema.upgrade(empty_embedded_url)
    maker = RoleMaker(embedded_server, empty_embedded_url)
    try:
        sender = maker.make("sender")
        with psycopg.connect(sender) as connection:
            row = connection.execute(
                "INSERT INTO trading_decisions (symbol, decision, confidence, model, grade)"
                " VALUES ('BTC/USDT', 'BUY', 1, 'gpt', 7) RETURNING model"
            ).fetchone()
        assert ("gpt",) == row
        assert refused(sender, f"{INSERT}, id) VALUES ('A/B', 'BUY', 1, 9)")
    finally:
        maker.remove_all()


def test_another_schema_has_rights_of_its_own(role_maker: RoleMaker, embedded_url: str) -> None:
    second = with_schema(embedded_url, "second")
    schema.upgrade(second)
    sender = role_maker.make("sender")
    assert refused(sender, "SELECT * FROM second.trading_decisions")
    RoleAdministration(second).adopt(Role(user_of(sender), reads=True))
    assert not refused(sender, "SELECT * FROM second.paper_fills")
    assert refused(sender, "SELECT * FROM public.paper_fills")
    assert not role_maker.administration.remove(user_of(sender))
    assert not refused(sender, "SELECT * FROM second.paper_fills")
    assert RoleAdministration(second, role_maker.administration._admin_url).remove(user_of(sender))
