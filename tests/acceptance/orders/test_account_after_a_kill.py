"""A service that is killed around a request for an account: the request is carried out once, and the books balance."""

from __future__ import annotations

import signal
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import psycopg
import pytest

from persistence.queries.row_lists import LedgerReader
from tests.support.system.program import Program, environment, run
from tests.support.system.running_system import until

PATH = "SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'paper-trading%%' AND datname = current_database()"
REQUESTS = "SELECT status, outcome FROM paper_account_requests ORDER BY id"


@pytest.mark.slow
def test_a_split_and_a_deposit_around_kills(embedded_url: str, tmp_path: Path) -> None:
    env = environment(tmp_path, database_url=embedded_url, prices="simulated")
    with closing(LedgerReader(embedded_url)) as ledger, psycopg.connect(embedded_url) as owner:
        with Program("start", env=env) as service:
            service.wait_for("Serving")
            buy = "decide BUY ETH/USDT --quantity 0.2 --confidence 1 --wait --stop-loss 50%"
            assert 0 == run(*buy.split(), env=env).code
            deposit = run("portfolio", "deposit", "default", "1000", "--reason", "savings", env=env)
            assert (0, True) == (deposit.code, deposit.out.startswith("request 1: done: cash is "))
            owner.execute("LOCK TABLE paper_account_events IN SHARE MODE")  # its event is not written from here on
            insert(embedded_url, "split", symbol="ETH/USDT", ratio_new=10, ratio_old=1)
            until(lambda: "paper_account_events" in waits_for(embedded_url))
            service.send(signal.SIGKILL)
            service.ended()
            with psycopg.connect(embedded_url, autocommit=True) as other:
                other.execute(f"SELECT pg_terminate_backend(pid) FROM ({PATH}) p WHERE pid <> pg_backend_pid()")
            owner.rollback()
        assert ["done", "pending"] == [row["status"] for row in ledger.rows(REQUESTS)]
        held_back = run("portfolio", "withdraw", "default", "1000000", "--reason", "too much", env=env)
        assert 3 == held_back.code, held_back
        assert "request 3 is stored, and carried out at the next start of the service" in held_back.err
        with Program("start", env=env) as service:
            service.wait_for("Serving")
            until(lambda: all(row["status"] != "pending" for row in ledger.rows(REQUESTS)))
            assert ["done", "done", "refused"] == [row["status"] for row in ledger.rows(REQUESTS)]
            service.send(signal.SIGKILL)
            service.ended()
        with Program("start", env=env) as service:
            service.wait_for("Serving")
            (position,) = ledger.positions()
            assert Decimal(2) == position["quantity"]
            (stop,) = ledger.rows("SELECT quantity FROM paper_orders WHERE status = 'open'")
            assert Decimal(2) == stop["quantity"]
            assert [1] == [row["number"] for row in ledger.rows(
                "SELECT count(*) AS number FROM paper_account_events WHERE kind = 'split'"
            )]  # fmt: skip
            assert [] == ledger.ledger_differences()
            assert 0 == service.stop().code


@pytest.mark.slow
def test_a_reset_around_a_kill(embedded_url: str, tmp_path: Path) -> None:
    env = environment(tmp_path, database_url=embedded_url, prices="simulated")
    with closing(LedgerReader(embedded_url)) as ledger, psycopg.connect(embedded_url) as owner:
        with Program("start", env=env) as service:
            service.wait_for("Serving")
            owner.execute("LOCK TABLE paper_account_events IN SHARE MODE")  # its event is not written from here on
            insert(embedded_url, "reset", amount=5000)
            until(lambda: "paper_account_events" in waits_for(embedded_url))
            service.send(signal.SIGKILL)
            service.ended()
            with psycopg.connect(embedded_url, autocommit=True) as other:
                other.execute(f"SELECT pg_terminate_backend(pid) FROM ({PATH}) p WHERE pid <> pg_backend_pid()")
            owner.rollback()
        assert ["default"] == [row["portfolio_id"] for row in ledger.portfolios()]
        assert 0 == run(*["decide", "BUY", "ETH/USDT", "--quantity", "0.2", "--confidence", "1"], env=env).code
        with Program("start", env=env) as service:
            service.wait_for("Serving")
            until(lambda: ledger.waiting() == 0)
            assert (
                0
                == run(*["decide", "BUY", "ETH/USDT", "--quantity", "0.1", "--confidence", "1", "--wait"], env=env).code
            )
            assert ["done"] == [row["status"] for row in ledger.rows(REQUESTS)]
            lives = [("default", "default@2", Decimal(5000)), ("default@1", "default", Decimal(10_000))]
            rows = ledger.portfolios()
            assert lives == [(row["portfolio"], row["portfolio_id"], row["initial_capital"]) for row in rows]
            before, after = ledger.decision(1), ledger.decision(2)
            assert ("default@1", "rejected") == (before["portfolio"], before["status"])
            assert ("default", "executed") == (after["portfolio"], after["status"])
            assert [] == ledger.ledger_differences()
            assert 0 == service.stop().code


def insert(url: str, kind: str, **values: object) -> None:
    names = {"portfolio": "default", "kind": kind, "reason": "a test", "author": "a tester", **values}
    with psycopg.connect(url) as connection:
        columns, marks = ", ".join(names), ", ".join(f"%({name})s" for name in names)
        connection.execute(f"INSERT INTO paper_account_requests ({columns}) VALUES ({marks})", names)


def waits_for(url: str) -> list[str]:
    """Return the tables for whose lock a session waits."""
    with psycopg.connect(url) as connection:
        rows = connection.execute(
            "SELECT relation::regclass::text FROM pg_locks WHERE NOT granted AND relation IS NOT NULL"
        )
        return [row[0] for row in rows.fetchall()]
