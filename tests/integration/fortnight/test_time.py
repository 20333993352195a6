"""`paper_now()`: the only clock of the schema, which its owner alone can set, and which costs nothing."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from sqlalchemy import make_url

from persistence import schema
from persistence.connections import session
from persistence.stores import portfolios, validation_runs
from tests.integration.persistence.test_adoption import FLOATS, MINIMAL, UUIDS
from tests.support.database import dumps
from tests.support.database.servers import Server
from tests.support.database.set_time import set_time
from tests.unit.project.test_clocks import SQL_CLOCK

DEFINITIONS = """
WITH own AS (SELECT oid FROM pg_class WHERE relnamespace = 'public'::regnamespace AND (relname LIKE '%paper\\_%'
                                                                OR relname IN ('trading_decisions', 'market_prices')))
SELECT format('%s.%s', d.adrelid::regclass, a.attname), pg_get_expr(d.adbin, d.adrelid)
FROM pg_attrdef d JOIN pg_attribute a ON a.attrelid = d.adrelid AND a.attnum = d.adnum WHERE d.adrelid IN (TABLE own)
UNION ALL SELECT oid::regclass::text, pg_get_viewdef(oid) FROM pg_class WHERE oid IN (TABLE own) AND relkind = 'v'
UNION ALL SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid IN (TABLE own)
UNION ALL SELECT tgname, pg_get_triggerdef(oid) FROM pg_trigger WHERE tgrelid IN (TABLE own)
UNION ALL SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid) FROM pg_index WHERE indrelid IN (TABLE own)
UNION ALL SELECT proname, pg_get_functiondef(oid) FROM pg_proc
          WHERE pronamespace = 'public'::regnamespace AND (proname LIKE 'paper\\_%' OR proname IN
                ('calculate_position_pnl', 'get_portfolio_value'))
"""
SEND = "INSERT INTO trading_decisions (symbol, decision, confidence) VALUES ('BTC/USDT', 'BUY', 1)"
LATER = datetime(2031, 5, 1, 12, 30, tzinfo=UTC)


def clocks_of(url: str) -> tuple[set[str], set[str]]:
    """Return the names of what reads another clock than paper_now(), and of what asks paper_now()."""
    with psycopg.connect(url) as connection:
        rows = connection.execute(DEFINITIONS).fetchall()
    assert len(rows) > 300
    others = {name for name, text in rows if SQL_CLOCK.search(text)}
    return others, {name for name, text in rows if "paper_now()" in text}


ASK = {
    "trading_decisions.created_at", "trading_decisions.received_at", "paper_trading_config.created_at",
    "paper_halts.at", "paper_audits.at", "paper_validation_runs.started_at",
    "paper_validation_verdicts.written_at", "paper_validation_acceptances.at", "paper_account_requests.requested_at",
    "paper_rules_changed", "paper_account_request_guard", "paper_decision_received", "paper_decision_written",
    "paper_roles.made_at",
    "v_paper_open_positions", "v_paper_performance_metrics", "v_paper_snapshots", "paper_now",
}  # fmt: skip
"""All that depends on the time."""


@pytest.mark.parametrize("table", ["", MINIMAL, FLOATS, UUIDS], ids=["new", "adopted", "without zone", "uuids"])
def test_the_schema_has_no_other_clock(empty_embedded_url: str, table: str) -> None:
    if table:
        with psycopg.connect(empty_embedded_url) as owner:
            owner.execute(table)  # type: ignore[call-overload]
    schema.upgrade(empty_embedded_url)
    assert ({"paper_now"}, ASK) == clocks_of(empty_embedded_url)


def test_nor_has_one_that_0_1_0_left(empty_embedded_url: str) -> None:
    dumps.restore(empty_embedded_url, "0.1.0")
    schema.upgrade(empty_embedded_url)
    assert ({"paper_now"}, ASK) == clocks_of(empty_embedded_url)


def test_an_adopted_table_keeps_a_default_that_is_not_the_time(empty_embedded_url: str) -> None:
    own = FLOATS.replace("created_at timestamp NOT NULL", "created_at timestamp NOT NULL DEFAULT '2020-01-01'")
    with psycopg.connect(empty_embedded_url) as owner:
        owner.execute(own)  # type: ignore[call-overload]
    schema.upgrade(empty_embedded_url)
    with psycopg.connect(empty_embedded_url) as owner:
        sent = owner.execute(f"{SEND} RETURNING created_at").fetchone()
    assert (datetime(2020, 1, 1),) == sent  # noqa: DTZ001 - as the column has it


def test_it_costs_no_call(every_url: str) -> None:
    schema.upgrade(every_url)
    with psycopg.connect(every_url) as connection:
        condition = "SELECT FROM trading_decisions WHERE created_at > paper_now() - interval '1 minute'"
        for statement in (SEND, condition):
            plan = connection.execute(f"EXPLAIN (VERBOSE, COSTS OFF) {statement}").fetchall()  # type: ignore[call-overload]
            text = "\n".join(line for (line,) in plan)
            assert ("GREATEST(" in text, "paper_now" in text) == (True, False), text


def test_it_is_the_time_of_the_statement(embedded_url: str) -> None:
    schema.upgrade(embedded_url)
    with psycopg.connect(embedded_url) as connection:
        (begun, same, real), (later, again, _) = (
            connection.execute("SELECT paper_now(), paper_now(), statement_timestamp() FROM pg_sleep(0.001)").fetchone()
            or ()
            for _ in range(2)
        )
        assert (begun, later) == (same, again)
        assert begun == real
        assert begun < later < begun + timedelta(minutes=1)


def test_in_a_procedure_that_runs_on_it_is_the_time_of_the_last_commit(embedded_url: str) -> None:
    schema.upgrade(embedded_url)
    procedure = f"""
        CREATE PROCEDURE agent() LANGUAGE plpgsql AS $$
        BEGIN
            FOR n IN 1..3 LOOP {SEND}; COMMIT; PERFORM pg_sleep(0.001); END LOOP;
        END $$
    """
    with psycopg.connect(embedded_url, autocommit=True) as agent:
        agent.execute(procedure)  # type: ignore[call-overload]
        agent.execute("CALL agent()")
        times = [at for (at,) in agent.execute("SELECT created_at FROM trading_decisions ORDER BY id").fetchall()]
    assert 3 == len(set(times))
    assert sorted(times) == times


@pytest.fixture
def sender(embedded_server: Server, embedded_url: str) -> Iterator[str]:
    """A role that may send decisions and make a schema of its own, in a database with the newest schema."""
    schema.upgrade(embedded_url)
    name, database = f"sender_{secrets.token_hex(4)}", make_url(embedded_url).database
    with embedded_server.connect(database) as admin:
        admin.execute(f"CREATE ROLE {name} LOGIN")  # type: ignore[call-overload]
        admin.execute(f"CREATE SCHEMA {name} AUTHORIZATION {name}")  # type: ignore[call-overload]
        admin.execute(f"GRANT SELECT, INSERT ON trading_decisions TO {name}")  # type: ignore[call-overload]
    yield str(make_url(embedded_url).set(username=name).render_as_string(hide_password=False))
    with embedded_server.connect(database) as admin:
        admin.execute(f"DROP OWNED BY {name} CASCADE")  # type: ignore[call-overload]
        admin.execute(f"DROP ROLE {name}")  # type: ignore[call-overload]


def test_who_sends_decisions_cannot_set_it(sender: str) -> None:
    own = f"CREATE FUNCTION {{}}.paper_now() RETURNS timestamptz LANGUAGE sql RETURN timestamptz '{LATER}'"
    name = make_url(sender).username or ""
    with psycopg.connect(sender, autocommit=True) as agent:
        for statement in (
            own.replace("CREATE", "CREATE OR REPLACE").format("public"),
            "DROP FUNCTION public.paper_now()",
            f"ALTER FUNCTION public.paper_now() SET SCHEMA {name}",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                agent.execute(statement)  # type: ignore[call-overload]
        agent.execute(own.format(name))  # type: ignore[call-overload]
        agent.execute(f"SET search_path = {name}, public, pg_catalog")  # type: ignore[call-overload]
        assert (LATER,) == agent.execute("SELECT paper_now()").fetchone()
        sent = agent.execute(f"{SEND} RETURNING created_at = statement_timestamp()").fetchone()  # type: ignore[call-overload]
    assert (True,) == sent


def test_all_times_that_the_database_writes_are_those_that_its_owner_has_set(database_url: str) -> None:
    schema.upgrade(database_url)
    with psycopg.connect(database_url, autocommit=True) as owner:
        set_time(owner, LATER)
        portfolios.create(database_url, "default", {"initial_capital": 10_000})
        owner.execute(SEND)
        owner.execute("INSERT INTO paper_halts (halted, reason) VALUES (true, 'a test')")
        owner.execute(
            "INSERT INTO paper_account_requests (portfolio, kind, amount, reason)"
            " VALUES ('default', 'deposit', 1, 'a test')"
        )
        owner.execute("UPDATE paper_account_requests SET status = 'cancelled'")
        times = owner.execute(
            "SELECT c.created_at, r.at, d.created_at, h.at, a.requested_at, a.ended_at FROM paper_trading_config c,"
            " paper_portfolio_rules r, trading_decisions d, paper_halts h, paper_account_requests a"
        ).fetchall()
        assert [(LATER,) * 6] == times
        with session(database_url, "test") as cursor:
            assert LATER == validation_runs.now(cursor)
        set_time(owner, None)
        assert (True,) == owner.execute("SELECT paper_now() = statement_timestamp()").fetchone()


def test_another_session_has_the_set_time_at_its_next_statement(embedded_url: str) -> None:
    schema.upgrade(embedded_url)
    with (
        psycopg.connect(embedded_url, autocommit=True) as owner,
        psycopg.connect(embedded_url, autocommit=True) as other,
    ):
        for _ in range(8):  # more often than after which psycopg prepares a statement
            other.execute("SELECT paper_now()")
        for day in (LATER, LATER + timedelta(days=1)):
            set_time(owner, day)
            assert (day,) == other.execute("SELECT paper_now()").fetchone()
            with other.transaction():  # the plan of a prepared statement is made anew, too
                assert (day,) == other.execute("SELECT paper_now()", prepare=True).fetchone()


def test_the_real_time_can_be_set_back(embedded_url: str) -> None:
    schema.upgrade(embedded_url)
    definition = "SELECT pg_get_functiondef(oid), proacl::text FROM pg_proc WHERE proname = 'paper_now'"
    with psycopg.connect(embedded_url) as owner:
        before = owner.execute(definition).fetchone()
        set_time(owner, timedelta(days=14))
        ahead = "SELECT paper_now() - statement_timestamp() FROM pg_sleep(0)"
        assert (timedelta(days=14),) == owner.execute(ahead).fetchone()
        set_time(owner, None)
        assert before == owner.execute(definition).fetchone()
