"""Every query of Grafana's dashboard runs as its reader, and agrees with what the program computes itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import psycopg
import pytest

from domain.analytics.funnel import Stage, funnel
from domain.analytics.performance import History, performance
from domain.analytics.period_returns import daily_period_returns, monthly_period_returns
from domain.analytics.trade_stats import Dimension, TradeStats
from domain.trading.decision import Reason
from persistence.connections import engine_for
from tests.support.database.reports import history_now
from tests.support.database.roles import make_reader, reader_url, remove_role
from tests.support.database.servers import Server
from tests.support.system.dashboard import (
    Row,
    Selection,
    board,
    decimals,
    fields_with_decimals,
    missing,
    panels,
    queries,
    rows,
)
from tests.support.system.histories import CAPITAL, NOW, as_of, write

REFUSED = [
    ("ignored", "hold: nothing to do", "HOLD"),
    ("ignored", "confidence below threshold: 0.5 is below 0.6", "BUY"),
    ("ignored", "confidence below threshold: 0.1 is below 0.6", "BUY"),
    ("rejected", "no room: BTC/USDT is worth 2000, the position limit is 2000", "BUY"),
    ("rejected", "no price in time: none in 30 s", "SELL"),
    ("rejected", "halted: reviewing", "BUY"),
    ("rejected", "post-only: at 101 it would take, its limit is 102", "BUY"),
    ("cancelled", "changed my mind", "BUY"),
    (None, None, "BUY"),
]
CANCELLED = ("executed", "cancelled: 2 orders of portfolio default", "CANCEL")
"""It trades nothing, so the funnel does not count it."""
REFUSED_AT = NOW - timedelta(hours=1)
EPSILON = Decimal("1e-11")
CENT = Decimal("0.01")


@dataclass(frozen=True)
class DashboardData:
    """A database with a history, and the same history as the program reads it."""

    url: str
    reader: psycopg.Connection[Any]
    histories: dict[str, History]
    lists: dict[str, dict[str, list[str]]]

    def select(self, portfolio: str = "default", **variables: Any) -> Selection:
        """Select the complete history, with these values of variables."""
        history = self.histories[portfolio]
        everything = {"portfolio": portfolio, "currency": "USDT", **self.lists[portfolio]}
        return Selection(history.opening.time - timedelta(days=1), history.until, everything | variables)

    def rows(self, title: str, selection: Selection) -> list[Row]:
        return rows(self.reader, dict(queries())[title], selection)


def insert_refused_decisions(url: str) -> None:
    """Insert a decision for each reason of `REFUSED`, one that waits among them, and a CANCEL."""
    with psycopg.connect(url) as connection:
        for status, reason, action in (*REFUSED, CANCELLED):
            row = connection.execute(
                "INSERT INTO trading_decisions (symbol, decision, confidence, strategy, created_at, target)"
                " VALUES ('BTC/USDT', %s, 0.5, 'trend', %s, %s) RETURNING id",
                [action, REFUSED_AT, "all" if action == "CANCEL" else None],
            ).fetchone()
            assert row is not None
            if status is not None:
                connection.execute(
                    "UPDATE trading_decisions SET status = %s, outcome_reason = %s, processed_at = %s WHERE id = %s",
                    [status, reason, REFUSED_AT, row[0]],
                )


@pytest.fixture(scope="module")
def data(server: Server) -> Iterator[DashboardData]:
    if not server.may_stop:
        pytest.skip("roles are created only on the tests' own servers")
    url = server.create_database()
    make_reader(server, url)
    write(url, seed=4)
    insert_refused_decisions(url)
    engine = engine_for(url, "reader")
    with as_of():
        histories = {name: history_now(engine, name) for name in CAPITAL}
    engine.dispose()
    with psycopg.connect(reader_url(url), autocommit=True) as reader:
        everything = Selection(NOW, NOW)
        lists: dict[str, dict[str, list[str]]] = {}
        for name in CAPITAL:
            selection = replace(everything, variables={"portfolio": name})
            lists[name] = {
                variable: [
                    next(iter(row.values())) for row in rows(reader, dict(queries())[f"variable {variable}"], selection)
                ]
                for variable in ("symbol", "strategy")
            }
        yield DashboardData(url, reader, histories, lists)
    remove_role(server, url)
    server.drop_database(url)


@pytest.mark.parametrize("title", [title for title, _ in queries()])
def test_every_query_runs_as_the_reader(data: DashboardData, title: str) -> None:
    query = dict(queries())[title]
    if (reason := missing(query["targets"][0]["rawSql"])) is not None:
        pytest.skip(reason)
    everything = data.select()
    for selection in (
        everything,
        data.select("shares"),
        data.select("losers"),
        data.select("empty"),
        replace(
            everything,
            variables={**everything.variables, "portfolio": "nobody's", "symbol": ["it's"], "strategy": ["'); --"]},
        ),
        replace(everything, since=datetime(1970, 1, 1, tzinfo=UTC)),
        replace(everything, until=everything.since + timedelta(minutes=1)),
        replace(everything, until=NOW + timedelta(days=400)),
    ):
        data.rows(title, selection)


def test_variables_list_what_there_is(data: DashboardData) -> None:
    assert {
        "default": {"symbol": ["BTC/USDT", "ETH/USDT"], "strategy": ["(none)", "trend"]},
        "shares": {"symbol": ["AAPL"], "strategy": ["(none)", "trend"]},
        "losers": {"symbol": ["BTC/USDT"], "strategy": ["(none)", "trend"]},
        "empty": {"symbol": [], "strategy": []},
    } == data.lists
    assert ["default", "empty", "losers", "shares"] == [
        row["portfolio"] for row in data.rows("variable portfolio", data.select())
    ]
    assert [{"currency": "USDT"}] == data.rows("variable currency", data.select())


@pytest.mark.parametrize("name", ["default", "shares", "losers"])
def test_value_and_drawdown_are_those_of_the_snapshots(data: DashboardData, name: str) -> None:
    history = data.histories[name]
    points = data.rows("Value ($currency)", data.select(name))
    assert [(valuation.time, valuation.total_value) for valuation in history.valuations] == [
        (row["time"], row["value"]) for row in points
    ]
    fall = performance(history).max_drawdown
    worst = min(data.rows("Drawdown", data.select(name)), key=lambda row: Decimal(row["drawdown"]))
    assert abs(fall.fraction + worst["drawdown"]) < EPSILON
    assert fall.trough_at == worst["time"]


def test_a_long_time_is_drawn_with_as_many_points_as_fit(data: DashboardData) -> None:
    selection = replace(data.select(), points=20)
    history = data.histories["default"]
    assert len(history.valuations) > 200
    points = data.rows("Value ($currency)", selection)
    assert 15 < len(points) <= 21
    assert (history.valuations[-1].time, history.valuations[-1].total_value) == (
        points[-1]["time"],
        points[-1]["value"],
    )
    # Points are left out, but not the worst drawdown.
    worst = min(row["drawdown"] for row in data.rows("Drawdown", selection))
    assert abs(performance(history).max_drawdown.fraction + worst) < EPSILON


def test_a_drawdown_knows_the_peak_before_the_time_range(data: DashboardData) -> None:
    history = data.histories["default"]
    peak = max(history.valuations, key=lambda valuation: valuation.total_value)
    after = [valuation for valuation in history.valuations if valuation.time > peak.time]
    assert after
    points = data.rows("Drawdown", replace(data.select(), since=after[0].time))
    assert after[0].time == points[0]["time"]
    assert abs((after[0].total_value - peak.total_value) / peak.total_value - points[0]["drawdown"]) < EPSILON


@pytest.mark.parametrize("name", list(CAPITAL))
def test_figures_are_those_of_the_module(data: DashboardData, name: str) -> None:
    with data.reader.transaction():  # in which now() is constant
        now = data.reader.execute("SELECT now()").fetchone()
        (row,) = data.rows("$portfolio, its whole life (amounts in $currency)", data.select(name))
    assert now is not None
    expected = performance(replace(data.histories[name], until=now[0]))
    sharpe = expected.sharpe_ratio
    assert {
        "round trips": expected.trade_stats.total_trades,
        "win rate": expected.trade_stats.win_rate.value,
        "profit factor": expected.trade_stats.profit_factor.value,
        "max drawdown": expected.max_drawdown.fraction,
        "Sharpe ratio": sharpe.reason if sharpe.value is None else str(round(sharpe.value, 2)),
        "prices": "no fill yet" if name == "empty" else "test",
    } == {key: row[key] for key in row if key not in {"value", "result", "result %"}}
    assert row["result"] == row["value"] - CAPITAL[name]
    (overview,) = [row for row in data.rows("All portfolios", data.select()) if row["portfolio"] == name]
    assert [f"{row[key].quantize(CENT, ROUND_HALF_UP):,}" for key in ("value", "result")] == [
        overview[key] for key in ("value", "result")
    ]


@pytest.mark.parametrize("title", list(panels()))
def test_amounts_and_nothing_else_have_the_decimals_of_the_currency(data: DashboardData, title: str) -> None:
    panel = panels()[title]
    if (reason := missing(panel["targets"][0]["rawSql"])) is not None:
        pytest.skip(reason)
    first, *_ = data.rows(title, data.select()) or [{}]
    names = [name for name, value in first.items() if isinstance(value, Decimal | int | None)]
    config = panel["fieldConfig"]
    own = {
        override["matcher"]["options"]: {one["id"]: one["value"] for one in override["properties"]}
        for override in config["overrides"]
    }
    units = {name: own[name] if "unit" in own.get(name, {}) else config["defaults"] for name in names}
    amounts = {name for name, how in units.items() if how.get("unit") == "locale" and "decimals" not in how}
    assert amounts == fields_with_decimals(panel, names)
    assert [{"decimals": 2}] * bool(amounts) == decimals(data.reader, panel, data.select())


@pytest.mark.parametrize("name", ["default", "shares", "losers"])
def test_days_and_months_bring_what_the_report_says(data: DashboardData, name: str) -> None:
    history = data.histories[name]
    days = {row["time"].date(): row["result"] for row in data.rows("Daily results ($currency)", data.select(name))}
    expected = {gain.start: gain.result for gain in daily_period_returns(history)}
    assert {day: result for day, result in expected.items() if result} == {
        day: result for day, result in days.items() if result
    }
    months = {row["month"]: row["result"] for row in data.rows("Monthly results ($currency)", data.select(name))}
    assert {f"{gain.start:%Y-%m}": gain.result for gain in monthly_period_returns(history)}.items() <= months.items()
    last = history.valuations[-1].total_value - CAPITAL[name]
    assert [last, last] == [sum(days.values()), sum(months.values())]


def as_row(stats: TradeStats) -> Row:
    return {
        "round trips": stats.total_trades,
        "win rate": stats.win_rate.value,
        "profit factor": stats.profit_factor.value,
        "gross": stats.gross_pnl,
        "net": stats.net_pnl,
        "commission": stats.total_commission,
        "spread": stats.total_spread,
        "slippage": stats.total_slippage,
        "traded": stats.traded,
    }


def assert_same(expected: Row, row: Row) -> None:
    assert expected.keys() == row.keys()
    for key, value in expected.items():
        assert (value is None) == (row[key] is None), key
        assert value is None or abs(value - row[key]) < EPSILON, key


@pytest.mark.parametrize("name", ["default", "shares", "losers", "empty"])
@pytest.mark.parametrize("days", [None, 17], ids=["whole life", "17 days"])
@pytest.mark.parametrize(
    ("title", "dimension"),
    [("By symbol ($currency)", Dimension.SYMBOL), ("By strategy ($currency)", Dimension.STRATEGY)],
)
def test_groups_are_those_of_the_module(
    data: DashboardData, name: str, days: int | None, title: str, dimension: Dimension
) -> None:
    selection, history = data.select(name), data.histories[name]
    if days is not None:
        selection = replace(
            selection, since=selection.until - timedelta(days=days + 30), until=selection.until - timedelta(days=30)
        )
        history = history.during(selection.since, selection.until)
    expected = history.trade_history.by(dimension)
    groups = {row.pop(dimension.value): row for row in data.rows(title, selection)}
    # A position without an execution in that time has an empty group in the module, and none here.
    assert {key for key, value in expected.items() if value.traded} == groups.keys()
    for key, row in groups.items():
        assert_same(as_row(expected[key]), row)


def test_choosing_a_symbol_or_a_strategy_leaves_out_the_others(data: DashboardData) -> None:
    by = {dimension: data.histories["default"].trade_history.by(dimension) for dimension in Dimension}
    one_symbol, one_strategy = data.select(symbol=["ETH/USDT"]), data.select(strategy=["(none)"])
    for selection, title, group in (
        (one_symbol, "By symbol ($currency)", by[Dimension.SYMBOL]["ETH/USDT"]),
        (one_strategy, "By strategy ($currency)", by[Dimension.STRATEGY]["(none)"]),
    ):
        (row,) = data.rows(title, selection)
        row.pop("symbol", row.pop("strategy", None))
        assert_same(as_row(group), row)
        (costs,) = data.rows("Costs in the time range ($currency)", selection)
        assert (group.total_commission, group.total_spread, group.total_slippage) == (
            costs["commission"], costs["spread"], costs["slippage"],
        )  # fmt: skip
        bins = data.rows("Distribution of results ($currency)", selection)
        assert group.losing_trades == sum(row["lost"] or 0 for row in bins)
        assert group.total_trades == sum((row["lost"] or 0) + (row["won or even"] or 0) for row in bins)


@pytest.mark.parametrize("name", ["default", "shares", "losers"])
def test_costs_distribution_and_marks_add_up(data: DashboardData, name: str) -> None:
    stats = performance(data.histories[name]).trade_stats
    selection = data.select(name)
    (costs,) = data.rows("Costs in the time range ($currency)", selection)
    days = data.rows("Costs over time ($currency)", selection)
    kinds, totals = ("commission", "spread", "slippage"), [
        stats.total_commission, stats.total_spread, stats.total_slippage,
    ]  # fmt: skip
    assert totals == [costs[kind] for kind in kinds]
    assert totals == [sum(day[kind] for day in days) for kind in kinds]
    assert sum(totals) == costs["total"]
    assert {day["time"].hour for day in days} == {0}
    bins = data.rows("Distribution of results ($currency)", selection)
    assert stats.total_trades == sum((row["lost"] or 0) + (row["won or even"] or 0) for row in bins)
    assert stats.losing_trades == sum(row["lost"] or 0 for row in bins)
    trades = data.histories[name].trade_history.trades
    won, lost = (data.rows(mark["name"], selection) for mark in board()["annotations"]["list"])
    assert [sum(trade.net > 0 for trade in trades), sum(trade.net <= 0 for trade in trades)] == [len(won), len(lost)]
    assert {trade.exit_time for trade in trades} == {row["time"] for row in (*won, *lost)}


def test_open_positions_are_those_of_the_table(data: DashboardData) -> None:
    with psycopg.connect(data.url) as connection:
        positions = connection.execute(
            "SELECT symbol, quantity, unrealized_pnl, position_id FROM paper_positions"
            " WHERE portfolio = 'default' ORDER BY symbol"
        ).fetchall()
    # Partial closings of an open position are not a round trip yet.
    assert {row[3] for row in positions} & {
        trade.position_id for trade in data.histories["default"].trade_history.trades
    }
    open_rows = data.rows("Open positions ($currency)", data.select())
    assert [row[:3] for row in positions] == sorted(
        (row["symbol"], row["quantity"], row["unrealised"]) for row in open_rows
    )
    assert [] == data.rows("Open positions ($currency)", data.select(symbol=["DOGE/USDT"]))


def test_the_funnel_is_that_of_the_report(data: DashboardData) -> None:
    filled = len(data.histories["default"].trade_history.executions)
    counted = Counter((status or "pending", (reason or "").partition(":")[0] or None) for status, reason, _ in REFUSED)
    report = funnel([("executed", "bought", True, filled), *((*key, False, number) for key, number in counted.items())])
    stages = {row["stage"]: row["decisions"] for row in data.rows("Decision funnel", data.select())}
    assert {str(stage): number for stage, number in report.stages.items()} == stages
    assert {"received": filled + 9, "above threshold": filled + 3, "sized": filled + 1, "filled": filled} == stages
    reasons = {
        (row["last stage"], row["reason"]): row["decisions"]
        for row in data.rows("Why decisions went no further", data.select())
    }
    lost = {(str(loss.after), str(loss.reason)): loss.number for loss in report.lost}
    assert lost | {("received", "waiting"): 1} == reasons
    assert 2 == reasons[Stage.RECEIVED, Reason.LOW_CONFIDENCE]
    outcomes = data.rows("Decisions by outcome", data.select())
    kinds = {kind: sum(row[kind] for row in outcomes) for kind in outcomes[0] if kind != "time"}
    assert {
        "executed": filled + 1, "rejected": 4, "ignored": 3, "expired or cancelled": 1, "waiting": 1,
    } == kinds  # fmt: skip
    only = {row["stage"]: row["decisions"] for row in data.rows("Decision funnel", data.select(symbol=["ETH/USDT"]))}
    of_one = sum(fill.symbol == "ETH/USDT" for fill in data.histories["default"].trade_history.executions)
    assert (of_one, of_one) == (only["received"], only["filled"])
