"""Threads beside the actors: each survives any exception, and logs a failing state once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from queue import SimpleQueue
from typing import Any

import psycopg
import pytest

from actors import Decision, TradingSystem
from domain.alarms import Notify
from domain.market_data.awaited_splits import LastPrices
from domain.market_data.price_second import PriceSecond
from domain.types import Epoch
from persistence import lease as lease_module
from persistence import schema
from persistence.connections import connect
from persistence.lease import Lease
from persistence.listener import Listener
from persistence.stores.decisions import DecisionStore
from persistence.stores.intake.submissions import read_outcomes
from persistence.stores.prices import PriceRecorder, PriceStore
from tests.support.database.proxy import Proxy
from tests.support.system.running_system import running_system, until
from tests.support.values.builders import NOON, quote

SILENT: Notify = lambda *_, **__: None  # noqa: E731 - other tests are about alarms


@pytest.fixture
def held(embedded_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lease]:
    """A lease that is renewed every 20 ms."""
    monkeypatch.setattr(lease_module, "RENEWAL_INTERVAL_S", 0.02)
    monkeypatch.setattr(lease_module, "RETRY_INTERVAL_S", 0.02)
    taken = Lease.take(embedded_url)
    schema.upgrade(embedded_url)
    taken.begin_epoch()
    yield taken
    taken.release()


def failing(times: int, real: Callable[..., Any]) -> Callable[..., Any]:
    """Return ``real``, preceded by so many calls that raise an unexpected error."""
    left = iter(range(times))

    def called(*arguments: Any, **named: Any) -> Any:
        if next(left, None) is not None:
            raise RuntimeError("an unexpected error")
        return real(*arguments, **named)

    return called


def notify(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as sender:
        sender.execute("NOTIFY paper_decisions")


def terminate(url: str, name: str) -> bool:
    with psycopg.connect(url, autocommit=True) as connection:
        statement = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = %s"
        return bool(connection.execute(statement, [f"paper-trading {name}"]).fetchall())


def renewed_at(url: str) -> Any:
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT renewed_at FROM paper_lease_renewal").fetchone()
        assert row is not None
        return row[0]


def test_the_listener_survives_an_error_in_its_callback(embedded_url: str, log_lines: list[str]) -> None:
    calls = threading.Semaphore(0)

    def woken(channel: str) -> None:
        calls.release()
        raise RuntimeError("an unexpected error")

    listener = Listener(embedded_url, ["paper_decisions"], woken)
    listener.start()
    assert calls.acquire(timeout=5)  # the call after connecting
    for _ in range(2):
        notify(embedded_url)
        assert calls.acquire(timeout=5)
    listener.stop()
    assert 3 == listener.failures.count
    (line,) = log_lines
    assert line.startswith("WARNING a wake-up on paper_decisions was lost; polling goes on: an unexpected error")
    assert "Traceback" in line


def test_the_listener_survives_an_unexpected_error_while_it_connects(
    embedded_url: str, log_lines: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("persistence.listener.RECONNECT_INTERVAL_S", 0.01)
    monkeypatch.setattr("persistence.listener.connect", failing(3, connect))
    calls = threading.Semaphore(0)
    listener = Listener(embedded_url, ["paper_decisions"], lambda _: calls.release())
    listener.start()
    for _ in range(3 + 1):  # one for each failed attempt, and one after connecting
        assert calls.acquire(timeout=5)
    assert terminate(embedded_url, "listener")
    for _ in range(2):  # one for the loss, and one after reconnecting
        assert calls.acquire(timeout=5)
    listener.stop()
    assert not calls.acquire(blocking=False)
    assert 4 == listener.failures.count
    assert 2 == len(log_lines)  # one failure before the first connection, and one that ended it


def test_an_outage_is_noticed_whichever_connection_it_strikes_first(
    embedded_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    polled = threading.Semaphore(0)

    def pending(store: DecisionStore, *arguments: Any) -> Any:
        try:
            return read_pending(store, *arguments)
        finally:
            polled.release()

    read_pending = DecisionStore.pending
    with Proxy(embedded_url) as proxy, running_system(proxy.url_for(embedded_url)) as system:
        until(lambda: proxy.connected("listener"), 5)
        monkeypatch.setattr(DecisionStore, "pending", pending)
        monkeypatch.setattr("persistence.listener.RECONNECT_INTERVAL_S", 0.05)
        proxy.refuse()
        proxy.cut("listener")
        assert polled.acquire(timeout=5)  # by the DecisionWatcher, whose connection still works
        assert system.status().intake_paused_since is None
        proxy.cut()
        until(lambda: system.status().intake_paused_since is not None, 5)  # its own poll comes once a minute
        proxy.admit()
        until(lambda: system.status().intake_paused_since is None, 5)


def test_the_lease_survives_unexpected_errors_while_it_reconnects(
    held: Lease, embedded_url: str, log_lines: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    lost: list[str] = []
    held.keep(lost.append, SILENT)
    before = renewed_at(embedded_url)
    until(lambda: renewed_at(embedded_url) > before, 5)
    monkeypatch.setattr(lease_module, "connect", failing(3, connect))
    assert terminate(embedded_url, "lease")
    until(lambda: held.failures.count >= 4 and held.held, 5)
    before = renewed_at(embedded_url)
    until(lambda: renewed_at(embedded_url) > before, 5)
    assert [] == lost
    assert Epoch(1) == held.epoch
    (line,) = log_lines
    assert line.startswith("WARNING the lease's connection is lost; nothing is written until it is back")


def test_a_lease_that_cannot_be_renewed_is_still_held(held: Lease, embedded_url: str, log_lines: list[str]) -> None:
    with psycopg.connect(embedded_url, autocommit=True) as connection:
        connection.execute(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN RAISE EXCEPTION 'no writes' USING ERRCODE = '25006'; END $$"
        )
        connection.execute("CREATE TRIGGER r BEFORE UPDATE ON paper_lease_renewal EXECUTE FUNCTION refuse()")
        lost: list[str] = []
        held.keep(lost.append, SILENT)
        until(lambda: held.failures.count >= 3, 5)
        assert held.held
        connection.execute("DROP TRIGGER r ON paper_lease_renewal")
        before = renewed_at(embedded_url)
        until(lambda: renewed_at(embedded_url) > before, 5)
    assert [] == lost
    assert ["WARNING the lease cannot be renewed at the moment: no writes"] == log_lines


def test_the_price_recorder_survives_an_unexpected_error(held: Lease, embedded_url: str, log_lines: list[str]) -> None:
    recorder = PriceRecorder(PriceStore(embedded_url, held))
    recorder.offer([PriceSecond.of(quote("100", at=NOON)), "no prices"])  # type: ignore[list-item]
    recorder.offer([PriceSecond.of(quote("101", at=NOON))])
    until(lambda: _stored(embedded_url) == 1, 5)
    recorder.close()
    assert 2 == recorder.dropped
    assert 1 == recorder.failures.count
    (line,) = log_lines
    assert line.startswith("WARNING prices are not stored at the moment: 'str' object has no attribute")


def _stored(url: str) -> int:
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT count(*) FROM market_prices").fetchone()
        assert row is not None
        return int(row[0])


def test_reading_stored_prices_does_not_wait_for_a_silent_database(held: Lease, embedded_url: str) -> None:
    answers: SimpleQueue[LastPrices | None] = SimpleQueue()
    with Proxy(embedded_url) as proxy:
        recorder = PriceRecorder(PriceStore(proxy.url_for(embedded_url), held))
        recorder.read(answers.put)
        assert LastPrices({}) == answers.get(timeout=5)
        proxy.freeze()
        recorder.read(answers.put)
        recorder.offer([PriceSecond.of(quote("100", at=NOON))])
        assert answers.empty()
        proxy.thaw()
        assert LastPrices({}) == answers.get(timeout=5)  # the late answer
        recorder.close()


def test_an_attached_client_survives_unexpected_errors_while_it_reads_outcomes(
    embedded_url: str, log_lines: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with running_system(embedded_url), TradingSystem.attach(embedded_url) as attached:
        monkeypatch.setattr("actors.client.POLL_INTERVAL_S", 0.05)
        monkeypatch.setattr("actors.client.read_outcomes", failing(2, read_outcomes))
        impatient = attached.submit(Decision(symbol="ETH/USDT", decision="BUY", confidence=1, quantity="0.003"))
        impatient.set(None)  # a caller may answer its own future
        until(lambda: attached.failures.count == 2, 5)
        patient = attached.submit(Decision(symbol="ETH/USDT", decision="HOLD", confidence=1))
        assert patient.get(timeout=5).status == "ignored"
    (line,) = log_lines
    assert line.startswith("WARNING cannot read outcomes until the database is available again: an unexpected error")
