"""Each alarm, raised by a running system on a real database."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import psycopg
import pytest

from actors import Decision, TradingSystem, wiring
from actors.messages import Audit
from domain import failpoints
from persistence import lease
from persistence.stores import halts
from tests.support.database.servers import Server
from tests.support.system.recorded_alarms import RecordedAlarms
from tests.support.system.running_system import running_system


@pytest.fixture
def alarms() -> RecordedAlarms:
    return RecordedAlarms()


@pytest.fixture(autouse=True)
def _no_hook() -> Iterator[None]:
    yield
    failpoints.hook = None


def buy(system: TradingSystem) -> str:
    decision = Decision(symbol="BTC/USDT", decision="BUY", confidence=1, quantity="0.001")
    return str(system.submit(decision).get(timeout=10).reason)


def test_halt_audit_quarantine_and_the_limit_of_restarts(embedded_url: str, alarms: RecordedAlarms) -> None:
    with running_system(embedded_url, alarms) as system:
        assert buy(system).startswith("bought")
        assert [] == alarms.alarms

        halts.insert(embedded_url, None, "reviewing", "tester", halted=True)
        alarms.expect("halt", "halted: portfolio default (reviewing)")
        halts.insert(embedded_url, None, "all clear", "tester", halted=False)
        alarms.expect("halt", "no longer halted: portfolio default", over=True)

        with psycopg.connect(embedded_url, autocommit=True) as connection:
            connection.execute("SET paper.writer = 'PositionKeeper'")
            connection.execute("UPDATE paper_trading_config SET current_capital = current_capital + 1")
        system.tell("PositionKeeper", Audit(None))
        alarms.expect("audit_difference", "portfolio default: cash is ")
        alarms.expect("halt", "halted: portfolio default (audit: portfolio default: cash is ")
        halts.insert(embedded_url, None, "put right", "tester", halted=False)
        alarms.expect("halt", "no longer halted", over=True)

        def fail(moment: str, what: str) -> None:
            if (moment, what) == ("takes", "Execute"):
                raise ValueError("poison")

        failpoints.hook = fail
        assert buy(system).startswith("internal error")
        failpoints.hook = None
        alarms.expect("quarantine", "is quarantined (1-3): ExecutionSimulator crashed twice on it (ValueError: poison)")

        for _ in range(6):
            system.crash("Sizer")
        alarms.expect("restart_limit", "the process ends: gave up after 5 restarts within 30 s; the last to fail was")
        assert system.wait(10) is not None
        assert [] == alarms.alarms


LEASE = (
    "SELECT pid FROM pg_stat_activity WHERE application_name = 'paper-trading lease' AND datname = current_database()"
)


def test_the_lease_lost_back_and_taken(
    embedded_url: str, alarms: RecordedAlarms, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "RENEWAL_INTERVAL_S", 0.05)
    with running_system(embedded_url, alarms) as system, psycopg.connect(embedded_url, autocommit=True) as connection:
        ((pid,),) = connection.execute(LEASE).fetchall()
        connection.execute("SELECT pg_terminate_backend(%s)", [pid])
        alarms.expect("lease_lost", "the lease's connection is lost; nothing is written until it is back: ")
        alarms.expect("lease_lost", "this process holds the lease again", over=True)

        connection.execute("UPDATE paper_lease SET epoch = epoch + 1, holder = 'process 7 on another machine'")
        connection.execute("SELECT pg_terminate_backend(pid) FROM (" + LEASE + ") AS l")
        alarms.expect("lease_taken", "the process ends: process 7 on another machine")
        assert system.wait(10) is not None


def test_the_database_away(
    embedded_server: Server, embedded_url: str, alarms: RecordedAlarms, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wiring, "DATABASE_ALARM_DELAY", timedelta(seconds=0.3))
    with running_system(embedded_url, alarms):
        embedded_server.stop(immediate=True)
        alarms.expect("database_away", "the database has been unavailable or locked since ")
        embedded_server.start()
        alarms.expect("database_away", "the database is back after ", over=True)
