"""Metrics of a running system, over HTTP, with a reachable and an unreachable database."""

from __future__ import annotations

import re
import threading
import time
import urllib.error
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue

import psycopg
import pytest
from sqlalchemy import text

from actors import Decision, TradingSystem
from actors.messages import Audit
from console.metrics.collector import MetricsCollector
from console.metrics.endpoint import MetricsEndpoint
from domain.errors import DatabaseUnavailable, SettingsError
from persistence import schema
from persistence.connections import engine_for, transaction
from persistence.database_timing import database_timings
from persistence.queries import metrics
from persistence.queries.metrics import MetricsReader
from persistence.queries.row_lists import LedgerReader
from persistence.stores import portfolios
from tests.support.database.proxy import Proxy
from tests.support.database.server import Server, free_port
from tests.support.system.running_system import isolated_settings, running_system, until
from tests.support.system.scrapes import fetch

WALK = """
INSERT INTO paper_portfolio_snapshots (time, portfolio, cash, positions_value, total_value, total_pnl, total_pnl_pct,
                                       daily_pnl, num_positions, allocation)
SELECT TIMESTAMPTZ '2026-01-05 12:00Z' + n * interval '1 minute', name, v, 0, v, 0, 0, 0, 0, '{}'
FROM generate_series(%s::int, %s::int) n, (VALUES ('default', 1), ('second', 7)) p (name, pace),
     LATERAL (SELECT round((10000 + 900 * sin(n * pace / 11.0) - n)::numeric, 6) AS v) w
"""


@contextmanager
def system_with_endpoint(url: str) -> Iterator[tuple[TradingSystem, int]]:
    """Yield a running system, and the port of its endpoint."""
    port, collector = free_port(), MetricsCollector()
    with MetricsEndpoint(port, collector.registry), running_system(url) as system, collector.serving(system):
        yield system, port


def decide(system: TradingSystem, **changes: object) -> str:
    fields = {"symbol": "BTC/USDT", "decision": "BUY", "confidence": 1, "quantity": "0.01", **changes}
    return system.submit(Decision(**fields)).get(timeout=10).status.value


def test_metrics_agree_with_what_happened(database_url: str) -> None:
    with system_with_endpoint(database_url) as (system, port):
        assert ["executed", "ignored", "rejected"] == [
            decide(system), decide(system, decision="HOLD"), decide(system, symbol="NOPE")
        ]  # fmt: skip
        differences: SimpleQueue[tuple[str, ...]] = SimpleQueue()
        system.tell("PositionKeeper", Audit(differences.put))
        assert () == differences.get(timeout=10)
        system.crash("Sizer")
        until(lambda: fetch(port).value("paper_generation") == 2)
        assert "executed" == decide(system, symbol="ETH/USDT", quantity="0.1")
        # Until the first price of ETH is stored, its position counts at the price of its fill.
        at_last_fill = "SELECT symbol FROM v_paper_open_positions WHERE price_source = 'last fill'"
        until(lambda: not system.ledger_reader.rows(at_last_fill))
        until(lambda: fetch(port).value("paper_portfolio_equity") == float(system.portfolio()["total_value"]))
        scraped = fetch(port)
        counted = {("executed", "executed"): 2, ("ignored", "hold"): 1, ("rejected", "unknown_symbol"): 1}
        assert counted == scraped.above_zero("paper_decisions_total")
        took = scraped.by("paper_decision_duration_seconds_count")
        assert {"executed": 2, "ignored": 1, "rejected": 1} == {
            dict(labels)["outcome"]: number for labels, number in took.items() if number
        }
        assert 2 == scraped.value("paper_fills_total", portfolio="default")
        portfolio = system.portfolio()
        gauges = {name: scraped.value(f"paper_portfolio_{name}") for name in ("equity", "cash", "positions", "halted")}
        expected = {"equity": float(portfolio["total_value"]), "cash": float(portfolio["cash"])}
        assert {**expected, "positions": 2, "halted": 0} == gauges
        fall = (10_000 - expected["equity"]) / 10_000
        assert scraped.value("paper_portfolio_drawdown_ratio") == pytest.approx(fall)
        assert {("crash",): 1} == scraped.above_zero("paper_failures_total")
        assert {("Sizer",): 1} == scraped.above_zero("paper_actor_restarts_total")
        assert (1, 0) == (scraped.value("paper_audits_total"), scraped.value("paper_audit_differences_total"))
        assert (1, 1, 1) == tuple(scraped.value(f"paper_{name}") for name in ("up", "database_up", "lease_held"))
        assert set(system.inspector.names) == {dict(labels)["actor"] for labels in scraped.by("paper_mailbox_messages")}
        assert {"BTC/USDT", "ETH/USDT", "SOL/USDT"} == {
            dict(labels)["symbol"] for labels in scraped.by("paper_price_age_seconds")
        }
        assert max(scraped.by("paper_price_age_seconds").values()) < 5
        clients = {dict(labels)["client"] for labels in scraped.by("paper_database_round_trip_seconds_count")}
        assert {"PositionKeeper", "DecisionWatcher", "PriceTracker", "lease", "metrics"} <= clients


def test_a_decision_that_waits_for_its_price_has_a_label(embedded_url: str) -> None:
    with system_with_endpoint(embedded_url) as (system, port):
        system.submit(Decision(symbol="DEAD/USDT", decision="BUY", confidence=1))
        until(lambda: fetch(port).value("paper_decisions_under_way", waited_for_price="true") == 1)
        assert 1 == fetch(port).value("paper_decisions_waiting")
        with psycopg.connect(embedded_url) as session:
            session.execute("UPDATE trading_decisions SET status = 'cancelled', processed_at = now()")
        system.crash("DecisionWatcher")  # it reads the table then
        until(lambda: fetch(port).value("paper_decisions_total", outcome="cancelled") == 1)
        waited = {"outcome": "cancelled", "waited_for_price": "true"}
        assert 1 == fetch(port).value("paper_decision_duration_seconds_count", **waited)
        assert {} == fetch(port).above_zero("paper_decisions_under_way")


def test_a_hanging_database_delays_a_scrape_by_a_second_at_most(embedded_url: str) -> None:
    with Proxy(embedded_url) as proxy, system_with_endpoint(proxy.url_for(embedded_url)) as (system, port):
        decide(system)
        assert 1 == fetch(port).value("paper_database_up")
        proxy.freeze()
        before = time.monotonic()
        with ThreadPoolExecutor(8) as pool:
            scrapes = list(pool.map(lambda _: fetch(port), range(8)))
        assert time.monotonic() - before < 3
        assert {(0.0, 1.0)} == {(s.value("paper_database_up"), s.value("paper_fills_total")) for s in scrapes}
        assert {} == scrapes[0].by("paper_portfolio_equity")
        assert 1 >= sum(thread.name == "metrics" for thread in threading.enumerate())
        proxy.thaw()
        until(lambda: fetch(port).value("paper_database_up") == 1)
        assert "executed" == decide(system, symbol="ETH/USDT", quantity="0.1")


def test_a_lost_database_is_seen_by_the_next_scrape(embedded_server: Server, embedded_url: str) -> None:
    with system_with_endpoint(embedded_url) as (system, port):
        decide(system)
        embedded_server.stop(immediate=True)
        before = time.monotonic()
        gone = fetch(port)
        assert time.monotonic() - before < 3
        assert (0, 1) == (gone.value("paper_database_up"), gone.value("paper_fills_total"))
        embedded_server.start()
        until(lambda: fetch(port).value("paper_database_up") == 1)


def test_a_taken_port_is_one_sentence_and_a_released_one_is_free_again() -> None:
    port, collector = free_port(), MetricsCollector()
    with MetricsEndpoint(port, collector.registry):
        assert 0 == fetch(port).value("paper_up")
        with pytest.raises(SettingsError) as raised, MetricsEndpoint(port, MetricsCollector().registry):
            pass
        sentence = f"setting metrics_port = {port}: cannot listen on 127.0.0.1:{port} (address already in use); "
        assert f"{sentence}choose a free port, or none" == str(raised.value)
    with pytest.raises(urllib.error.URLError):
        fetch(port)
    with MetricsEndpoint(port, collector.registry) as again:
        assert f"http://127.0.0.1:{port}/metrics" == again.url
        assert 0 == fetch(port).value("paper_up")


def test_the_drawdown_equals_the_view_s_although_only_new_snapshots_are_read(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics, "SNAPSHOTS_PER_READ", 7)
    schema.upgrade(database_url)
    for name in ("default", "second"):
        portfolios.create(database_url, name, isolated_settings(database_url).portfolio_values())
    ledger_reader, reader = LedgerReader(database_url), MetricsReader(database_url, read_time=30.0)
    with psycopg.connect(database_url, autocommit=True) as session:
        session.execute("SET paper.writer = 'Snapshotter'")

        def walk(first: int, last: int) -> dict[str, object]:
            session.execute(WALK, [first, last])
            return {name: ledger_reader.performance(name)["max_drawdown"] for name in ("default", "second")}

        def read_drawdowns() -> dict[str, object]:
            standings = reader.look().portfolios
            return {s.row["portfolio"]: round(s.max_drawdown, 12) for s in standings if s.max_drawdown is not None}

        assert {"default": 0, "second": 0} == read_drawdowns()
        assert walk(1, 70) == read_drawdowns()
        further = walk(71, 100)
        session.execute("DELETE FROM paper_portfolio_snapshots WHERE time <= '2026-01-05 13:10Z'")
        assert further == read_drawdowns()
        assert further != {name: ledger_reader.performance(name)["max_drawdown"] for name in further}
    reader.close()
    ledger_reader.close()


def test_no_query_scans_history(embedded_url: str) -> None:
    schema.upgrade(embedded_url)
    reader = MetricsReader(embedded_url)
    parameters = {"portfolio": "default", "last": metrics.EARLIEST_TIME, "peak": 1, "number": 7}
    with reader._engine.connect() as connection:
        assert "repeatable read" == connection.execute(text("SHOW transaction_isolation")).scalar()
        assert "on" == connection.execute(text("SHOW transaction_read_only")).scalar()
        connection.execute(text(metrics.ALONG_THE_INDEX))
        falls, waiting, audit = (
            "\n".join(connection.execute(text(f"EXPLAIN {statement}"), values).scalars())
            for statement, values in ((metrics.FALLS, parameters), (metrics.WAITING, {}), (metrics.LAST_AUDIT, {}))
        )
    reader.close()
    assert "Index Scan Backward using paper_portfolio_snapshots_portfolio" in falls
    assert "Sort" not in falls
    assert re.search("using trading_decisions_(pending|turns)", waiting)  # both have pending ones alone
    assert "using paper_audits_at" in audit


def test_without_the_history_only_the_drawdown_is_missing(embedded_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    schema.upgrade(embedded_url)
    portfolios.create(embedded_url, "default", isolated_settings(embedded_url).portfolio_values())
    reader = MetricsReader(embedded_url)
    with monkeypatch.context() as broken:
        broken.setattr(metrics, "FALLS", "SELECT 1 / 0")
        (standing,) = reader.look().portfolios
    assert (10_000, None, None) == (standing.row["worth"], standing.drawdown, standing.max_drawdown)
    assert [0] == [standing.drawdown for standing in reader.look().portfolios]
    reader.close()


def test_statements_copy_and_commit_are_round_trips_and_giving_a_connection_back_is_none(embedded_url: str) -> None:
    engine = engine_for(embedded_url, "counted", hot=True)

    def trips() -> int:
        return database_timings()["counted"].count

    with transaction(engine) as cursor:
        cursor.execute("CREATE TABLE t (n int)")
    before = trips()
    with transaction(engine) as cursor:
        cursor.execute("INSERT INTO t VALUES (1)")
    assert 2 == trips() - before  # BEGIN goes with the statement
    before, waited = trips(), database_timings()["counted"].seconds
    with transaction(engine) as cursor:
        with cursor.copy("COPY t FROM STDIN") as copy:
            copy.write_row((2,))
        cursor.execute("SELECT pg_sleep(0.05)")
    assert 5 == trips() - before
    assert 0.05 <= database_timings()["counted"].seconds - waited
    engine.dispose()


def test_a_missing_database_raises(tmp_path: Path) -> None:
    reader = MetricsReader(f"postgresql:///d?host={tmp_path}")
    with pytest.raises(DatabaseUnavailable):
        reader.look()
    reader.close()
