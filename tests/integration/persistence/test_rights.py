"""Each role of docs/database.md works with exactly the rights listed there; with one fewer it gets an error message."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator

import psycopg
import pytest
from sqlalchemy import make_url

from actors import Decision, TradingSystem
from domain.errors import DatabaseUnsuitable
from persistence import schema
from persistence.sessions.address import with_schema
from persistence.stores import portfolios
from tests.support.database.servers import Server
from tests.support.system.running_system import running_system, until_all_ended

GOOD = "INSERT INTO trading_decisions (symbol, decision, confidence) VALUES ('BTC/USDT', 'BUY', 0.75)"
Role = Callable[..., str]


@pytest.fixture
def role(embedded_server: Server, embedded_url: str) -> Iterator[Role]:
    """Return a function that makes a role with rights in the test's database, and returns the role's URL."""
    made: list[str] = []
    name = make_url(embedded_url).database

    def make(*grants: str) -> str:
        made.append(f"role_{secrets.token_hex(4)}")
        with embedded_server.connect(name) as admin:
            admin.execute(f"CREATE ROLE {made[-1]} LOGIN")  # type: ignore[call-overload]
            for grant in grants:
                admin.execute(grant.format(made[-1]))
        return str(make_url(embedded_url).set(username=made[-1]).render_as_string(hide_password=False))

    yield make
    with embedded_server.connect(name) as admin:
        for role_name in made:
            admin.execute(f"DROP OWNED BY {role_name} CASCADE")  # type: ignore[call-overload]
            admin.execute(f"DROP ROLE {role_name}")  # type: ignore[call-overload]


def trades(url: str) -> None:
    with running_system(url) as system:
        outcome = system.submit(Decision(symbol="BTC/USDT", decision="BUY", confidence="0.75")).get(timeout=10)
        assert outcome.status == "executed"
        assert system.ledger_reader.ledger_differences() == []


@pytest.mark.slow
def test_the_program_needs_to_create_in_public_and_nothing_else(role: Role) -> None:
    trades(role("GRANT CREATE ON SCHEMA public TO {}"))


@pytest.mark.slow
def test_or_to_own_a_schema_of_its_own(role: Role) -> None:
    trades(with_schema(role("CREATE SCHEMA own AUTHORIZATION {}"), "own"))


@pytest.mark.slow
def test_or_to_create_on_the_database(role: Role, embedded_url: str) -> None:
    database = make_url(embedded_url).database
    trades(with_schema(role(f"GRANT CREATE ON DATABASE {database} TO {{}}"), "own"))


@pytest.mark.slow
def test_adoption_needs_to_own_the_table(role: Role, embedded_url: str) -> None:
    url = role("GRANT CREATE ON SCHEMA public TO {}")
    table = (
        "CREATE TABLE trading_decisions (id serial PRIMARY KEY, symbol text, decision text, confidence numeric,"
        " reasoning text, current_price numeric, created_at timestamptz)"
    )
    with psycopg.connect(embedded_url) as owner:
        owner.execute(table)
    name = make_url(url).username
    with pytest.raises(DatabaseUnsuitable, match=rf"belongs to another role, so {name} cannot adopt it: ALTER TABLE"):
        trades(url)
    with psycopg.connect(embedded_url) as owner:
        owner.execute("DROP TABLE trading_decisions")
    with psycopg.connect(url) as owner:
        owner.execute(table)
    trades(url)


def test_without_rights_the_start_fails_with_a_message(role: Role) -> None:
    url = role()
    name = make_url(url).username
    message = rf"role {name} may not create tables in schema public: GRANT USAGE, CREATE ON SCHEMA public TO {name}"
    with pytest.raises(DatabaseUnsuitable, match=message):
        trades(url)


@pytest.mark.slow
def test_who_sends_cancels_attaches_and_reads(role: Role, embedded_url: str) -> None:
    with running_system(embedded_url) as system:
        sender = role("GRANT INSERT ON trading_decisions TO {}")
        with psycopg.connect(sender, autocommit=True) as agent:
            agent.execute(GOOD)
            until_all_ended(system.ledger_reader)
            assert system.ledger_reader.outcomes() == {"executed": 1}
            for more in (GOOD + " RETURNING id", "UPDATE trading_decisions SET status = 'cancelled'"):
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    agent.execute(more)
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                agent.execute("INSERT INTO paper_orders DEFAULT VALUES")

        canceller = role(
            "GRANT SELECT, INSERT, UPDATE (status, outcome_reason, processed_at) ON trading_decisions TO {}"
        )
        with psycopg.connect(canceller, autocommit=True) as agent:
            row = agent.execute(GOOD.replace("BTC", "DEAD") + " RETURNING id").fetchone()
            agent.execute(
                "UPDATE trading_decisions SET status = 'cancelled', outcome_reason = 'changed my mind',"
                " processed_at = now() WHERE id = %s",
                row,
            )
            until_all_ended(system.ledger_reader)
            assert system.ledger_reader.outcomes() == {"executed": 1, "cancelled": 1}

        attached = role(
            "GRANT SELECT, INSERT ON trading_decisions TO {}", "GRANT SELECT ON ALL TABLES IN SCHEMA public TO {}"
        )
        with TradingSystem.attach(attached) as client:
            sent = Decision(symbol="ETH/USDT", decision="BUY", confidence="0.75")
            assert client.submit(sent).get(timeout=10).status == "executed"
            assert [row["symbol"] for row in client.positions()] == ["BTC/USDT", "ETH/USDT"]

        reader = role("GRANT SELECT ON ALL TABLES IN SCHEMA public TO {}")
        with psycopg.connect(reader, autocommit=True) as report:
            value = report.execute("SELECT get_portfolio_value()").fetchone()
            assert value is not None
            assert value[0] is not None
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                report.execute(GOOD)


def test_only_a_role_with_a_grant_requests_a_deposit(role: Role, embedded_url: str) -> None:
    schema.upgrade(embedded_url)
    portfolios.create(embedded_url, "default", {"initial_capital": 10_000})
    request = (
        "INSERT INTO paper_account_requests (portfolio, kind, amount, reason) VALUES ('default', 'deposit', 1, 'a')"
    )
    sender = role("GRANT SELECT, INSERT ON trading_decisions TO {}")
    with psycopg.connect(sender) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute(request)
    allowed = role("GRANT INSERT ON paper_account_requests TO {}")
    with psycopg.connect(allowed) as connection:
        connection.execute(request)
    with psycopg.connect(embedded_url) as owner:
        (author,) = owner.execute("SELECT author FROM paper_account_requests").fetchone() or ("nobody",)
    assert make_url(allowed).username == author


def test_who_may_read_views_alone_sees_the_names_of_portfolios(role: Role, embedded_url: str) -> None:
    schema.upgrade(embedded_url)
    portfolios.create(embedded_url, "default", {"initial_capital": 10_000})
    views = "v_paper_recent_trades, v_paper_fill_sources, v_paper_ledger_check, v_paper_validation, v_paper_halted"
    with psycopg.connect(role(f"GRANT SELECT ON {views} TO {{}}")) as connection:
        for view in views.split(", "):
            assert [] == connection.execute(f"SELECT portfolio FROM {view}").fetchall()  # type: ignore[call-overload]
        assert ("default",) == connection.execute("SELECT paper_portfolio_label('default')").fetchone()
