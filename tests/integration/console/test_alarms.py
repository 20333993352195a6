"""Each alarm, sounded by the real thing on a real database."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import psycopg
import pytest

from actors import Decision, TradingSystem, wiring
from actors.messages import Audit
from domain import failpoints
from domain.alarms import Alarm
from persistence import lease
from persistence.stores import halts
from tests.support.database.servers import Server
from tests.support.system.running_system import running_system, until


class Heard:
    """Who is told of alarms."""

    def __init__(self) -> None:
        self.alarms: list[Alarm] = []

    def notify(self, alarm: Alarm) -> None:
        self.alarms.append(alarm)

    def expect(self, kind: str, text: str, *, over: bool = False) -> None:
        """Wait for this alarm; those before it are forgotten."""
        until(lambda: any((a.kind, a.over) == (kind, over) and text in a.text for a in self.alarms), 15)
        while (found := self.alarms.pop(0)).kind != kind or found.over != over or text not in found.text:
            pass


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture(autouse=True)
def _no_hook() -> Iterator[None]:
    yield
    failpoints.hook = None


def buy(system: TradingSystem) -> str:
    decision = Decision(symbol="BTC/USDT", decision="BUY", confidence=1, quantity="0.001")
    return str(system.submit(decision).get(timeout=10).reason)


def test_halt_audit_quarantine_and_the_limit_of_restarts(embedded_url: str, heard: Heard) -> None:
    with running_system(embedded_url, heard) as system:
        assert buy(system).startswith("bought")
        assert [] == heard.alarms

        halts.insert(embedded_url, None, "reviewing", "tester", halted=True)
        heard.expect("halt", "halted: portfolio default (reviewing)")
        halts.insert(embedded_url, None, "all clear", "tester", halted=False)
        heard.expect("halt", "no longer halted: portfolio default", over=True)

        with psycopg.connect(embedded_url, autocommit=True) as somebody:
            somebody.execute("SET paper.writer = 'PositionKeeper'")
            somebody.execute("UPDATE paper_trading_config SET current_capital = current_capital + 1")
        system.tell("PositionKeeper", Audit(None))
        heard.expect("audit_difference", "portfolio default: cash is ")
        heard.expect("halt", "halted: portfolio default (audit: portfolio default: cash is ")
        halts.insert(embedded_url, None, "put right", "tester", halted=False)
        heard.expect("halt", "no longer halted", over=True)

        def fail(moment: str, what: str) -> None:
            if (moment, what) == ("takes", "Execute"):
                raise ValueError("poison")

        failpoints.hook = fail
        assert buy(system).startswith("internal error")
        failpoints.hook = None
        heard.expect("quarantine", "is quarantined (1-3): ExecutionSimulator crashed twice on it (ValueError: poison)")

        for _ in range(6):
            system.crash("Sizer")
        heard.expect("restart_limit", "the process ends: gave up after 5 restarts within 30 s; the last to fail was")
        assert system.wait(10) is not None
        assert [] == heard.alarms


LEASE = (
    "SELECT pid FROM pg_stat_activity WHERE application_name = 'paper-trading lease' AND datname = current_database()"
)


def test_the_lease_lost_ours_again_and_taken(embedded_url: str, heard: Heard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "RENEWAL", 0.05)
    with running_system(embedded_url, heard) as system, psycopg.connect(embedded_url, autocommit=True) as somebody:
        ((pid,),) = somebody.execute(LEASE).fetchall()
        somebody.execute("SELECT pg_terminate_backend(%s)", [pid])
        heard.expect("lease_lost", "the lease's connection is lost; nothing is written until it is back: ")
        heard.expect("lease_lost", "the lease is ours again", over=True)

        somebody.execute("UPDATE paper_lease SET epoch = epoch + 1, holder = 'process 7 on another machine'")
        somebody.execute("SELECT pg_terminate_backend(pid) FROM (" + LEASE + ") AS l")
        heard.expect("lease_taken", "the process ends: process 7 on another machine")
        assert system.wait(10) is not None


def test_the_database_away(
    embedded_server: Server, embedded_url: str, heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wiring, "DATABASE_ALARM_DELAY", timedelta(seconds=0.3))
    with running_system(embedded_url, heard):
        embedded_server.stop(immediate=True)
        heard.expect("database_away", "the database has been unavailable or locked since ")
        embedded_server.start()
        heard.expect("database_away", "the database is back after ", over=True)
