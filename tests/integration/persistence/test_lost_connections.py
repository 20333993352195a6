"""A connection lost at any message of a transaction: the error is correct, and the next transaction works."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from sqlalchemy import Engine

from actors import Decision, TradingSystem
from domain.errors import DatabaseUnavailable, SubmissionInDoubt, WriteRefused
from domain.trading.decision import Accepted
from persistence import schema
from persistence.connections import engine_for, transaction
from persistence.lease import Lease
from persistence.queries.row_lists import LedgerReader
from persistence.stores.decisions import DecisionStore
from tests.support.database.proxy import Proxy
from tests.support.database.proxy_link import Moment
from tests.support.database.server import Server
from tests.support.system.running_system import running_system, until

TRIGGER = """
CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {} RETURN NULL; END $$;
CREATE CONSTRAINT TRIGGER t AFTER INSERT ON t DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION f();
"""
LEASE_SESSIONS = (
    "SELECT pid FROM pg_stat_activity WHERE application_name = 'paper-trading lease' AND datname = current_database()"
)


@pytest.fixture
def proxy(embedded_url: str) -> Iterator[Proxy]:
    with Proxy(embedded_url) as opened:
        yield opened


@pytest.fixture(scope="module")
def url(embedded_server: Server) -> Iterator[str]:
    """One database for the transactions."""
    created = embedded_server.create_database()
    yield created
    embedded_server.drop_database(created)


@pytest.fixture
def table_proxy(url: str) -> Iterator[Proxy]:
    """A proxy to it, and an empty table there."""
    with psycopg.connect(url) as direct:
        direct.execute("DROP TABLE IF EXISTS t; DROP FUNCTION IF EXISTS f; CREATE TABLE t (n int)")
    with Proxy(url) as opened:
        yield opened


@pytest.fixture(params=[True, False], ids=["hot", "pinged"])
def engine(request: pytest.FixtureRequest, table_proxy: Proxy, url: str) -> Iterator[Engine]:
    opened = engine_for(table_proxy.url_for(url), "test", hot=request.param)
    yield opened
    opened.dispose()


def put(engine: Engine, *numbers: int) -> None:
    with transaction(engine) as cursor:
        cursor.executemany("INSERT INTO t VALUES (%s)", [(n,) for n in numbers])
        with cursor.copy("COPY t FROM STDIN") as copy:
            for n in numbers:
                copy.write_row((n,))


def stored(url: str) -> list[int]:
    with psycopg.connect(url) as direct:
        return [n for (n,) in direct.execute("SELECT n FROM t ORDER BY n").fetchall()]


def test_a_connection_that_comes_back_in_the_middle_of_the_disposal_is_closed(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = engine_for(url, "late")
    connection = engine.raw_connection()
    driver = connection.driver_connection
    assert isinstance(driver, psycopg.Connection)
    recreate = engine.pool.recreate

    def recreate_later() -> object:  # called between the end of the old pool and the beginning of the new one
        connection.close()
        return recreate()

    monkeypatch.setattr(engine.pool, "recreate", recreate_later)
    engine.dispose()
    assert driver.closed


def test_a_transaction_that_outlasts_its_engine_leaves_no_session_behind(url: str) -> None:
    engine = engine_for(url, "outlasting")
    with transaction(engine) as cursor:
        cursor.execute("SELECT 1")
        connection = cursor.connection
        engine.dispose()
        assert not connection.closed
    assert connection.closed


@pytest.mark.parametrize(("moment", "expected"), [("before", []), ("after", [1, 1])])
def test_lost_in_commit_is_in_doubt(
    engine: Engine, table_proxy: Proxy, url: str, moment: Moment, expected: list[int]
) -> None:
    table_proxy.at_commit(moment)
    with pytest.raises(DatabaseUnavailable, match="lost in COMMIT") as lost:
        put(engine, 1)
    assert lost.value.in_doubt
    assert expected == stored(url)
    put(engine, 2)


def test_a_commit_that_ends_the_session_is_in_doubt_and_one_that_is_refused_is_not(engine: Engine, url: str) -> None:
    with psycopg.connect(url) as direct:
        direct.execute(TRIGGER.format("PERFORM pg_terminate_backend(pg_backend_pid());"))
    with pytest.raises(DatabaseUnavailable) as lost:
        put(engine, 1)
    assert lost.value.in_doubt
    with psycopg.connect(url) as direct:
        direct.execute("DROP TRIGGER t ON t; DROP FUNCTION f")
        direct.execute(TRIGGER.format("RAISE EXCEPTION 'no';"))
    with pytest.raises(WriteRefused, match="a trigger refused the values: no"):
        put(engine, 1)
    assert [] == stored(url)


def test_a_cut_at_each_message_leaves_nothing_or_all_and_says_which(
    engine: Engine, table_proxy: Proxy, url: str, caplog: pytest.LogCaptureFixture
) -> None:
    put(engine, 0)  # connected
    expected = [0, 0]
    for number in range(1, 40):
        table_proxy.cut_after(number, reset=number % 2 == 0)
        try:
            put(engine, number)
        except DatabaseUnavailable as error:
            count = stored(url).count(number)
            assert count in ({0, 2} if error.in_doubt else {0})
            expected += [number] * count
        else:
            expected += [number] * 2
            table_proxy.clear()
        put(engine, 100)
        expected += [100] * 2
    assert sorted(expected) == stored(url)
    assert table_proxy.counts["fuse"] > 20
    assert [] == caplog.records  # the libraries log nothing


def test_an_upgrade_that_is_cut_says_so_and_the_next_one_makes_it_whole(proxy: Proxy, embedded_url: str) -> None:
    for messages in (5, 70, 200):
        proxy.cut_after(messages)
        with pytest.raises(DatabaseUnavailable):
            schema.upgrade(proxy.url_for(embedded_url))
    schema.upgrade(embedded_url)
    proxy.at_commit("before", sql="RELEASE SAVEPOINT")  # of the check of all tables
    with pytest.raises(DatabaseUnavailable):
        schema.upgrade(proxy.url_for(embedded_url))
    schema.upgrade(embedded_url)


def test_decisions_of_a_group_that_was_stored_in_part_are_in_doubt(proxy: Proxy, embedded_url: str) -> None:
    lease = Lease.take(embedded_url)
    schema.upgrade(embedded_url)
    with psycopg.connect(embedded_url) as direct:
        direct.execute(
            "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN IF NEW.symbol = 'BAD' THEN RAISE EXCEPTION 'no'; END IF; RETURN NEW; END $$;"
            "CREATE TRIGGER t BEFORE INSERT ON trading_decisions FOR EACH ROW EXECUTE FUNCTION f()"
        )
    store = DecisionStore(proxy.url_for(embedded_url), lease)
    group = [Decision(symbol=symbol, decision="BUY", confidence=1) for symbol in ("BAD", "BTC/USDT", "ETH/USDT")]
    assert [None] * 3 == store.find(group)  # connected
    # The group is tried first, then each decision alone: the transaction of the third never begins.
    proxy.at_commit("before", sql="BEGIN", skip=3)
    with pytest.raises(DatabaseUnavailable) as lost:
        store.insert(group)
    assert lost.value.in_doubt
    assert [type(None), Accepted, type(None)] == [type(decision) for decision in store.find(group)]
    store.close()
    lease.release()


def test_an_attached_caller_learns_of_its_decision_when_the_database_is_back(
    proxy: Proxy, embedded_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def decision() -> Decision:
        return Decision(symbol="ETH/USDT", decision="BUY", confidence=1, quantity="0.003")

    with running_system(embedded_url) as system, TradingSystem.attach(proxy.url_for(embedded_url)) as attached:
        attached.submit(decision()).get(timeout=5)
        with ThreadPoolExecutor(1) as other:
            proxy.refuse()
            proxy.at_commit("after", who="attached")
            submitted = other.submit(attached.submit, decision())
            proxy.wait_for("after")
            with pytest.raises(TimeoutError):
                submitted.result(0.2)
            proxy.admit()
            assert submitted.result(5).get(timeout=5).status == "executed"
            assert {"executed": 2} == system.ledger_reader.outcomes()

            monkeypatch.setattr("persistence.stores.intake.submissions.LOOKUP_TIMEOUT_S", 0.1)
            again = decision()
            proxy.refuse()
            proxy.at_commit("after", who="attached")
            with pytest.raises(SubmissionInDoubt):
                attached.submit(again)
            proxy.admit()
            assert attached.submit(again).get(timeout=5).status == "executed"
    ledger_reader = LedgerReader(embedded_url)
    assert {"executed": 3} == ledger_reader.outcomes()
    ledger_reader.close()


@pytest.mark.slow
def test_a_lease_whose_connection_is_cut_on_one_side_only_is_back_within_15_s(embedded_url: str) -> None:
    with (
        Proxy(embedded_url) as proxy,
        psycopg.connect(embedded_url, autocommit=True) as direct,
        running_system(proxy.url_for(embedded_url)) as system,
    ):
        before = direct.execute(LEASE_SESSIONS).fetchall()
        assert 1 == proxy.cut("lease", unnoticed=600)  # longer than the test lasts
        until(lambda: before != direct.execute(LEASE_SESSIONS).fetchall() != [], 15)
        until(lambda: system.status().lease_held)
        decision = Decision(symbol="BTC/USDT", decision="BUY", confidence=1, quantity="0.001")
        assert "executed" == system.submit(decision).get(timeout=20).status
        assert [(1,)] == direct.execute("SELECT epoch FROM paper_lease").fetchall()
        assert 1 == len(direct.execute(LEASE_SESSIONS).fetchall())
