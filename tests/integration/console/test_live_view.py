"""What the live view reads: right numbers, of one moment, and never by going over history."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal

import psycopg
import pytest
from sqlalchemy import text

from console.live.poller import ViewPoller
from console.live.state import ViewReader, check_ledger
from persistence import schema
from persistence.queries import live_view
from persistence.queries.row_lists import SERVED
from tests.support.database.servers import Server
from tests.support.system.running_system import running_system, until

DECIDE = "INSERT INTO trading_decisions (symbol, decision, confidence, quantity) VALUES (%s, %s, 0.8, %s)"
QUESTIONS = {
    live_view.POSITIONS: {},
    live_view.DECISIONS: {"number": 60},
    live_view.PRICES: {"number": 200},
    live_view.RATE: {},
    SERVED: {"key": 1},
}
HISTORY = ("trading_decisions", "paper_orders", "paper_fills", "paper_trades", "market_prices")


@contextmanager
def lookout(url: str) -> Iterator[ViewReader]:
    """Somebody who looks at a database, and knows of no process."""

    @contextmanager
    def opened() -> Iterator[str]:
        yield url

    reader = ViewReader(opened, lambda: None)
    try:
        yield reader
    finally:
        reader.close()


def test_a_glance_agrees_with_the_books_and_the_curve_ends_in_their_worth(database_url: str) -> None:
    with running_system(database_url) as system, lookout(database_url) as reader:
        with psycopg.connect(database_url, autocommit=True) as session:
            session.execute(DECIDE, ["BTC/USDT", "BUY", Decimal("0.01")])
            session.execute(DECIDE, ["ETH/USDT", "HOLD", None])
            until(lambda: system.ledger_reader.waiting() == 0)
            session.execute(DECIDE, ["BTC/USDT", "SELL", Decimal("0.004")])
            session.execute(DECIDE, ["DEAD/USDT", "BUY", None])  # has no price, so it waits
        until(lambda: system.ledger_reader.waiting() == 1)
        until(lambda: len(system.ledger_reader.rows("SELECT DISTINCT symbol FROM market_prices")) == 3)
        seen = reader.read(check_ledger(system.ledger_reader))
        found, checked = seen.database, seen.ledger_check
        assert found is not None
        assert checked is not None
        (overview,), (trade,) = system.ledger_reader.portfolios(), system.ledger_reader.trades()
        (pot,) = found.portfolios
        assert (overview["total_value"], overview["total_pnl"]) == (pot["worth"], pot["result"])
        assert overview["total_value"] == seen.equity_curve[-1][1]
        sold = next(row for row in found.decisions if row["side"] == "SELL")
        assert (trade["net_pnl"], Decimal("0.004")) == (sold["net_pnl"], sold["quantity"])
        assert {"executed": 2, "ignored": 1, "pending": 1} == checked.outcomes
        assert () == tuple(checked.differences)
        assert (1, 0.3) == (found.waiting, found.rate)
        assert ["BTC/USDT", "ETH/USDT", "SOL/USDT"] == [row["symbol"] for row in found.prices]
        assert found.served["running"] is True
        assert 0 == seen.exit_code


def test_no_question_goes_over_history_and_all_are_of_one_moment(embedded_url: str) -> None:
    schema.upgrade(embedded_url)
    reader = live_view.DatabaseViews(embedded_url)
    plans = {}
    with reader._engine.connect() as connection:
        assert "repeatable read" == connection.execute(text("SHOW transaction_isolation")).scalar()
        assert "on" == connection.execute(text("SHOW transaction_read_only")).scalar()
        # In an empty table going over all rows is cheapest; where an index can answer, this has it answer.
        connection.execute(text("SET LOCAL enable_seqscan = off"))
        for statement, given in QUESTIONS.items():
            plans[statement] = "\n".join(connection.execute(text(f"EXPLAIN {statement}"), given).scalars())
    reader.close()
    assert [] == [plan for plan in plans.values() if any(f"Seq Scan on {table}" in plan for table in HISTORY)]


def test_a_database_that_goes_away_is_said_and_asked_again(embedded_server: Server, embedded_url: str) -> None:
    schema.upgrade(embedded_url)
    with lookout(embedded_url) as reader:
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


def test_one_that_was_never_there_leaves_nothing_to_show() -> None:
    with lookout("postgresql://u@127.0.0.1:1/d") as reader:
        seen = reader.read()
    assert (None, 1) == (seen.database, seen.exit_code)
    assert seen.database_error is not None
    assert "not available" in seen.database_error


def test_a_watch_looks_on_and_checks_the_books_until_it_ends(embedded_url: str) -> None:
    schema.upgrade(embedded_url)
    looks: list[None] = []
    with lookout(embedded_url) as reader, ViewPoller(reader, 0.05, lambda: looks.append(None)) as watch:
        until(lambda: watch.newest.ledger_check is not None and len(looks) > 2)
        assert () == tuple(watch.newest.ledger_check.differences if watch.newest.ledger_check else ["unchecked"])
    assert watch.failure is None
    assert [] == [thread.name for thread in threading.enumerate() if thread.name.startswith("live view")]

    # A defect ends it, and is told.
    with lookout(embedded_url) as reader:
        watch = ViewPoller(reader, 0.05, lambda: None)
        reader.read = lambda ledger_check=None: 1 / 0  # type: ignore[method-assign, assignment]
        with watch:
            until(lambda: watch.failure is not None)
    assert isinstance(watch.failure, ZeroDivisionError)


def test_a_defect_in_the_check_ends_a_watch_and_is_told(embedded_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    schema.upgrade(embedded_url)
    monkeypatch.setattr("console.live.poller.check_ledger", lambda reader: 1 / 0)
    with lookout(embedded_url) as reader, ViewPoller(reader, 0.05, lambda: None) as watch:
        until(lambda: watch.failure is not None)
    assert isinstance(watch.failure, ZeroDivisionError)
