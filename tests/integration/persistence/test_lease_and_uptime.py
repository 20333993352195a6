"""Records of operation: the processes that served, their settings and times, and the result of each audit."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import psycopg
import pytest

from actors import Decision
from actors.messages import Audit
from domain.alarms import Notify
from domain.errors import DatabaseBusy, Fenced, WriteRefused
from domain.types import Epoch, PortfolioName
from persistence import lease as lease_module
from persistence import schema
from persistence.connections import connect
from persistence.lease import Lease
from persistence.lease_session import LeaseSession, lock_key
from persistence.stores import portfolios
from persistence.stores.ledger import LedgerStore
from persistence.stores.uptime import MAX_RENEWAL_GAP, Uptime
from persistence.version import version
from tests.support.database.set_time import database_time
from tests.support.database.upgraded import embedded_url
from tests.support.system.running_system import isolated_settings, next_line, running_system, until
from tests.support.values.builders import NOON

__all__ = ["embedded_url"]  # a fixture

IGNORE_ALARMS: Notify = lambda *_, **__: None  # noqa: E731 - other tests check the alarms
SPANS = "SELECT epoch, since, until FROM paper_uptime ORDER BY epoch, since"
AUDITS = "SELECT epoch, portfolios, differences FROM paper_audits ORDER BY id"
REFUSE = """
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no'; END $$;
CREATE TRIGGER r BEFORE INSERT ON {} EXECUTE FUNCTION refuse()
"""
SERVING_PROCESS = """
import sys
from persistence import lease
lease.RENEWAL_INTERVAL_S = 0.02
held = lease.Lease.take(sys.argv[1])
held.begin_epoch()
held.keep(print, lambda *_, **__: None)
print(held.epoch, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def url(embedded_url: str) -> str:
    schema.upgrade(embedded_url)
    return embedded_url


@pytest.fixture
def held(url: str) -> Iterator[Lease]:
    lease = Lease.take(url)
    yield lease
    lease.release()


@pytest.fixture
def connection(url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(url, autocommit=True) as connection:
        yield connection


def rows(connection: psycopg.Connection, query: str) -> list[tuple[Any, ...]]:
    return connection.execute(query).fetchall()  # type: ignore[call-overload,no-any-return]


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def test_a_lease_that_cannot_be_taken_leaves_no_connection_open(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[psycopg.Connection] = []

    def cancelled(session: LeaseSession) -> None:
        opened.append(session._connection)
        raise psycopg.errors.QueryCanceled("canceling statement due to user request")

    monkeypatch.setattr(LeaseSession, "enter", cancelled)
    with pytest.raises(DatabaseBusy):
        Lease.take(url)
    assert [True] == [connection.closed for connection in opened]


@pytest.mark.slow
def test_a_process_and_its_settings_are_stored_with_its_epoch(url: str, connection: psycopg.Connection) -> None:
    chosen: Mapping[str, Any] = {"exchange_options": {"httpsProxy": "http://me:s3cret@proxy:1"}, "price_grace": 2}
    with running_system(url, **chosen) as system:
        row = rows(connection, "SELECT epoch, version, settings, p.holder = l.holder, p.started_at = l.started_at"
                             " FROM paper_processes p JOIN paper_lease l USING (epoch)")  # fmt: skip
        recorded = isolated_settings(url, **chosen).recorded_values()
        assert "ccxt" == recorded["prices"]  # although this system's prices are simulated
        recorded |= {"price_source": "simulated", "real_prices": False}
        assert [(system.facts.epoch, version(), recorded, True, True)] == row
    with running_system(url):
        assert [(1, "2.0"), (2, "1.0")] == rows(
            connection, "SELECT epoch, settings ->> 'price_grace' FROM paper_processes ORDER BY epoch"
        )
    assert [(0,)] == rows(connection, "SELECT count(*) FROM paper_processes p WHERE p::text ~ 's3cret|me:|proxy:1'")


def test_an_epoch_whose_process_cannot_be_stored_has_not_begun(held: Lease, connection: psycopg.Connection) -> None:
    connection.execute(REFUSE.format("paper_processes"))  # type: ignore[call-overload]
    with pytest.raises(WriteRefused):
        held.begin_epoch()
    assert [(0, 0)] == rows(connection, "SELECT epoch, (SELECT count(*) FROM paper_processes) FROM paper_lease")
    assert Epoch(0) == held.epoch


def test_an_epoch_that_was_set_back_exceeds_the_stored_ones(held: Lease, connection: psycopg.Connection) -> None:
    assert Epoch(1) == held.begin_epoch("1.0")
    connection.execute("UPDATE paper_lease SET epoch = 0")
    assert Epoch(2) == held.begin_epoch("1.1")
    assert [(1, "1.0"), (2, "1.1")] == rows(connection, "SELECT epoch, version FROM paper_processes ORDER BY epoch")


@pytest.mark.clock
def test_a_span_grows_and_a_gap_begins_another(held: Lease, connection: psycopg.Connection) -> None:
    held.begin_epoch()
    (begun,) = rows(connection, SPANS)
    uptime, gap = Uptime(), MAX_RENEWAL_GAP.total_seconds()
    for second in (
        0,
        5,
        5 + gap,
        15.1 + gap,
        25.2 + 2 * gap,
        20.2 + 2 * gap,
    ):  # the last one: the clock was set back
        uptime.grow(held._connection, held.epoch, at(second))
    earlier = [
        (1, at(0), at(5 + gap)),
        (1, at(15.1 + gap), at(15.1 + gap)),
        (1, at(25.2 + 2 * gap), at(25.2 + 2 * gap)),
    ]
    assert sorted([*earlier, begun]) == rows(connection, SPANS)


@pytest.mark.clock
def test_a_clock_that_ran_ahead_and_is_corrected_begins_a_span_at_once(
    held: Lease, connection: psycopg.Connection
) -> None:
    held.begin_epoch()
    (begun,) = rows(connection, SPANS)
    uptime, ahead = Uptime(), 86_400
    for second in (0, 5, ahead, ahead + 5, 15, 20):
        uptime.grow(held._connection, held.epoch, at(second))
    spans = [(1, at(0), at(5)), (1, at(15), at(20)), (1, at(ahead), at(ahead + 5))]
    assert sorted([*spans, begun]) == rows(connection, SPANS)


def test_a_span_that_could_not_be_stored_is_stored_with_the_next_renewal(
    held: Lease, connection: psycopg.Connection
) -> None:
    held.begin_epoch()
    ((_, since, first),) = rows(connection, SPANS)
    with connection.transaction():
        connection.execute("LOCK TABLE paper_uptime IN ACCESS EXCLUSIVE MODE")
        held._renew()  # without waiting for the lock
        ((renewed, waited),) = rows(
            connection, "SELECT renewed_at, clock_timestamp() - renewed_at FROM paper_lease_renewal"
        )
    assert renewed > first
    assert waited < timedelta(seconds=2)
    assert [(1, since, first)] == rows(connection, SPANS)
    held._renew()
    ((_, same, last),) = rows(connection, SPANS)
    assert (since, True) == (same, last > renewed)


@pytest.mark.clock
def test_an_ordered_stop_ends_the_span_and_the_next_process_has_its_own(
    held: Lease, url: str, connection: psycopg.Connection
) -> None:
    held.begin_epoch()
    held.keep(print, IGNORE_ALARMS)  # renews in 5 s
    ((_, since, begun),) = rows(connection, SPANS)
    held.release()
    ((_, same, ended),) = rows(connection, SPANS)
    assert (since, True) == (same, ended > begun)
    replacement = Lease.take(url)
    replacement.begin_epoch()
    replacement.release()
    assert [1, 2] == [row[0] for row in rows(connection, SPANS)]
    assert [(1, same, ended)] == rows(connection, SPANS)[:1]


def test_a_process_whose_epoch_is_over_does_not_serve(held: Lease, connection: psycopg.Connection) -> None:
    held.begin_epoch()
    before = rows(connection, SPANS)
    connection.execute("UPDATE paper_lease SET epoch = epoch + 1")
    held._renew()
    assert before == rows(connection, SPANS)


def test_a_connection_that_is_back_is_renewed_at_once_and_makes_no_gap(
    held: Lease, url: str, connection: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempts: list[datetime] = []

    def reconnect(*arguments: Any, **named: Any) -> Any:
        attempts.append(database_time(url))
        monkeypatch.setattr(lease_module, "RENEWAL_INTERVAL_S", 60.0)
        return connect(*arguments, **named)

    monkeypatch.setattr(lease_module, "RETRY_INTERVAL_S", 0.02)
    monkeypatch.setattr(lease_module, "RENEWAL_INTERVAL_S", 0.02)
    monkeypatch.setattr(lease_module, "connect", reconnect)
    held.begin_epoch()
    held.keep(print, IGNORE_ALARMS)
    connection.execute(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
        " WHERE application_name = 'paper-trading lease' AND datname = current_database()"
    )
    until(lambda: bool(attempts) and bool(rows(connection, SPANS)[0][2] > attempts[0]), 5)
    assert 1 == len(rows(connection, SPANS))


def test_a_last_renewal_that_another_session_blocks_is_cancelled(
    held: Lease, url: str, connection: psycopg.Connection
) -> None:
    held.begin_epoch()
    held.keep(print, IGNORE_ALARMS)
    with connection.transaction():
        connection.execute("UPDATE paper_lease_renewal SET renewed_at = renewed_at")
        held.release()
        assert is_free(connection, url)


def test_after_a_release_the_lease_is_free_at_once(url: str, connection: psycopg.Connection) -> None:
    for keeper in (True, False):
        lease = Lease.take(url)
        lease.begin_epoch()
        # The server process ends this session slowly: it drops these tables first, and only then releases its locks.
        lease._connection.execute(
            "SET search_path = pg_temp; " + "".join(f"CREATE TEMP TABLE t{i} ();" for i in range(500))
        )
        lease._connection.execute("RESET search_path")
        if keeper:
            lease.keep(print, IGNORE_ALARMS)
        lease.release()
        assert is_free(connection, url)
        assert [(None,)] == rows(connection, "SELECT session_pid FROM paper_lease_renewal")


def is_free(connection: psycopg.Connection, url: str) -> bool:
    return connection.execute("SELECT pg_try_advisory_xact_lock(%s)", [lock_key(url)]).fetchone() == (True,)


def test_kill_9_leaves_the_span_at_its_last_renewal(url: str, connection: psycopg.Connection) -> None:
    root = Path(__file__).parents[3]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", SERVING_PROCESS, url], cwd=root, **pipes) as process:  # type: ignore[call-overload]
        assert "1\n" == next_line(process)
        until(lambda: rows(connection, SPANS)[0][2] > rows(connection, SPANS)[0][1] + timedelta(milliseconds=50))
        process.kill()
        process.wait(10)
    Lease.take(url).release()  # its session is over
    renewed = "SELECT epoch, until = r.renewed_at, until < clock_timestamp() FROM paper_uptime, paper_lease_renewal r"
    ((epoch, at_renewal, before_now),) = rows(connection, renewed)
    assert (1, True) == (epoch, before_now)
    # If the process was killed between a renewal and its span, the span ends at the renewal before.
    assert at_renewal or rows(connection, "SELECT 1 FROM paper_uptime, paper_lease_renewal WHERE until < renewed_at")


def test_each_audit_is_stored_with_its_differences(url: str, connection: psycopg.Connection) -> None:
    replies: SimpleQueue[tuple[str, ...]] = SimpleQueue()
    with running_system(url) as system:
        portfolios.create(url, "other", {"initial_capital": 1000})
        future = system.submit(Decision(symbol="BTC/USDT", decision="BUY", confidence=1, quantity="0.001"))
        assert "executed" == future.get(timeout=10).status
        system.tell("PositionKeeper", Audit(replies.put))
        assert () == replies.get(timeout=10)
        connection.execute("SET paper.writer = 'PositionKeeper'")
        connection.execute(
            "UPDATE paper_trading_config SET current_capital = current_capital + 1 WHERE portfolio = 'default'"
        )
        system.tell("PositionKeeper", Audit(replies.put))
        differences = replies.get(timeout=10)
        assert [(1, 2, []), (1, 2, list(differences))] == rows(connection, AUDITS)
        assert [(f"audit: {differences[0]}", True)] == rows(
            connection, "SELECT h.reason, h.at <= a.at FROM paper_halts h, paper_audits a WHERE a.differences <> '[]'"
        )


def test_an_audit_that_cannot_be_stored_changes_nothing_else(url: str, connection: psycopg.Connection) -> None:
    replies: SimpleQueue[tuple[str, ...]] = SimpleQueue()
    with running_system(url) as system:
        connection.execute(REFUSE.format("paper_audits"))  # type: ignore[call-overload]
        system.tell("PositionKeeper", Audit(replies.put))
        assert () == replies.get(timeout=10)
        connection.execute("DROP TRIGGER r ON paper_audits")
        system.tell("PositionKeeper", Audit(replies.put))
        assert () == replies.get(timeout=10)
        assert () == system.status().failures
    assert [(1, 1, [])] == rows(connection, AUDITS)
    assert [(1,)] == rows(connection, "SELECT generation FROM paper_generation")


def test_an_audit_and_its_halts_are_stored_both_or_none(held: Lease, url: str, connection: psycopg.Connection) -> None:
    held.begin_epoch()
    portfolios.create(url, "default", {"initial_capital": 1000})
    ledger = LedgerStore(url, held)
    differences = {PortfolioName("default"): "portfolio default: it differs"}
    connection.execute(REFUSE.format("paper_halts"))  # type: ignore[call-overload]
    with pytest.raises(WriteRefused):
        ledger.record_audit(1, differences)
    assert [] == rows(connection, AUDITS)
    connection.execute("DROP TRIGGER r ON paper_halts")
    ledger.record_audit(1, differences)
    connection.execute("UPDATE paper_lease SET epoch = epoch + 1")
    with pytest.raises(Fenced):
        ledger.record_audit(1, {})
    assert [(1, 1, ["portfolio default: it differs"])] == rows(connection, AUDITS)
    assert [("audit: portfolio default: it differs",)] == rows(connection, "SELECT reason FROM paper_halts")
    ledger.close()


def test_nothing_else_writes_these_tables(connection: psycopg.Connection) -> None:
    for table in ("paper_processes", "paper_uptime", "paper_audits"):
        for statement in (f"DELETE FROM {table}", f"TRUNCATE {table}", f"INSERT INTO {table} DEFAULT VALUES"):
            with pytest.raises(psycopg.errors.CheckViolation, match=f"table {table} is written by the program alone"):
                connection.execute(statement)  # type: ignore[call-overload]
