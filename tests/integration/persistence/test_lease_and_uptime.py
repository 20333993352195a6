"""Evidence of operations: which processes served, under which settings; when; and what each audit found."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import psycopg
import pytest

from actors import Decision
from actors.messages import Audit
from domain.alarms import Notify
from domain.errors import Fenced, WriteRefused
from domain.types import Epoch, PortfolioName
from persistence import lease as lease_module
from persistence import schema
from persistence.connections import connect
from persistence.lease import Lease, lock_key
from persistence.stores import portfolios
from persistence.stores.ledger import LedgerStore
from persistence.stores.uptime import MAX_RENEWAL_GAP, Uptime
from persistence.version import version
from tests.support.system.running_system import isolated_settings, next_line, running_system, until
from tests.support.values.builders import NOON

SILENT: Notify = lambda *_, **__: None  # noqa: E731 - alarms are heard elsewhere
SPANS = "SELECT epoch, since, until FROM paper_uptime ORDER BY epoch, since"
AUDITS = "SELECT epoch, portfolios, differences FROM paper_audits ORDER BY id"
REFUSE = """
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no'; END $$;
CREATE TRIGGER r BEFORE INSERT ON {} EXECUTE FUNCTION refuse()
"""
SERVES = """
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
    taken = Lease.take(url)
    yield taken
    taken.release()


@pytest.fixture
def somebody(url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(url, autocommit=True) as connection:
        yield connection


def rows(connection: psycopg.Connection, query: str) -> list[tuple[Any, ...]]:
    return connection.execute(query).fetchall()  # type: ignore[call-overload,no-any-return]


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def test_a_process_and_its_settings_are_on_record_with_its_epoch(url: str, somebody: psycopg.Connection) -> None:
    chosen: Mapping[str, Any] = {"exchange_options": {"httpsProxy": "http://me:s3cret@proxy:1"}, "price_grace": 2}
    with running_system(url, **chosen) as system:
        row = rows(somebody, "SELECT epoch, version, settings, p.holder = l.holder, p.started_at = l.started_at"
                             " FROM paper_processes p JOIN paper_lease l USING (epoch)")  # fmt: skip
        told = isolated_settings(url, **chosen).recorded_values()
        assert "ccxt" == told["prices"]  # which is not where this system's prices come from
        told |= {"price_source": "simulated", "real_prices": False}
        assert [(system.facts.epoch, version(), told, True, True)] == row
    with running_system(url):
        assert [(1, "2.0"), (2, "1.0")] == rows(
            somebody, "SELECT epoch, settings ->> 'price_grace' FROM paper_processes ORDER BY epoch"
        )
    assert [(0,)] == rows(somebody, "SELECT count(*) FROM paper_processes p WHERE p::text ~ 's3cret|me:|proxy:1'")


def test_an_epoch_whose_process_cannot_be_stored_has_not_begun(held: Lease, somebody: psycopg.Connection) -> None:
    somebody.execute(REFUSE.format("paper_processes"))  # type: ignore[call-overload]
    with pytest.raises(WriteRefused):
        held.begin_epoch()
    assert [(0, 0)] == rows(somebody, "SELECT epoch, (SELECT count(*) FROM paper_processes) FROM paper_lease")
    assert Epoch(0) == held.epoch


def test_an_epoch_that_was_set_back_passes_what_is_on_record(held: Lease, somebody: psycopg.Connection) -> None:
    assert Epoch(1) == held.begin_epoch("1.0")
    somebody.execute("UPDATE paper_lease SET epoch = 0")
    assert Epoch(2) == held.begin_epoch("1.1")
    assert [(1, "1.0"), (2, "1.1")] == rows(somebody, "SELECT epoch, version FROM paper_processes ORDER BY epoch")


@pytest.mark.clock
def test_a_span_grows_and_a_gap_begins_another(held: Lease, somebody: psycopg.Connection) -> None:
    held.begin_epoch()
    (begun,) = rows(somebody, SPANS)
    uptime, gap = Uptime(), MAX_RENEWAL_GAP.total_seconds()
    for second in (
        0,
        5,
        5 + gap,
        15.1 + gap,
        25.2 + 2 * gap,
        20.2 + 2 * gap,
    ):  # the last one: a clock that was corrected
        uptime.grow(held._connection, held.epoch, at(second))
    earlier = [
        (1, at(0), at(5 + gap)),
        (1, at(15.1 + gap), at(15.1 + gap)),
        (1, at(25.2 + 2 * gap), at(25.2 + 2 * gap)),
    ]
    assert sorted([*earlier, begun]) == rows(somebody, SPANS)


@pytest.mark.clock
def test_time_counts_again_as_soon_as_a_clock_that_ran_ahead_is_set_right(
    held: Lease, somebody: psycopg.Connection
) -> None:
    held.begin_epoch()
    (begun,) = rows(somebody, SPANS)
    uptime, ahead = Uptime(), 86_400
    for second in (0, 5, ahead, ahead + 5, 15, 20):
        uptime.grow(held._connection, held.epoch, at(second))
    spans = [(1, at(0), at(5)), (1, at(15), at(20)), (1, at(ahead), at(ahead + 5))]
    assert sorted([*spans, begun]) == rows(somebody, SPANS)


def test_what_could_not_be_stored_is_stored_with_the_next_renewal(held: Lease, somebody: psycopg.Connection) -> None:
    held.begin_epoch()
    ((_, since, first),) = rows(somebody, SPANS)
    with somebody.transaction():
        somebody.execute("LOCK TABLE paper_uptime IN ACCESS EXCLUSIVE MODE")
        held._renew()  # and waits for nobody
        ((renewed, waited),) = rows(
            somebody, "SELECT renewed_at, clock_timestamp() - renewed_at FROM paper_lease_renewal"
        )
    assert renewed > first
    assert waited < timedelta(seconds=2)
    assert [(1, since, first)] == rows(somebody, SPANS)
    held._renew()
    ((_, same, last),) = rows(somebody, SPANS)
    assert (since, True) == (same, last > renewed)


@pytest.mark.clock
def test_an_ordered_stop_ends_the_span_and_the_next_process_has_its_own(
    held: Lease, url: str, somebody: psycopg.Connection
) -> None:
    held.begin_epoch()
    held.keep(print, SILENT)  # renews in 5 s
    ((_, since, begun),) = rows(somebody, SPANS)
    held.release()
    ((_, same, ended),) = rows(somebody, SPANS)
    assert (since, True) == (same, ended > begun)
    replacement = Lease.take(url)
    replacement.begin_epoch()
    replacement.release()
    assert [1, 2] == [row[0] for row in rows(somebody, SPANS)]
    assert [(1, same, ended)] == rows(somebody, SPANS)[:1]


def test_a_process_whose_epoch_is_over_does_not_serve(held: Lease, somebody: psycopg.Connection) -> None:
    held.begin_epoch()
    before = rows(somebody, SPANS)
    somebody.execute("UPDATE paper_lease SET epoch = epoch + 1")
    held._renew()
    assert before == rows(somebody, SPANS)


def test_a_connection_that_is_back_is_renewed_at_once_and_makes_no_gap(
    held: Lease, somebody: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[datetime] = []

    def back(*arguments: Any, **named: Any) -> Any:
        tried.append(datetime.now(UTC))  # the server runs on this machine
        monkeypatch.setattr(lease_module, "RENEWAL_INTERVAL_S", 60.0)
        return connect(*arguments, **named)

    monkeypatch.setattr(lease_module, "RETRY_INTERVAL_S", 0.02)
    monkeypatch.setattr(lease_module, "RENEWAL_INTERVAL_S", 0.02)
    monkeypatch.setattr(lease_module, "connect", back)
    held.begin_epoch()
    held.keep(print, SILENT)
    somebody.execute(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
        " WHERE application_name = 'paper-trading lease' AND datname = current_database()"
    )
    until(lambda: bool(tried) and bool(rows(somebody, SPANS)[0][2] > tried[0]), 5)
    assert 1 == len(rows(somebody, SPANS))


def test_a_last_renewal_that_another_session_keeps_waiting_is_cancelled(
    held: Lease, url: str, somebody: psycopg.Connection
) -> None:
    held.begin_epoch()
    held.keep(print, SILENT)
    with somebody.transaction():
        somebody.execute("UPDATE paper_lease_renewal SET renewed_at = renewed_at")
        held.release()
        assert is_free(somebody, url)


def test_after_a_release_the_lock_is_free_at_once(url: str, somebody: psycopg.Connection) -> None:
    for keeper in (True, False):
        lease = Lease.take(url)
        lease.begin_epoch()
        # The server process ends the session slowly: it drops these tables first, and only then gives up the lock.
        lease._connection.execute(
            "SET search_path = pg_temp; " + "".join(f"CREATE TEMP TABLE t{i} ();" for i in range(500))
        )
        lease._connection.execute("RESET search_path")
        if keeper:
            lease.keep(print, SILENT)
        lease.release()
        assert is_free(somebody, url)


def is_free(connection: psycopg.Connection, url: str) -> bool:
    return connection.execute("SELECT pg_try_advisory_xact_lock(%s)", [lock_key(url)]).fetchone() == (True,)


def test_kill_9_leaves_the_span_at_its_last_renewal(url: str, somebody: psycopg.Connection) -> None:
    root = Path(__file__).parents[3]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", SERVES, url], cwd=root, **pipes) as process:  # type: ignore[call-overload]
        assert "1\n" == next_line(process)
        until(lambda: rows(somebody, SPANS)[0][2] > rows(somebody, SPANS)[0][1] + timedelta(milliseconds=50))
        process.kill()
        process.wait(10)
    Lease.take(url).release()  # its session is over
    renewed = "SELECT epoch, until = r.renewed_at, until < clock_timestamp() FROM paper_uptime, paper_lease_renewal r"
    ((epoch, at_renewal, before_now),) = rows(somebody, renewed)
    assert (1, True) == (epoch, before_now)
    # Killed between a renewal and its span, the span has the renewal before.
    assert at_renewal or rows(somebody, "SELECT 1 FROM paper_uptime, paper_lease_renewal WHERE until < renewed_at")


def test_each_audit_is_on_record_with_what_it_found(url: str, somebody: psycopg.Connection) -> None:
    told: SimpleQueue[tuple[str, ...]] = SimpleQueue()
    with running_system(url) as system:
        portfolios.create(url, "other", {"initial_capital": 1000})
        future = system.submit(Decision(symbol="BTC/USDT", decision="BUY", confidence=1, quantity="0.001"))
        assert "executed" == future.get(timeout=10).status
        system.tell("PositionKeeper", Audit(told.put))
        assert () == told.get(timeout=10)
        somebody.execute("SET paper.writer = 'PositionKeeper'")
        somebody.execute(
            "UPDATE paper_trading_config SET current_capital = current_capital + 1 WHERE portfolio = 'default'"
        )
        system.tell("PositionKeeper", Audit(told.put))
        found = told.get(timeout=10)
        assert [(1, 2, []), (1, 2, list(found))] == rows(somebody, AUDITS)
        assert [(f"audit: {found[0]}", True)] == rows(
            somebody, "SELECT h.reason, h.at <= a.at FROM paper_halts h, paper_audits a WHERE a.differences <> '[]'"
        )


def test_an_audit_that_cannot_be_stored_changes_nothing_else(url: str, somebody: psycopg.Connection) -> None:
    told: SimpleQueue[tuple[str, ...]] = SimpleQueue()
    with running_system(url) as system:
        somebody.execute(REFUSE.format("paper_audits"))  # type: ignore[call-overload]
        system.tell("PositionKeeper", Audit(told.put))
        assert () == told.get(timeout=10)
        somebody.execute("DROP TRIGGER r ON paper_audits")
        system.tell("PositionKeeper", Audit(told.put))
        assert () == told.get(timeout=10)
        assert () == system.status().failures
    assert [(1, 1, [])] == rows(somebody, AUDITS)
    assert [(1,)] == rows(somebody, "SELECT generation FROM paper_generation")


def test_what_an_audit_found_and_its_halt_are_stored_both_or_none(
    held: Lease, url: str, somebody: psycopg.Connection
) -> None:
    held.begin_epoch()
    portfolios.create(url, "default", {"initial_capital": 1000})
    ledger = LedgerStore(url, held)
    found = {PortfolioName("default"): "portfolio default: it differs"}
    somebody.execute(REFUSE.format("paper_halts"))  # type: ignore[call-overload]
    with pytest.raises(WriteRefused):
        ledger.record_audit(1, found)
    assert [] == rows(somebody, AUDITS)
    somebody.execute("DROP TRIGGER r ON paper_halts")
    ledger.record_audit(1, found)
    somebody.execute("UPDATE paper_lease SET epoch = epoch + 1")
    with pytest.raises(Fenced):
        ledger.record_audit(1, {})
    assert [(1, 1, ["portfolio default: it differs"])] == rows(somebody, AUDITS)
    assert [("audit: portfolio default: it differs",)] == rows(somebody, "SELECT reason FROM paper_halts")
    ledger.close()


def test_nobody_else_writes_it(somebody: psycopg.Connection) -> None:
    for table in ("paper_processes", "paper_uptime", "paper_audits"):
        for statement in (f"DELETE FROM {table}", f"TRUNCATE {table}", f"INSERT INTO {table} DEFAULT VALUES"):
            with pytest.raises(psycopg.errors.CheckViolation, match=f"table {table} is written by the program alone"):
                somebody.execute(statement)  # type: ignore[call-overload]
