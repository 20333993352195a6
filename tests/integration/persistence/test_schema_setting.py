"""Each schema of a database is a system of its own."""

from __future__ import annotations

import psycopg
import pytest

from domain.errors import DatabaseUnsuitable, LeaseHeld
from persistence import schema
from persistence.connections import connect_options
from persistence.lease import Lease
from persistence.sessions.address import schema_of, with_schema
from tests.support.system.running_system import running_system


def test_the_url_carries_the_schema_and_keeps_what_it_had() -> None:
    url = with_schema("postgresql://a:b+c@h/db?options=-c%20work_mem%3D8MB", "own")
    assert schema_of(url) == "own"
    assert schema_of("postgresql://a@h/db") == "public"
    assert "b%2Bc@" in url
    options = str(connect_options("x", url)["options"])
    assert "work_mem=8MB" in options
    assert "search_path=own,public" in options


def test_two_systems_side_by_side_in_one_database(database_url: str) -> None:
    own = with_schema(database_url, "own")
    with running_system(database_url) as first, running_system(own) as second:
        first.execute_order(symbol="BTC/USDT", side="BUY", quantity="0.01")
        second.execute_order(symbol="ETH/USDT", side="BUY", quantity="0.01")
        assert [row["symbol"] for row in first.positions()] == ["BTC/USDT"]
        assert [row["symbol"] for row in second.positions()] == ["ETH/USDT"]
        assert first.ledger_reader.served()["running"]
        assert second.ledger_reader.served()["running"]
        with pytest.raises(LeaseHeld):
            Lease.take(own, timeout=0)
        with psycopg.connect(database_url) as connection:
            connection.execute("SET search_path = pg_catalog")
            value = connection.execute("SELECT own.get_portfolio_value(), public.get_portfolio_value()").fetchone()
            assert value is not None
            assert None not in value
        assert second.ledger_reader.ledger_differences() == []
    assert schema.is_current(own)


def test_a_schema_that_the_role_may_not_create_is_an_error(embedded_url: str) -> None:
    with psycopg.connect(embedded_url) as connection:
        connection.execute("REVOKE CREATE ON DATABASE " + str(connection.info.dbname) + " FROM CURRENT_USER")
    with pytest.raises(DatabaseUnsuitable, match="there is no schema own, and role"):
        schema.upgrade(with_schema(embedded_url, "own"))
