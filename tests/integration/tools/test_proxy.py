"""The proxy that tests fail the database with: each fault strikes where it says, and nowhere else."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from tests.support.database.proxy import Proxy
from tests.support.database.server import Server
from tests.support.system.running_system import until

TABLE = "DROP TABLE IF EXISTS t; CREATE TABLE t (n int)"
INSERT = "INSERT INTO t VALUES (%s)"


@pytest.fixture(scope="module")
def url(embedded_server: Server) -> Iterator[str]:
    """One database for all; each test finds its table empty."""
    created = embedded_server.create_database()
    yield created
    embedded_server.drop_database(created)


@pytest.fixture
def proxy(url: str) -> Iterator[Proxy]:
    with psycopg.connect(url) as direct:
        direct.execute(TABLE)
    with Proxy(url) as opened:
        yield opened


def connect(proxy: Proxy, url: str, name: str = "paper-trading test") -> psycopg.Connection:
    return psycopg.connect(proxy.url_for(url), application_name=name, connect_timeout=2)


def stored(url: str) -> list[int]:
    with psycopg.connect(url) as direct:
        return [n for (n,) in direct.execute("SELECT n FROM t ORDER BY n").fetchall()]


def commit_fails(connection: psycopg.Connection, number: int) -> None:
    """Insert and commit, and lose the connection in COMMIT, not before."""
    connection.execute(INSERT, [number])
    with pytest.raises(psycopg.OperationalError):
        connection.commit()
    assert connection.closed
    connection.close()


def test_without_a_fault_everything_passes_as_it_is(proxy: Proxy, url: str) -> None:
    with connect(proxy, url) as connection:
        with connection.cursor() as cursor:
            cursor.executemany(INSERT, [(n,) for n in range(500)])
            with cursor.copy("COPY t FROM STDIN") as copy:
                for n in range(500, 1000):
                    copy.write_row((n,))
        connection.commit()
        big = "x" * 1_000_000
        assert (big,) == connection.execute("SELECT %s", [big]).fetchone()
        with pytest.raises(psycopg.errors.DivisionByZero):
            connection.execute("SELECT 1 / 0")
    assert list(range(1000)) == stored(url)
    assert {"connections": 1, "commits": 1} == dict(proxy.counts)


@pytest.mark.parametrize(("moment", "expected"), [("before", []), ("after", [1])])
def test_a_commit_is_cut_before_it_arrives_or_after_it_happened(
    proxy: Proxy, url: str, moment: str, expected: list[int]
) -> None:
    connection = connect(proxy, url)
    proxy.at_commit(moment)  # type: ignore[arg-type]
    commit_fails(connection, 1)
    proxy.wait_for(moment)
    proxy.wait_until_struck()
    assert expected == stored(url)
    with connect(proxy, url) as again:
        again.execute(INSERT, [2])
    assert [*expected, 2] == stored(url)


def test_a_late_commit_happens_after_its_client_was_cut(proxy: Proxy, url: str) -> None:
    connection = connect(proxy, url)
    proxy.at_commit("late", delay=0.2)
    commit_fails(connection, 1)
    assert [] == stored(url)
    proxy.wait_for("late")
    assert [1] == stored(url)


def test_a_commit_in_the_extended_protocol_is_recognised_too(proxy: Proxy, url: str) -> None:
    for number, moment in enumerate(["before", "after", "late"]):
        connection = connect(proxy, url)
        connection.autocommit = True
        connection.execute("BEGIN")
        connection.execute(INSERT, [number])
        proxy.at_commit(moment, delay=0.01)  # type: ignore[arg-type]
        with pytest.raises(psycopg.OperationalError):
            connection.execute("commit ;", prepare=True)
        connection.close()
        proxy.wait_until_struck()
    assert [1, 2] == stored(url)


def test_a_fault_strikes_as_often_as_was_said_and_whom_was_said(proxy: Proxy, url: str) -> None:
    proxy.at_commit("after", times=2, who="Keeper")
    with connect(proxy, url, "paper-trading Watcher") as other:
        other.execute(INSERT, [0])
    for number in (1, 2):
        commit_fails(connect(proxy, url, "paper-trading Keeper"), number)
    with connect(proxy, url, "paper-trading Keeper") as third:
        third.execute(INSERT, [3])
    assert [0, 1, 2, 3] == stored(url)
    assert 2 == proxy.counts["after"]


def test_the_answer_to_a_commit_that_was_refused_is_passed_on_and_the_next_one_swallowed(
    proxy: Proxy, url: str
) -> None:
    with psycopg.connect(url) as direct:
        direct.execute("ALTER TABLE t ADD CONSTRAINT once UNIQUE (n) DEFERRABLE INITIALLY DEFERRED")
    connection = connect(proxy, url)
    proxy.at_commit("after")
    connection.execute(f"{INSERT}, (%s)", [1, 1])
    with pytest.raises(psycopg.errors.UniqueViolation):
        connection.commit()
    commit_fails(connection, 2)
    assert [2] == stored(url)


def test_a_late_commit_that_was_refused_is_followed_by_the_next_one(proxy: Proxy, url: str) -> None:
    with psycopg.connect(url) as direct:
        direct.execute("ALTER TABLE t ADD CONSTRAINT once UNIQUE (n) DEFERRABLE INITIALLY DEFERRED")
    connection = connect(proxy, url)
    connection.execute(INSERT, [1])
    proxy.at_commit("late", delay=0.01)
    commit_fails(connection, 1)
    until(lambda: not proxy.connected("test"), 10)  # the refusal has arrived
    assert 0 == proxy.counts["late"]
    commit_fails(connect(proxy, url), 2)
    proxy.wait_until_struck()
    assert [2] == stored(url)


def test_a_commit_is_known_by_what_its_transaction_ran(proxy: Proxy, url: str) -> None:
    proxy.at_commit("after", of="INSERT INTO t")
    connection = connect(proxy, url)
    connection.execute("SELECT 1")
    connection.commit()
    commit_fails(connection, 1)
    assert [1] == stored(url)


def test_any_statement_can_be_kept_from_arriving(proxy: Proxy, url: str) -> None:
    proxy.at_commit("before", sql="INSERT INTO t")
    connection = connect(proxy, url)
    assert (1,) == connection.execute("SELECT 1").fetchone()
    with pytest.raises(psycopg.OperationalError):
        connection.execute(INSERT, [1])
    connection.close()


@pytest.mark.parametrize("reset", [True, False])
def test_connections_are_cut_by_name(proxy: Proxy, url: str, reset: bool) -> None:
    one, other = connect(proxy, url, "one"), connect(proxy, url, "other")
    assert 1 == proxy.cut("one", reset=reset)
    with pytest.raises(psycopg.OperationalError):
        one.execute("SELECT 1")
    assert (1,) == other.execute("SELECT 1").fetchone()
    one.close()
    other.close()


def test_a_cut_can_go_unnoticed_by_the_server_for_a_while(proxy: Proxy, url: str) -> None:
    connection = connect(proxy, url, "unnoticed")
    connection.execute("SELECT pg_advisory_lock(1)")
    proxy.cut(unnoticed=0.3)
    with psycopg.connect(url, autocommit=True) as direct:
        assert (False,) == direct.execute("SELECT pg_try_advisory_lock(1)").fetchone()
        begun = time.monotonic()
        direct.execute("SELECT pg_advisory_lock(1)")
        assert 0.1 < time.monotonic() - begun < 2
    connection.close()


@pytest.mark.parametrize(("messages", "expected"), [(1, 0), (2, 0), (5, 0), (6, 1), (23, 4)])
def test_a_cut_strikes_at_the_message_that_was_counted(proxy: Proxy, url: str, messages: int, expected: int) -> None:
    with connect(proxy, url) as connection:
        connection.autocommit = True
        proxy.cut_after(messages)
        for _ in range(expected):
            # Query, and in answer RowDescription, DataRow, CommandComplete, ReadyForQuery.
            connection.execute("SELECT 1")
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")
    assert 1 == proxy.counts["fuse"]


def test_half_an_answer_arrives(proxy: Proxy, url: str) -> None:
    connection = connect(proxy, url)
    proxy.halve()
    with pytest.raises(psycopg.OperationalError):
        connection.execute("SELECT repeat('x', 1000000)")
    proxy.wait_for("half")
    connection.close()


def test_connections_are_refused_and_admitted(proxy: Proxy, url: str) -> None:
    open_before = connect(proxy, url)
    proxy.refuse()
    with pytest.raises(psycopg.OperationalError, match="refused"):
        connect(proxy, url)
    assert (1,) == open_before.execute("SELECT 1").fetchone()
    proxy.admit()
    connect(proxy, url).close()
    open_before.close()


def test_a_frozen_network_passes_on_what_it_held_back(proxy: Proxy, url: str) -> None:
    with connect(proxy, url) as connection, ThreadPoolExecutor(2) as others:
        proxy.freeze()
        try:
            answer = others.submit(connection.execute, "SELECT 1")
            another = others.submit(connect, proxy, url)
            with pytest.raises(TimeoutError):
                answer.result(0.1)
            assert not another.done()
        finally:
            proxy.thaw()  # also after a failure: the end of the pool waits for both
        assert (1,) == answer.result(5).fetchone()
        another.result(5).close()


def test_packets_are_delayed(proxy: Proxy, url: str) -> None:
    with connect(proxy, url) as connection:
        connection.autocommit = True
        proxy.delay(0.05, jitter=0.01, seed=1)
        begun = time.monotonic()
        connection.execute("SELECT 1")
        assert 0.1 <= time.monotonic() - begun < 1
        proxy.delay(0)
        begun = time.monotonic()
        connection.execute("SELECT 1")
        assert time.monotonic() - begun < 0.05


def test_a_server_that_is_not_there_ends_the_connection(proxy: Proxy, url: str) -> None:
    with Proxy("postgresql://nobody@127.0.0.1:1/nothing") as to_nowhere, pytest.raises(psycopg.OperationalError):
        psycopg.connect(to_nowhere.url_for(url), connect_timeout=2)
