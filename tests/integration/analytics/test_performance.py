"""`performance_summary()`, ``v_paper_performance_metrics`` and `domain.analytics.performance` agree on a database."""

from __future__ import annotations

from dataclasses import fields, replace
from decimal import Decimal
from typing import Any

import psycopg
import pytest

from actors import TradingSystem
from domain.analytics.performance import History, Performance, performance
from domain.analytics.performance_metric import PerformanceMetric, undefined
from domain.analytics.trade_stats import Dimension, TradeStats
from domain.errors import UnknownPortfolio
from domain.trading.snapshot import day_of
from persistence.connections import engine_for
from tests.support.database.reports import history_now
from tests.support.database.set_time import database_time
from tests.support.system.histories import CAPITAL, DAYS, SILENT

pytestmark = pytest.mark.clock


@pytest.fixture(scope="module")
def url(sixty_days: str, as_of_then: None) -> str:
    return sixty_days


@pytest.fixture(scope="module")
def histories(url: str) -> dict[str, History]:
    engine = engine_for(url, "reader")
    try:
        return {name: history_now(engine, name) for name in CAPITAL}
    finally:
        engine.dispose()


def as_view(computed: Performance) -> dict[str, Any]:
    """Return the figures by the names of the view's columns."""
    results = {field.name: getattr(computed.trade_stats, field.name) for field in fields(TradeStats)}
    columns = {name: one.value if isinstance(one, PerformanceMetric) else one for name, one in results.items()}
    return columns | {
        "sharpe_ratio": computed.sharpe_ratio.value,
        "sharpe_reason": computed.sharpe_ratio.reason,
        "max_drawdown": computed.max_drawdown.fraction,
    }


@pytest.mark.parametrize("name", list(CAPITAL))
def test_view_and_module_agree(url: str, histories: dict[str, History], name: str) -> None:
    with psycopg.connect(url, row_factory=psycopg.rows.dict_row) as connection:
        row = connection.execute(
            "SELECT now() AS until, * FROM v_paper_performance_metrics WHERE portfolio = %s", [name]
        ).fetchone()
    assert row is not None
    # Midnight may have passed since the history was read.
    mine = as_view(performance(replace(histories[name], until=row["until"])))
    shared = mine.keys() & row.keys()
    assert 18 == len(shared)
    assert {key: row[key] for key in shared - {"sharpe_ratio"}} == {key: mine[key] for key in shared - {"sharpe_ratio"}}
    # PostgreSQL divides to some 20 digits, this program to 60.
    assert (row["sharpe_ratio"] is None) == (mine["sharpe_ratio"] is None)
    assert abs((row["sharpe_ratio"] or 0) - (mine["sharpe_ratio"] or 0)) <= Decimal("1e-11")


def test_summary_is_the_views_row(url: str) -> None:
    day = None
    while day != (day := day_of(database_time(url))):
        with TradingSystem.attach(url) as system:
            summaries = {name: system.performance_summary(name) for name in CAPITAL}
        with psycopg.connect(url, row_factory=psycopg.rows.dict_row) as connection:
            rows = connection.execute("SELECT * FROM v_paper_performance_metrics").fetchall()
    assert {row["portfolio"]: row for row in rows} == summaries


def test_the_data_cover_all_figures(histories: dict[str, History]) -> None:
    by_portfolio = {name: performance(history) for name, history in histories.items()}
    assert [365, 252] == [by_portfolio[name].returns.days_per_year for name in ("default", "shares")]
    for name in ("default", "shares"):
        one = by_portfolio[name]
        assert one.trade_stats.losing_trades > 5 < one.trade_stats.winning_trades
        assert one.trade_stats.win_rate != one.trade_stats.win_rate_gross or name == "shares"
        assert len(one.returns.values) == DAYS + 2
        assert [Decimal(0)] * 3 == list(one.returns.values[SILENT.start : SILENT.stop])
        assert all(
            figure.value is not None
            for figure in (
                one.sharpe_ratio,
                one.sortino_ratio,
                one.probabilistic_sharpe_ratio,
                one.exposure,
                one.turnover,
            )
        )
        assert one.trade_stats.total_slippage > 0
    assert undefined("no winning round trip yet") == by_portfolio["losers"].trade_stats.avg_win
    assert (
        by_portfolio["losers"].sharpe_ratio.reason
        == f"{len(by_portfolio['losers'].returns.values)} of at least 10 daily returns"
    )
    assert undefined("no round trip yet") == by_portfolio["empty"].trade_stats.win_rate


@pytest.mark.parametrize("dimension", list(Dimension))
def test_groups_of_real_rows_add_up(histories: dict[str, History], dimension: Dimension) -> None:
    for history in histories.values():
        total, groups = performance(history).trade_stats, history.trade_history.by(dimension).values()
        for name in ("total_trades", "net_pnl", "gross_pnl", "total_commission", "total_slippage", "traded"):
            assert getattr(total, name) == sum((getattr(group, name) for group in groups), Decimal(0)), name


def test_executions_belong_to_the_strategy_and_side_of_their_position(histories: dict[str, History]) -> None:
    # Any decision may close a position; here two decisions of three have a strategy.
    for name in ("default", "shares"):
        trades = {trade.position_id: (trade.strategy, trade.side) for trade in histories[name].trade_history.trades}
        fills = [fill for fill in histories[name].trade_history.executions if fill.position_id in trades]
        assert len(fills) > len(trades)
        assert [trades[fill.position_id] for fill in fills] == [(fill.strategy, fill.side) for fill in fills]
        assert {"(none)", "trend"} == histories[name].trade_history.by(Dimension.STRATEGY).keys()


def test_commissions_are_those_of_closings_and_of_what_is_open(url: str, histories: dict[str, History]) -> None:
    with psycopg.connect(url) as connection:
        rows = connection.execute("SELECT portfolio, sum(entry_commission) FROM paper_positions GROUP BY 1").fetchall()
        assert [] == connection.execute("SELECT * FROM v_paper_ledger_check").fetchall()
    open_ones = dict(rows)
    for name, history in histories.items():
        stats = performance(history).trade_stats
        assert stats.gross_pnl - stats.net_pnl == stats.total_commission - open_ones.get(name, Decimal(0))


def test_a_portfolio_that_does_not_exist(url: str) -> None:
    engine = engine_for(url, "reader")
    with pytest.raises(UnknownPortfolio, match="there is no portfolio 'nobody'"):
        history_now(engine, "nobody")
    engine.dispose()
