"""Reports on real tables: totals equal the views, and some numbers were computed by hand."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from sqlalchemy.engine import Engine

from domain.analytics.funnel import DropOff, Stage
from domain.analytics.performance_metric import PerformanceMetric, defined, undefined
from domain.analytics.period_returns import PeriodReturn
from domain.analytics.report import Report
from domain.analytics.report_parts.trip_notes import TripNote
from domain.analytics.trade_stats import Dimension
from domain.validation.criteria import Criteria
from persistence import schema
from persistence.connections import engine_for
from persistence.queries import reports, validation
from persistence.queries.reports import ReportPart, read_report_and_verdict
from tests.support.database.reports import report_now
from tests.support.database.servers import Server
from tests.support.system.histories import CAPITAL, DAYS, MIDNIGHT, NOW, SILENT
from tests.support.system.report_databases import BEGUN, Sold, sell, value

pytestmark = pytest.mark.clock

ZERO = Decimal(0)


@pytest.fixture(scope="module")
def url(sixty_days: str, as_of_then: None) -> str:
    return sixty_days


@pytest.fixture(scope="module")
def engine(url: str) -> Iterator[Engine]:
    made = engine_for(url, "reader")
    yield made
    made.dispose()


@pytest.fixture(scope="module")
def by_portfolio(engine: Engine) -> dict[str, Report]:
    return {name: report_now(engine, name) for name in CAPITAL}


def row_of(url: str, statement: str, *values: object) -> dict[str, Any]:
    with psycopg.connect(url, row_factory=psycopg.rows.dict_row) as connection:
        row = connection.execute(statement.encode(), values).fetchone()
    assert row is not None
    return row


@pytest.mark.parametrize("name", list(CAPITAL))
def test_totals_are_those_of_the_view(url: str, by_portfolio: dict[str, Report], name: str) -> None:
    row = row_of(url, "SELECT * FROM v_paper_performance_metrics WHERE portfolio = %s", name)
    report = by_portfolio[name]
    results = {key: getattr(report.trade_stats, key) for key in row if hasattr(report.trade_stats, key)}
    mine = {key: one.value if isinstance(one, PerformanceMetric) else one for key, one in results.items()}
    assert 15 == len(mine)
    assert {key: row[key] for key in mine} == mine
    assert (CAPITAL[name], "USDT", None) == (report.initial_capital, report.currency, report.strategy)


@pytest.mark.parametrize("name", list(CAPITAL))
def test_its_parts_add_up(url: str, by_portfolio: dict[str, Report], name: str) -> None:
    report = by_portfolio[name]
    for gains in (report.days, report.months):
        assert report.closing - report.opening == sum((gain.result for gain in gains), ZERO)
    for dimension in Dimension:
        assert report.trade_stats.net_pnl == sum((stats.net_pnl for stats in report.by[dimension].values()), ZERO)
    assert (
        report.trade_stats.total_trades
        == len(report.round_trips)
        == sum(interval.number for interval in report.distribution)
    )
    assert sum(mark.number for mark in report.marks) == row_of(
        url, "SELECT count(*) FROM paper_trades WHERE portfolio = %s", name
    ).get("count")
    decided = row_of(
        url,
        "SELECT count(*) AS all, count(*) FILTER (WHERE status = 'executed') AS filled FROM trading_decisions"
        " WHERE portfolio = %s",
        name,
    )
    assert (decided["all"], decided["filled"]) == (report.funnel.received, report.funnel.filled)


def test_its_curve_ends_with_the_value_now_and_has_the_extremes(url: str, by_portfolio: dict[str, Report]) -> None:
    for name in ("default", "shares", "losers"):
        row = row_of(
            url,
            "SELECT min(total_value) AS low, max(total_value) AS high, get_portfolio_value(%s) AS now"
            " FROM paper_portfolio_snapshots WHERE portfolio = %s",
            name, name,
        )  # fmt: skip
        report = by_portfolio[name]
        values = [point.value for point in report.curve]
        # It begins with the capital, which no snapshot of a portfolio with losses only reaches.
        extremes = (min(row["low"], row["now"], CAPITAL[name]), max(row["high"], row["now"], CAPITAL[name]))
        assert extremes == (min(values), max(values))
        assert (NOW, row["now"]) == (report.curve[-1].time, report.curve[-1].value)
        assert (NOW, row["now"], 0) == (report.closing_at, report.closing, report.later_fills)


@pytest.mark.parametrize("name", list(CAPITAL))
def test_headline_and_figures_are_of_one_moment(url: str, by_portfolio: dict[str, Report], name: str) -> None:
    """The first law between the beginning and now: the result is that of closings and of what is open now."""
    report = by_portfolio[name]
    row = row_of(
        url,
        "SELECT coalesce(sum(unrealized_pnl - entry_commission), 0) AS open FROM v_paper_open_positions"
        " WHERE portfolio = %s",
        name,
    )
    assert report.result == report.trade_stats.net_pnl + row["open"]
    parts = report.reconciliation
    assert (row["open"], ZERO, ZERO) == (parts.open_positions, parts.dividends, parts.earlier_closings)
    assert report.trade_stats.net_pnl == parts.round_trips + parts.open_closings
    assert sum((position.unrealized_pnl for position in report.positions), ZERO) >= row["open"]


def test_a_period_that_is_over_names_the_fills_after_its_value(engine: Engine, by_portfolio: dict[str, Report]) -> None:
    opened = by_portfolio["default"].round_trips[-1].opened_at
    over = report_now(engine, "default", until=opened + timedelta(seconds=1))
    assert over.closing_at < opened
    assert 1 == over.later_fills
    parts = over.reconciliation
    assert parts.open_positions is not None
    assert over.result == over.trade_stats.net_pnl + parts.open_positions + parts.dividends


def test_a_day_without_snapshots_brought_nothing(by_portfolio: dict[str, Report]) -> None:
    days = by_portfolio["default"].days[SILENT.start : SILENT.stop]
    assert [ZERO] * len(SILENT) == [day.result for day in days]
    assert DAYS + 3 == len(by_portfolio["default"].days)  # the last of them is running


def test_nothing_happened(by_portfolio: dict[str, Report]) -> None:
    report = by_portfolio["empty"]
    assert report.performance is not None
    assert (CAPITAL["empty"], CAPITAL["empty"]) == (report.opening, report.closing)
    assert ((), (), (), (), ()) == (
        report.round_trips,
        report.distribution,
        report.days,
        report.months,
        report.positions,
    )
    assert undefined("no round trip yet") == report.trade_stats.win_rate == report.trade_stats.best_trade
    assert undefined("0 of at least 10 daily returns") == report.performance.sharpe_ratio
    assert [0] * 5 == [*report.funnel.stages.values(), report.funnel.waiting]


def test_a_strategy_alone(url: str, engine: Engine, by_portfolio: dict[str, Report]) -> None:
    full = by_portfolio["default"]
    parts = [report_now(engine, "default", strategy=name) for name in reports.strategies(engine, "default")]
    assert ["(none)", "trend"] == [part.strategy for part in parts]
    for part in parts:
        assert part.performance is None
        assert (
            part.trade_stats.net_pnl == part.curve[-1].value == full.by[Dimension.STRATEGY][str(part.strategy)].net_pnl
        )
        assert part.trade_stats.net_pnl == sum((day.result for day in part.days), ZERO)
    assert full.trade_stats.net_pnl == sum((part.trade_stats.net_pnl for part in parts), ZERO)
    assert len(full.positions) == sum(len(part.positions) for part in parts)
    assert full.funnel.received == sum(part.funnel.received for part in parts)


def test_two_halves_are_the_whole(engine: Engine, by_portfolio: dict[str, Report]) -> None:
    middle = MIDNIGHT - timedelta(days=30)
    first, second = (
        report_now(engine, "default", until=middle), report_now(engine, "default", since=middle),
    )  # fmt: skip
    full = by_portfolio["default"]
    assert (full.opening, first.closing, full.closing) == (first.opening, second.opening, second.closing)
    assert full.trade_stats.net_pnl == first.trade_stats.net_pnl + second.trade_stats.net_pnl
    assert full.round_trips == (*first.round_trips, *second.round_trips)
    assert full.funnel.received == first.funnel.received + second.funnel.received


def test_periods_before_and_after_everything(engine: Engine, by_portfolio: dict[str, Report]) -> None:
    full = by_portfolio["default"]
    before = report_now(engine, "default", until=full.since - timedelta(days=9))
    assert (full.opening, full.opening, ()) == (before.opening, before.closing, before.round_trips)
    assert (0, ()) == (before.funnel.received, before.days)
    after = report_now(engine, "default", since=NOW - timedelta(seconds=1))
    assert (full.closing, NOW, ()) == (after.closing, after.closing_at, after.round_trips)
    assert full.curve[-2].value == after.opening


def test_the_verdict_covers_the_full_life_and_the_same_moment(engine: Engine) -> None:
    middle = MIDNIGHT - timedelta(days=30)
    part = ReportPart(until=middle, strategy="trend")
    report, verdict = read_report_and_verdict(engine, "default", Criteria(), list, part)
    assert report_now(engine, "default", until=middle, strategy="trend") == report
    (alone,) = validation.verdicts(engine, Criteria(), portfolios=["default"])
    assert alone.criteria == verdict.criteria
    assert alone.notes == verdict.notes
    assert verdict.until > middle


def test_those_that_traded_most_come_first(engine: Engine) -> None:
    names = reports.names(engine)
    assert ("empty", set(CAPITAL)) == (names[-1], set(names))


WITHOUT_FILL = """
INSERT INTO trading_decisions
    (portfolio, symbol, decision, confidence, target, quantity, created_at, status, outcome_reason, order_id,
     processed_at)
VALUES ('one', 'BTC/USDT', 'buy', 1, NULL, 1, %(at)s, 'expired', 'expired: at noon', gen_random_uuid(), %(at)s),
       ('one', '*', 'cancel', 1, 'all', NULL, %(at)s, 'executed', 'cancelled: 2 orders of portfolio one', NULL, %(at)s),
       ('one', '*', 'AMEND', 1, '1', 1, %(at)s, 'rejected', 'post-only: at 101 it would take', NULL, %(at)s)
"""
"""An order that rested and expired, and two decisions that trade nothing."""


@pytest.fixture(scope="module")
def deals(embedded_server: Server) -> Iterator[Engine]:
    """Yield a database with one portfolio of one round trip, one of two winners and one of two losers."""
    made = embedded_server.create_database()
    schema.upgrade(made)
    tomorrow = BEGUN + timedelta(days=1)
    sell(
        made,
        Sold("one", "100", "110"),
        Sold("winners", "100", "105", strategy="trend"),
        Sold("winners", "100", "103.5", tomorrow),
        Sold("losers", "100", "101"),
        Sold("losers", "100", "90", tomorrow),
    )
    for name, total in (("one", "1008"), ("winners", "1003"), ("losers", "999")):
        value(made, name, BEGUN + timedelta(hours=2), total)
    with psycopg.connect(made) as connection:
        assert [] == connection.execute("SELECT * FROM v_paper_ledger_check").fetchall()
        connection.execute("ALTER TABLE trading_decisions DISABLE TRIGGER USER")
        connection.execute(
            "UPDATE trading_decisions SET reasoning = CASE decision WHEN 'BUY' THEN 'because' ELSE 'enough' END"
        )
        connection.execute(WITHOUT_FILL, {"at": BEGUN})
        connection.execute("ALTER TABLE trading_decisions ENABLE TRIGGER USER")
    engine = engine_for(made, "reader")
    yield engine
    engine.dispose()
    embedded_server.drop_database(made)


def test_one_trade(deals: Engine) -> None:
    report = report_now(deals, "one")
    assert ((10, 8), (2, 1), 210) == (
        (report.trade_stats.gross_pnl, report.trade_stats.net_pnl),
        (report.trade_stats.total_commission, report.trade_stats.total_slippage),
        report.trade_stats.traded,
    )
    assert (
        defined(Decimal(8))
        == report.trade_stats.expectancy
        == report.trade_stats.avg_win
        == report.trade_stats.best_trade
    )
    assert undefined("no losing round trip yet") == report.trade_stats.profit_factor == report.trade_stats.avg_loss
    assert [(8, 9, 1)] == [(interval.low, interval.high, interval.number) for interval in report.distribution]
    assert [(8, 1, True)] == [(mark.net, mark.number, mark.won) for mark in report.marks]
    assert (("simulated",), ("simulated",)) == (report.price_sources, report.price_sources_not_real)
    assert (1008, 0) == (report.closing, report.later_fills)
    assert (8, 0, 0, 0, 0) == (
        report.reconciliation.round_trips, report.reconciliation.open_closings, report.reconciliation.earlier_closings,
        report.reconciliation.dividends, report.reconciliation.open_positions,
    )  # fmt: skip
    first = PeriodReturn(BEGUN.date(), Decimal(8), Decimal("0.008"), complete=False)
    assert first == report.days[0]


def test_its_funnel_counts_decisions_that_trade_and_an_order_that_rested_as_sized(deals: Engine) -> None:
    counts = report_now(deals, "one").funnel
    assert ((DropOff(Stage.SIZED, "expired", 1),), 0) == (counts.lost, counts.waiting)
    assert [3, 3, 3, 2] == list(counts.stages.values())


def test_no_losers(deals: Engine) -> None:
    report = report_now(deals, "winners")
    assert (2, 2, 0) == (
        report.trade_stats.total_trades,
        report.trade_stats.winning_trades,
        report.trade_stats.losing_trades,
    )
    assert Decimal("4.5") == report.trade_stats.net_pnl
    assert undefined("no losing round trip yet") == report.trade_stats.profit_factor
    assert {"trend": 3, "(none)": Decimal("1.5")} == {
        name: stats.net_pnl for name, stats in report.by[Dimension.STRATEGY].items()
    }
    assert {"0.9 to 1.0": Decimal("4.5")} == {
        name: stats.net_pnl for name, stats in report.by[Dimension.CONFIDENCE].items()
    }
    assert {"12:00": 2} == {name: stats.total_trades for name, stats in report.by[Dimension.HOUR].items()}
    assert [1, 1] == [trip.confidence for trip in report.round_trips]


def test_what_the_agent_said_is_beside_its_round_trips(deals: Engine) -> None:
    report = report_now(deals, "one")
    (trip,) = report.round_trips
    assert {
        trip.position_id: TripNote("because", (trip.decision_id or 0) + 1, "decision", "enough")
    } == report.trip_notes


def test_all_losers(deals: Engine) -> None:
    report = report_now(deals, "losers")
    assert (defined(ZERO), defined(ZERO)) == (report.trade_stats.win_rate, report.trade_stats.profit_factor)
    assert (Decimal(-13), Decimal("-6.5")) == (report.trade_stats.net_pnl, report.trade_stats.expectancy.value)
    assert undefined("no winning round trip yet") == report.trade_stats.avg_win
    assert all(interval.high <= 0 for interval in report.distribution if interval.number)
