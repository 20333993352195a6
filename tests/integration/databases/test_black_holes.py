"""Connections that stay open and pass nothing on: the service notices what TCP cannot, and goes on."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import psycopg
import pytest

from actors import Decision, TradingSystem
from domain.alarms import AlarmKind
from persistence import lease as lease_module
from persistence import listener, schema
from persistence.connections import connect
from persistence.lease import Lease
from persistence.sessions import answers
from persistence.sessions.answers import AnswerWatch
from tests.support.database.proxy import Proxy
from tests.support.database.proxy_link import Side
from tests.support.slow_cases import slow_after_first
from tests.support.system.running_system import (
    assert_sound,
    decision_rows,
    insert_decisions,
    running_system,
    until,
)

LEASE_SESSIONS = (
    "SELECT pid FROM pg_stat_activity WHERE application_name = 'paper-trading lease' AND datname = current_database()"
)
LISTENS = (
    "SELECT FROM pg_stat_activity WHERE application_name = 'paper-trading listener' AND state = 'idle'"
    """ AND datname = current_database() AND query = 'LISTEN "paper_account"'"""
)
BOTH: tuple[Side, ...] = ("server", "client")


@pytest.fixture
def proxy(embedded_url: str) -> Iterator[Proxy]:
    with Proxy(embedded_url) as opened:
        yield opened


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make all times of the watch a tenth of what they are."""
    for name in (
        "CHECK_INTERVAL_S", "SILENT_AFTER_S", "ALARMED_CHECK_INTERVAL_S", "ALARMED_SILENT_AFTER_S", "PAUSE_S",
    ):  # fmt: skip
        monkeypatch.setattr(answers, name, getattr(answers, name) / 10)
    monkeypatch.setattr(lease_module, "RENEWAL_INTERVAL_S", lease_module.RENEWAL_INTERVAL_S / 10)


def buy(system: TradingSystem) -> str:
    decision = Decision(symbol="BTC/USDT", decision="BUY", confidence=1, quantity="0.001")
    return str(system.submit(decision).get(timeout=30).status)


def goes_on(proxy: Proxy, url: str, receivers: tuple[Side, ...]) -> float:
    """Trade through connections that become black holes; return the seconds until the service is well again."""
    with running_system(proxy.url_for(url)) as system, psycopg.connect(url, autocommit=True) as direct:
        assert "executed" == buy(system)
        before = direct.execute(LEASE_SESSIONS).fetchall()
        begun = time.monotonic()
        assert proxy.swallow(*receivers) >= 4
        assert "executed" == buy(system)
        until(lambda: before != direct.execute(LEASE_SESSIONS).fetchall() != [], 30)
        until(lambda: system.status().lease_held)
        took = time.monotonic() - begun
        assert "executed" == buy(system)
        assert_sound(system.ledger_reader, 3)
        assert [(1,)] == direct.execute("SELECT epoch FROM paper_lease").fetchall()
        assert 1 == len(direct.execute(LEASE_SESSIONS).fetchall())  # the old one is not left to its fate
        status = system.status()
        assert ((), [0] * 7) == (status.failures, [actor.restarts for actor in status.actors])
        return took


@pytest.mark.usefixtures("hurried")
@pytest.mark.parametrize("receivers", slow_after_first([BOTH, ("server",), ("client",)]))
def test_the_service_goes_on(proxy: Proxy, embedded_url: str, receivers: tuple[Side, ...]) -> None:
    goes_on(proxy, embedded_url, receivers)


@pytest.mark.slow
def test_it_goes_on_within_15_s(proxy: Proxy, embedded_url: str) -> None:
    assert goes_on(proxy, embedded_url, BOTH) < 15


@pytest.mark.usefixtures("hurried")
def test_a_slow_statement_and_an_idle_transaction_are_left_alone(embedded_url: str) -> None:
    with AnswerWatch(embedded_url), connect(embedded_url, "slow") as slow, connect(embedded_url, "idle") as idle:
        idle.execute("BEGIN")
        assert (1,) == slow.execute("SELECT 1 FROM pg_sleep(1.5)").fetchone()
        assert (2,) == idle.execute("SELECT 2").fetchone()


@pytest.mark.usefixtures("hurried")
def test_one_that_waits_for_a_lock_is_left_alone_and_one_whose_answer_is_lost_is_not(
    proxy: Proxy, embedded_url: str
) -> None:
    url = proxy.url_for(embedded_url)

    def wait_for_lock() -> None:
        with connect(url, "waits") as waits:
            waits.execute("SELECT pg_advisory_lock(1)")

    with AnswerWatch(url), connect(embedded_url, "holds") as holds, connect(url, "lost") as lost:
        holds.execute("SELECT pg_advisory_lock(1)")
        other = threading.Thread(target=wait_for_lock)
        other.start()
        until(lambda: proxy.connected("waits"))
        proxy.swallow(*BOTH, who="lost")
        with pytest.raises(psycopg.OperationalError):
            lost.execute("SELECT 1")
        assert lost.closed
        assert other.is_alive()
        holds.execute("SELECT pg_advisory_unlock(1)")
        other.join(10)
        assert not other.is_alive()


@pytest.mark.slow
def test_a_lease_notices_it_alone_if_nobody_can_ask_the_server(
    proxy: Proxy, embedded_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(lease_module.TIME_LIMITS, "answer_limit", 0.5)
    monkeypatch.setattr(lease_module, "RENEWAL_INTERVAL_S", 0.1)
    schema.upgrade(embedded_url)
    lease = Lease.take(proxy.url_for(embedded_url))
    lease.begin_epoch()
    notices: list[tuple[AlarmKind, bool]] = []

    def notify(kind: AlarmKind, text: str, *, over: bool = False) -> None:
        notices.append((kind, over))

    lease.keep(lambda _: None, notify)
    try:
        proxy.swallow(*BOTH, who="lease")
        until(lambda: [(AlarmKind.LEASE_LOST, False), (AlarmKind.LEASE_LOST, True)] == notices, 10)
        assert lease.held
    finally:
        lease.release()


@pytest.mark.slow
def test_a_listener_notices_it_and_wakes_its_actors(
    proxy: Proxy, embedded_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener, "CHECK_INTERVAL_S", 0.2)
    monkeypatch.setattr(listener, "ANSWER_LIMIT_S", 0.4)
    with running_system(proxy.url_for(embedded_url)) as system:  # polls once a minute
        with psycopg.connect(embedded_url, autocommit=True) as direct:
            until(lambda: direct.execute(LISTENS).fetchone() is not None)
        assert 1 == proxy.swallow(*BOTH, who="listener")
        insert_decisions(embedded_url, decision_rows(2))
        until(lambda: system.ledger_reader.outcomes().get("executed") == 2, 10)
