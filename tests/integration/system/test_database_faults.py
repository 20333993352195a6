"""Faults of the database and of the network: no decision is lost or executed twice."""

from __future__ import annotations

import psycopg
import pytest

from actors import Decision
from tests.support.database.faults import COMMITS
from tests.support.database.proxy import Proxy
from tests.support.database.server import Server
from tests.support.system.load import disturbed, prices_go_on
from tests.support.system.running_system import (
    assert_sound,
    decision_rows,
    insert_decisions,
    running_system,
    until,
    until_all_ended,
)

WRITERS = ("fills", "refusals", "submit()", "an attached submit()")
NETWORK = (
    "all connections are cut at any message",
    "single connections are cut at any message",
    "half an answer arrives",
    "the database cannot be reached",
    "the server does not notice that connections are gone",
    "every packet is late",
    "wake-ups are lost",
    "nothing arrives for a while",
    "nothing arrives for a while, then connections are cut",
)
SERVER = (
    "an administrator ends our sessions",
    "the server is restarted",
    "the server crashes",
    "the database is read-only",
    "no connection is left",
)
STATEMENTS = (
    "a deadlock",
    "fills fail with 40001",
    "COMMIT of fills fails with 40P01",
    "fills fail with 53100",
    "COMMIT of fills fails with XX000",
)


def test_a_commit_whose_answer_is_lost(embedded_server: Server, embedded_url: str) -> None:
    faults = [sentence.format(what) for sentence in COMMITS.values() for what in WRITERS]
    with disturbed(embedded_server, embedded_url, faults) as report:
        assert dict.fromkeys(COMMITS, 2 * len(WRITERS)) == {moment: report.counts[moment] for moment in COMMITS}


@pytest.mark.slow
def test_a_network_that_fails(embedded_server: Server, embedded_url: str) -> None:
    with disturbed(embedded_server, embedded_url, NETWORK) as report:
        assert report.counts["cut"] > 20


@pytest.mark.slow
def test_a_server_that_fails(embedded_server: Server, embedded_url: str) -> None:
    with disturbed(embedded_server, embedded_url, SERVER) as report:
        assert report.counts["connections"] > 5 * len(SERVER)


@pytest.mark.slow
def test_statements_that_fail(embedded_server: Server, embedded_url: str) -> None:
    with disturbed(embedded_server, embedded_url, STATEMENTS):
        pass


def test_a_lost_wake_up_delays_decisions_and_loses_none(embedded_url: str) -> None:
    with Proxy(embedded_url) as proxy, running_system(proxy.url_for(embedded_url)) as system:  # polls once a minute
        with psycopg.connect(embedded_url) as slow:
            insert_as(slow, "slow, with the lower id")
            proxy.cut("listener")
            insert_decisions(embedded_url, decision_rows(2))
            # No listener: the wake-up is lost, and the rows are read when the listener is back, a second later.
            until(lambda: system.ledger_reader.outcomes().get("executed") == 2, 5)
            # A commit that comes after one with a higher id is read too.
            slow.commit()
            until_all_ended(system.ledger_reader, 5)
        assert_sound(system.ledger_reader, 3)


def insert_as(connection: psycopg.Connection, strategy: str) -> None:
    connection.execute(
        "INSERT INTO trading_decisions (symbol, decision, confidence, strategy) VALUES ('SOL/USDT', 'BUY', 1, %s)",
        [strategy],
    )


@pytest.mark.slow
def test_prices_go_on_when_their_actor_restarts_while_the_database_is_silent(embedded_url: str) -> None:
    with Proxy(embedded_url) as proxy, running_system(proxy.url_for(embedded_url)) as system:
        system.execute_order(symbol="ETH/USDT", side="BUY", quantity="0.01")
        proxy.freeze()
        system.crash("PriceTracker")
        prices_go_on(system)
        proxy.thaw()
        assert "filled" == system.execute_order(symbol="ETH/USDT", side="SELL", quantity="0.01")["status"]


@pytest.mark.parametrize("state", ["22003", "38000"])
def test_a_fill_that_the_database_refuses_is_rejected_once_and_alone(embedded_url: str, state: str) -> None:
    with running_system(embedded_url) as system:
        with psycopg.connect(embedded_url) as connection:
            connection.execute(
                "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
                f" IF NEW.symbol = 'SOL/USDT' THEN RAISE EXCEPTION 'never' USING ERRCODE = '{state}'; END IF;"
                " RETURN NEW; END $$"
            )
            connection.execute("CREATE TRIGGER r BEFORE INSERT ON paper_fills FOR EACH ROW EXECUTE FUNCTION refuse()")
        futures = [
            system.submit(Decision(symbol=symbol, decision="BUY", confidence=1, quantity="0.1"))
            for symbol in ("ETH/USDT", "SOL/USDT", "ETH/USDT")
        ]
        results = [future.get(timeout=10) for future in futures]
        assert ["executed", "rejected", "executed"] == [outcome.status for outcome in results]
        assert "never" in results[1].reason
        assert_sound(system.ledger_reader, 3)
        assert system.ledger_reader.served()["generation"] == 2  # one rebuild, no restart
