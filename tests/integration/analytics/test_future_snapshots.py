"""Snapshots dated in the future, as a wrong clock has left them: no result contains them, and each command says so."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import psycopg
import pytest

from console.display.storage import future_snapshots_line
from domain.analytics.report import FutureSnapshots
from domain.validation.criteria import Criteria
from persistence import schema
from persistence.connections import pool
from persistence.queries.live_view import DatabaseViews
from persistence.queries.metrics import MetricsReader
from persistence.queries.reports import read_report_and_verdict
from persistence.queries.row_lists import LedgerReader

pytestmark = pytest.mark.clock
SNAPSHOT = """
INSERT INTO paper_portfolio_snapshots (time, portfolio, cash, positions_value, total_value, total_pnl, total_pnl_pct,
                                       daily_pnl, num_positions, allocation)
VALUES (%s, 'default', %s, 0, %s, 0, 0, 0, 0, '{}')
"""


def test_they_are_left_out_and_reported(database_url: str) -> None:
    schema.upgrade(database_url)
    with psycopg.connect(database_url) as connection:
        connection.execute("SET paper.writer = 'Snapshotter'")
        connection.execute("INSERT INTO paper_trading_config (portfolio) VALUES ('default')")
        row = connection.execute("SELECT clock_timestamp()").fetchone()
        assert row is not None
        now: datetime = row[0].astimezone(UTC)
        last = now + timedelta(days=457)
        for at, value in ((now - timedelta(minutes=2), 10_000), (now - timedelta(minutes=1), 9_500),
                          (now + timedelta(days=3), 100), (last, 1)):  # fmt: skip
            connection.execute(SNAPSHOT, [at, value, value])
    with closing(LedgerReader(database_url)) as reader, pool(database_url, "report") as engine:
        report, _ = read_report_and_verdict(engine, "default", Criteria(), lambda: ())
        assert (Decimal(10_000), report.until) == (report.closing, report.closing_at)  # the books, now
        assert report.performance is not None
        drawdown = report.performance.max_drawdown
        assert (Decimal("0.05"), report.until) == (drawdown.fraction, drawdown.recovered_at)
        assert report.curve[-1].time == report.until < now + timedelta(hours=1)
        assert FutureSnapshots(2, last) == report.future_snapshots
        assert {"number": 2, "last": last} == reader.future_snapshots()
        assert {"number": 0, "last": None} == reader.future_snapshots("other")
        assert Decimal("0.05") == reader.performance("default")["max_drawdown"]
    views, metrics = DatabaseViews(database_url), MetricsReader(database_url)
    assert [now - timedelta(minutes=2), now - timedelta(minutes=1)] == [at for at, _ in views.curve(["default"])]
    (standing,) = metrics.look().portfolios
    assert Decimal("0.05") == standing.max_drawdown
    views.close()
    metrics.close()


def test_the_sentence_counts() -> None:
    last = datetime(2028, 1, 5, 12, tzinfo=UTC)
    text = "dated in the future, up to 2028-01-05 12:00:00 UTC;"
    assert f"1 snapshot is {text} it is left out: a clock was wrong" == future_snapshots_line(1, last)
    assert f"12 snapshots are {text} they are left out: a clock was wrong" == future_snapshots_line(12, last)
