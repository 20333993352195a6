"""Crashes of actors, the process and the database: each accepted decision gets exactly one outcome."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from decimal import Decimal

import psycopg
import pytest

from actors import Decision
from domain.errors import DatabaseUnavailable, PaperTradingError, RestartLimitReached
from persistence.queries.row_lists import LedgerReader
from tests.support.database.servers import Server
from tests.support.system.running_system import (
    assert_sound,
    decision_rows,
    insert_decisions,
    ledger_rows,
    next_line,
    running_system,
    until,
    until_all_ended,
)

WORKERS = ("PriceTracker", "Snapshotter", "PositionKeeper", "ExecutionSimulator", "Sizer", "DecisionWatcher")


@pytest.fixture
def ledger_reader(database_url: str) -> Iterator[LedgerReader]:
    opened = LedgerReader(database_url)
    yield opened
    opened.close()


def test_each_worker_killed_while_decisions_flow_changes_nothing(
    server: Server, database_url: str, ledger_reader: LedgerReader
) -> None:
    wanted = decision_rows(300)
    with running_system(database_url):
        insert_decisions(database_url, wanted)
        until_all_ended(ledger_reader)
    undisturbed = ledger_rows(ledger_reader)
    assert len(undisturbed) > 50

    url = server.create_database()
    disturbed = LedgerReader(url)
    try:
        # `snapshot_interval` is long: the Snapshotter's only messages are committed states.
        with running_system(url, snapshot_interval=1) as system:
            for number, worker in enumerate(WORKERS[:5]):
                insert_decisions(url, wanted[number * 50 : number * 50 + 50])
                system.crash(worker)
            until_all_ended(disturbed)
            assert [1] * 5 == [status.restarts for status in system.status().actors[:5]]
        with running_system(url) as system:
            insert_decisions(url, wanted[250:])
            system.crash(WORKERS[5])
            until_all_ended(disturbed)
        assert_sound(disturbed, 300)
        assert undisturbed == ledger_rows(disturbed)
    finally:
        disturbed.close()
        server.drop_database(url)


def test_the_database_away_for_a_while_is_not_a_crash(
    server: Server, database_url: str, ledger_reader: LedgerReader
) -> None:
    if not server.may_stop:
        pytest.skip("this server was configured, and cannot be stopped here")
    wanted = decision_rows(400)
    with running_system(database_url) as system:
        insert_decisions(database_url, wanted[:200])
        until(lambda: ledger_reader.outcomes().get("executed", 0) > 5)
        server.stop(immediate=True)
        with pytest.raises((DatabaseUnavailable, PaperTradingError)):
            system.submit(Decision(symbol="BTC/USDT", decision="BUY", confidence=1))
        assert system.wait(10) is None  # ten seconds without a database do not end the process
        server.start()
        insert_decisions(database_url, wanted[200:])
        until_all_ended(ledger_reader)
        outcome = system.submit(Decision(symbol="BTC/USDT", decision="HOLD", confidence=1)).get(timeout=10)
        assert outcome.status == "ignored"
    assert_sound(ledger_reader, 401)


CHILD = """
import sys
import time
from tests.support.system.running_system import running_system
with running_system(sys.argv[1]) as system:
    print("serving", flush=True)
    sys.stdin.read()
"""


def test_kill_9_in_the_middle_of_a_thousand_decisions(database_url: str, ledger_reader: LedgerReader) -> None:
    rows = decision_rows(1000, seed=9)
    with running_system(database_url):
        pass  # the schema
    # Its stdin ends with this process: it would hold the output of a run whose test was ended at its time limit.
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    child = subprocess.Popen([sys.executable, "-c", CHILD, database_url], **pipes)  # type: ignore[call-overload]
    assert child.stdout is not None
    assert child.stdin is not None
    try:
        assert next_line(child) == "serving\n"
        with psycopg.connect(database_url, autocommit=True) as listener:
            listener.execute("LISTEN paper_outcomes")
            insert_decisions(database_url, rows)
            next(listener.notifies(timeout=10))  # the first outcomes are committed
            os.kill(child.pid, signal.SIGKILL)
        child.wait(timeout=10)
    finally:
        child.kill()
        child.stdin.close()
        child.stdout.close()
    assert 0 < ledger_reader.waiting() < 1000
    with running_system(database_url):
        until_all_ended(ledger_reader)
    assert_sound(ledger_reader, 1000)


def test_a_decision_cancelled_by_hand_stays_cancelled(database_url: str, ledger_reader: LedgerReader) -> None:
    with running_system(database_url) as system:
        future = system.submit(Decision(symbol="NOPE/USDT", decision="BUY", confidence=1, quantity=1))
        assert future.get(timeout=5).status == "rejected"
        with psycopg.connect(database_url) as connection:
            # Inserted and cancelled in one transaction, so no actor sees it pending.
            connection.execute(
                "INSERT INTO trading_decisions (symbol, decision, confidence) VALUES ('ETH/USDT', 'BUY', 1)"
            )
            connection.execute(
                "UPDATE trading_decisions SET status = 'cancelled', processed_at = now() WHERE processed_at IS NULL"
            )
    assert_sound(ledger_reader, 2)
    assert ledger_reader.outcomes() == {"cancelled": 1, "rejected": 1}


def test_too_many_restarts_end_the_process_with_the_reason(database_url: str) -> None:
    with running_system(database_url) as system:
        for _ in range(6):
            system.crash("Sizer")
        reason = system.wait(10)
        assert str(reason) == (
            "gave up after 5 restarts within 30 s; the last to fail was Sizer (InjectedCrash: Sizer)"
        )


@pytest.mark.slow
def test_callers_do_not_wait_when_the_process_ends(database_url: str) -> None:
    with running_system(database_url) as system:
        dead = system.submit(Decision(symbol="DEAD/USDT", decision="BUY", confidence=1))
        for _ in range(6):
            system.crash("Sizer")
        assert system.wait(10) is not None
        with pytest.raises(RestartLimitReached):
            system.submit(Decision(symbol="BTC/USDT", decision="HOLD", confidence=1))
        with pytest.raises(PaperTradingError, match="the system has ended"):
            dead.get(timeout=10)


FULL_DISK = """
CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION 'no space left' USING ERRCODE = '53100'; END $$
"""


@pytest.mark.slow
def test_a_full_disk_raises_no_storm_of_generations(database_url: str, ledger_reader: LedgerReader) -> None:
    with running_system(database_url) as system:
        with psycopg.connect(database_url) as connection:
            connection.execute(FULL_DISK)
            connection.execute("CREATE TRIGGER t BEFORE INSERT ON paper_orders EXECUTE FUNCTION full_disk()")
        future = system.submit(Decision(symbol="BTC/USDT", decision="BUY", confidence=1, quantity="0.001"))
        assert system.wait(3) is None
        assert ledger_reader.served()["generation"] < 20
        with psycopg.connect(database_url) as connection:
            connection.execute("DROP TRIGGER t ON paper_orders")
        assert future.get(timeout=10).status == "executed"


def test_a_caller_gets_the_outcome_over_a_crash_of_the_watcher(database_url: str) -> None:
    with running_system(database_url) as system:
        futures = [
            system.submit(Decision(symbol="BTC/USDT", decision="BUY", confidence=1, quantity="0.001")) for _ in range(5)
        ]
        system.crash("DecisionWatcher")
        assert [future.get(timeout=10).status for future in futures] == ["executed"] * 5
        (position,) = system.positions()
        assert Decimal("0.005") == position["quantity"]


def test_a_stop_does_not_wait_for_a_database_that_is_away(embedded_server: Server, embedded_url: str) -> None:
    with running_system(embedded_url) as system:
        insert_decisions(embedded_url, decision_rows(500))
        embedded_server.stop(immediate=True)
        begun = time.monotonic()
        system.stop()
        assert time.monotonic() - begun < 3 * 5  # three times the promised 5 s
    embedded_server.start()
    with running_system(embedded_url) as system:
        until_all_ended(system.ledger_reader)
        assert_sound(system.ledger_reader, 500)
