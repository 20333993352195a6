"""What the live view reads: correct numbers of one moment, without scanning history."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal

import psycopg
import pytest
from sqlalchemy import text

from actors.runtime.timer import SystemClock
from console.live.poller import ViewPoller
from console.live.state import ViewReader, check_ledger
from persistence import schema
from persistence.queries import live_view
from persistence.queries.row_lists import SERVED
from tests.support.database.servers import Server
from tests.support.system.running_system import running_system, until

DECIDE = "INSERT INTO trading_decisions (symbol, decision, confidence, quantity) VALUES (%s, %s, 0.8, %s)"
QUERIES = {
    live_view.POSITIONS: {},
    live_view.DECISIONS: {"number": 60},
    live_view.PRICES: {"number": 200},
    live_view.RATE: {},
    SERVED: {"key": 1},
}
HISTORY = ("trading_decisions", "paper_orders", "paper_fills", "paper_trades", "market_prices")


@contextmanager
def view_reader(url: str) -> Iterator[ViewReader]:
    """Yield a reader of a database without a process."""

    @contextmanager
    def opened() -> Iterator[str]:
        yield url

    reader = ViewReader(opened, lambda: None, SystemClock())
    try:
        yield reader
    finally:
        reader.close()


def test_a_reading_agrees_with_the_books_and_the_curve_ends_with_their_value(database_url: str) -> None:
    with running_system(database_url) as system, view_reader(database_url) as reader:
        with psycopg.connect(database_url, autocommit=True) as session:
            session.execute(DECIDE, ["BTC/USDT", "BUY", Decimal("0.01")])
            session.execute(DECIDE, ["ETH/USDT", "HOLD", None])
            until(lambda: system.ledger_reader.waiting() == 0)
            session.execute(DECIDE, ["BTC/USDT", "SELL", Decimal("0.004")])
            session.execute(DECIDE, ["DEAD/USDT", "BUY", None])  # has no price, so it waits
        until(lambda: system.ledger_reader.waiting() == 1)
        until(lambda: len(system.ledger_reader.rows("SELECT DISTINCT symbol FROM market_prices")) == 3)
        seen = reader.read(check_ledger(system.ledger_reader, system.clock))
        database, checked = seen.database, seen.ledger_check
        assert database is not None
        assert checked is not None
        (overview,), (trade,) = system.ledger_reader.portfolios(), system.ledger_reader.trades()
        (pot,) = database.portfolios
        assert (overview["total_value"], overview["total_pnl"]) == (pot["worth"], pot["result"])
        assert overview["total_value"] == seen.equity_curve[-1][1]
        sold = next(row for row in database.decisions if row["side"] == "SELL")
        assert (trade["net_pnl"], Decimal("0.004")) == (sold["net_pnl"], sold["quantity"])
        assert {"executed": 2, "ignored": 1, "pending": 1} == checked.outcomes
        assert () == tuple(checked.differences)
        assert (1, 0.3) == (database.waiting, database.rate)
        assert ["BTC/USDT", "ETH/USDT", "SOL/USDT"] == [row["symbol"] for row in database.prices]
        assert database.served["running"] is True
        assert 0 == seen.exit_code


def test_no_query_scans_history_and_all_read_one_moment(embedded_url: str) -> None:
    schema.upgrade(embedded_url)
    reader = live_view.DatabaseViews(embedded_url)
    plans = {}
    with reader._engine.connect() as connection:
        assert "repeatable read" == connection.execute(text("SHOW transaction_isolation")).scalar()
        assert "on" == connection.execute(text("SHOW transaction_read_only")).scalar()
        # In an empty table, a scan is cheapest; this makes PostgreSQL use an index where it can.
        connection.execute(text("SET LOCAL enable_seqscan = off"))
        for statement, parameters in QUERIES.items():
            plans[statement] = "\n".join(connection.execute(text(f"EXPLAIN {statement}"), parameters).scalars())
    reader.close()
    assert [] == [plan for plan in plans.values() if any(f"Seq Scan on {table}" in plan for table in HISTORY)]


def test_an_unreachable_database_is_reported_and_read_again(embedded_server: Server, embedded_url: str) -> None:
    schema.upgrade(embedded_url)
    with view_reader(embedded_url) as reader:
        before = reader.read()
        assert (None, 3) == (before.database_error, before.exit_code)
        embedded_server.stop(immediate=True)
        away = reader.read()
        assert (1, before.database) == (away.exit_code, away.database)
        assert away.database_error is not None
        again = reader.read()
        assert away.database_error_since == again.database_error_since
        embedded_server.start()
        assert reader.read().database_error is None


def test_a_database_that_never_answered_has_no_content() -> None:
    with view_reader("postgresql://u@127.0.0.1:1/d") as reader:
        seen = reader.read()
    assert (None, 1) == (seen.database, seen.exit_code)
    assert seen.database_error is not None
    assert "not available" in seen.database_error


def test_a_poller_reads_and_checks_the_books_until_it_ends(embedded_url: str) -> None:
    schema.upgrade(embedded_url)
    looks: list[None] = []
    with view_reader(embedded_url) as reader, ViewPoller(reader, 0.05, lambda: looks.append(None)) as poller:
        until(lambda: poller.newest.ledger_check is not None and len(looks) > 2)
        assert () == tuple(poller.newest.ledger_check.differences if poller.newest.ledger_check else ["unchecked"])
    assert poller.failure is None
    assert [] == [thread.name for thread in threading.enumerate() if thread.name.startswith("live view")]

    # A defect ends the polling and is kept.
    with view_reader(embedded_url) as reader:
        poller = ViewPoller(reader, 0.05, lambda: None)
        reader.read = lambda ledger_check=None: 1 / 0  # type: ignore[method-assign, assignment]
        with poller:
            until(lambda: poller.failure is not None)
    assert isinstance(poller.failure, ZeroDivisionError)


def test_a_defect_in_the_check_ends_the_polling(embedded_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    schema.upgrade(embedded_url)
    monkeypatch.setattr("console.live.poller.check_ledger", lambda reader, clock: 1 / 0)
    with view_reader(embedded_url) as reader, ViewPoller(reader, 0.05, lambda: None) as poller:
        until(lambda: poller.failure is not None)
    assert isinstance(poller.failure, ZeroDivisionError)
