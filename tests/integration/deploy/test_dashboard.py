"""Every query of Grafana's dashboard runs as its reader, and answers what the program computes by other means."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest

from domain.analytics.funnel import Stage, funnel
from domain.analytics.performance import History, performance
from domain.analytics.period_returns import daily_period_returns, monthly_period_returns
from domain.analytics.trade_stats import Dimension, TradeStats
from domain.trading.decision import Reason
from persistence.connections import engine_for
from tests.support.database.reader import make_reader, reader_url, remove_reader
from tests.support.database.reports import history_now
from tests.support.database.servers import Server
from tests.support.system.dashboard import Row, ServiceQueries, board, missing, queries, rows
from tests.support.system.histories import CAPITAL, NOW, as_of, write

FELL = [
    ("ignored", "hold: nothing to do", "HOLD"),
    ("ignored", "confidence below threshold: 0.5 is below 0.6", "BUY"),
    ("ignored", "confidence below threshold: 0.1 is below 0.6", "BUY"),
    ("rejected", "no room: BTC/USDT is worth 2000, the position limit is 2000", "BUY"),
    ("rejected", "no price in time: none in 30 s", "SELL"),
    ("rejected", "halted: reviewing", "BUY"),
    ("cancelled", "changed my mind", "BUY"),
    (None, None, "BUY"),
]
FELL_AT = NOW - timedelta(hours=1)
EPSILON = Decimal("1e-11")


@dataclass(frozen=True)
class Shown:
    """A database with a history, and what is known of it from elsewhere."""

    url: str
    reader: psycopg.Connection[Any]
    histories: dict[str, History]
    lists: dict[str, dict[str, list[str]]]

    def look(self, portfolio: str = "default", **chosen: Any) -> ServiceQueries:
        """All of it, unless something else is chosen."""
        history = self.histories[portfolio]
        everything = {"portfolio": portfolio, "currency": "USDT", **self.lists[portfolio]}
        return ServiceQueries(history.opening.time - timedelta(days=1), history.until, everything | chosen)

    def rows(self, title: str, looking: ServiceQueries) -> list[Row]:
        return rows(self.reader, dict(queries())[title], looking)


def refuse(url: str) -> None:
    """Decisions that fell out, one reason after the other, and one that waits."""
    with psycopg.connect(url) as connection:
        for status, reason, action in FELL:
            row = connection.execute(
                "INSERT INTO trading_decisions (symbol, decision, confidence, strategy, created_at)"
                " VALUES ('BTC/USDT', %s, 0.5, 'trend', %s) RETURNING id",
                [action, FELL_AT],
            ).fetchone()
            assert row is not None
            if status is not None:
                connection.execute(
                    "UPDATE trading_decisions SET status = %s, outcome_reason = %s, processed_at = %s WHERE id = %s",
                    [status, reason, FELL_AT, row[0]],
                )


@pytest.fixture(scope="module")
def shown(server: Server) -> Iterator[Shown]:
    if not server.may_stop:
        pytest.skip("roles are made on servers of the tests' own alone")
    url = server.create_database()
    make_reader(server, url)
    write(url, seed=4)
    refuse(url)
    engine = engine_for(url, "reader")
    with as_of():
        histories = {name: history_now(engine, name) for name in CAPITAL}
    engine.dispose()
    with psycopg.connect(reader_url(url), autocommit=True) as reader:
        everything = ServiceQueries(NOW, NOW)
        lists: dict[str, dict[str, list[str]]] = {}
        for name in CAPITAL:
            chosen = replace(everything, chosen={"portfolio": name})
            lists[name] = {
                variable: [
                    next(iter(row.values())) for row in rows(reader, dict(queries())[f"variable {variable}"], chosen)
                ]
                for variable in ("symbol", "strategy")
            }
        yield Shown(url, reader, histories, lists)
    remove_reader(server, url)
    server.drop_database(url)


@pytest.mark.parametrize("title", [title for title, _ in queries()])
def test_every_query_runs_as_the_reader(shown: Shown, title: str) -> None:
    found = dict(queries())[title]
    if (reason := missing(found["targets"][0]["rawSql"])) is not None:
        pytest.skip(reason)
    everything = shown.look()
    for looking in (
        everything,
        shown.look("shares"),
        shown.look("losers"),
        shown.look("empty"),
        replace(
            everything,
            chosen={**everything.chosen, "portfolio": "nobody's", "symbol": ["it's"], "strategy": ["'); --"]},
        ),
        replace(everything, since=datetime(1970, 1, 1, tzinfo=UTC)),
        replace(everything, until=everything.since + timedelta(minutes=1)),
        replace(everything, until=NOW + timedelta(days=400)),
    ):
        shown.rows(title, looking)


def test_variables_list_what_there_is(shown: Shown) -> None:
    assert {
        "default": {"symbol": ["BTC/USDT", "ETH/USDT"], "strategy": ["(none)", "trend"]},
        "shares": {"symbol": ["AAPL"], "strategy": ["(none)", "trend"]},
        "losers": {"symbol": ["BTC/USDT"], "strategy": ["(none)", "trend"]},
        "empty": {"symbol": [], "strategy": []},
    } == shown.lists
    assert ["default", "empty", "losers", "shares"] == [
        row["portfolio"] for row in shown.rows("variable portfolio", shown.look())
    ]
    assert [{"currency": "USDT"}] == shown.rows("variable currency", shown.look())


@pytest.mark.parametrize("name", ["default", "shares", "losers"])
def test_value_and_drawdown_are_those_of_the_snapshots(shown: Shown, name: str) -> None:
    history = shown.histories[name]
    drawn = shown.rows("Value ($currency)", shown.look(name))
    assert [(each.time, each.total_value) for each in history.valuations] == [
        (row["time"], row["value"]) for row in drawn
    ]
    fall = performance(history).max_drawdown
    worst = min(shown.rows("Drawdown", shown.look(name)), key=lambda row: Decimal(row["drawdown"]))
    assert abs(fall.fraction + worst["drawdown"]) < EPSILON
    assert fall.trough_at == worst["time"]


def test_a_long_time_is_drawn_with_as_many_points_as_fit(shown: Shown) -> None:
    looking = replace(shown.look(), points=20)
    history = shown.histories["default"]
    assert len(history.valuations) > 200
    drawn = shown.rows("Value ($currency)", looking)
    assert 15 < len(drawn) <= 21
    assert (history.valuations[-1].time, history.valuations[-1].total_value) == (drawn[-1]["time"], drawn[-1]["value"])
    # Points are left out, the worst drawdown is not.
    worst = min(row["drawdown"] for row in shown.rows("Drawdown", looking))
    assert abs(performance(history).max_drawdown.fraction + worst) < EPSILON


def test_a_drawdown_knows_the_peak_before_the_time_range(shown: Shown) -> None:
    history = shown.histories["default"]
    peak = max(history.valuations, key=lambda each: each.total_value)
    after = [each for each in history.valuations if each.time > peak.time]
    assert after
    drawn = shown.rows("Drawdown", replace(shown.look(), since=after[0].time))
    assert after[0].time == drawn[0]["time"]
    assert abs((after[0].total_value - peak.total_value) / peak.total_value - drawn[0]["drawdown"]) < EPSILON


@pytest.mark.parametrize("name", list(CAPITAL))
def test_figures_are_those_of_the_module(shown: Shown, name: str) -> None:
    with shown.reader.transaction():  # in which the database's time stands still
        now = shown.reader.execute("SELECT now()").fetchone()
        (row,) = shown.rows("$portfolio, its whole life (amounts in $currency)", shown.look(name))
    assert now is not None
    found = performance(replace(shown.histories[name], until=now[0]))
    sharpe = found.sharpe_ratio
    assert {
        "round trips": found.trade_stats.total_trades,
        "win rate": found.trade_stats.win_rate.value,
        "profit factor": found.trade_stats.profit_factor.value,
        "max drawdown": found.max_drawdown.fraction,
        "Sharpe ratio": sharpe.reason if sharpe.value is None else str(round(sharpe.value, 2)),
        "prices": "no fill yet" if name == "empty" else "test",
    } == {key: row[key] for key in row if key not in {"value", "result", "result %"}}
    assert row["result"] == row["value"] - CAPITAL[name]
    (overview,) = [each for each in shown.rows("All portfolios", shown.look()) if each["portfolio"] == name]
    assert (row["value"], row["result"]) == (overview["value"], overview["result"])


@pytest.mark.parametrize("name", ["default", "shares", "losers"])
def test_days_and_months_bring_what_the_report_says(shown: Shown, name: str) -> None:
    history = shown.histories[name]
    days = {row["time"].date(): row["result"] for row in shown.rows("Daily results ($currency)", shown.look(name))}
    expected = {gain.start: gain.result for gain in daily_period_returns(history)}
    assert {day: result for day, result in expected.items() if result} == {
        day: result for day, result in days.items() if result
    }
    months = {row["month"]: row["result"] for row in shown.rows("Monthly results ($currency)", shown.look(name))}
    assert {f"{gain.start:%Y-%m}": gain.result for gain in monthly_period_returns(history)}.items() <= months.items()
    last = history.valuations[-1].total_value - CAPITAL[name]
    assert [last, last] == [sum(days.values()), sum(months.values())]


def as_row(found: TradeStats) -> Row:
    return {
        "round trips": found.total_trades,
        "win rate": found.win_rate.value,
        "profit factor": found.profit_factor.value,
        "gross": found.gross_pnl,
        "net": found.net_pnl,
        "commission": found.total_commission,
        "slippage": found.total_slippage,
        "traded": found.traded,
    }


def same(expected: Row, row: Row) -> None:
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
    shown: Shown, name: str, days: int | None, title: str, dimension: Dimension
) -> None:
    looking, history = shown.look(name), shown.histories[name]
    if days is not None:
        looking = replace(
            looking, since=looking.until - timedelta(days=days + 30), until=looking.until - timedelta(days=30)
        )
        history = history.during(looking.since, looking.until)
    expected = history.trade_history.by(dimension)
    found = {row.pop(dimension.value): row for row in shown.rows(title, looking)}
    # What was held and not touched in that time has a group of the module's, without a number.
    assert {key for key, value in expected.items() if value.traded} == found.keys()
    for key, row in found.items():
        same(as_row(expected[key]), row)


def test_choosing_a_symbol_or_a_strategy_leaves_out_the_others(shown: Shown) -> None:
    by = {dimension: shown.histories["default"].trade_history.by(dimension) for dimension in Dimension}
    one_symbol, one_strategy = shown.look(symbol=["ETH/USDT"]), shown.look(strategy=["(none)"])
    for looking, title, group in (
        (one_symbol, "By symbol ($currency)", by[Dimension.SYMBOL]["ETH/USDT"]),
        (one_strategy, "By strategy ($currency)", by[Dimension.STRATEGY]["(none)"]),
    ):
        (row,) = shown.rows(title, looking)
        row.pop("symbol", row.pop("strategy", None))
        same(as_row(group), row)
        (costs,) = shown.rows("Costs in the time range ($currency)", looking)
        assert (group.total_commission, group.total_slippage) == (costs["commission"], costs["slippage"])
        bins = shown.rows("Distribution of results ($currency)", looking)
        assert group.losing_trades == sum(row["lost"] or 0 for row in bins)
        assert group.total_trades == sum((row["lost"] or 0) + (row["won or even"] or 0) for row in bins)


@pytest.mark.parametrize("name", ["default", "shares", "losers"])
def test_costs_distribution_and_marks_add_up(shown: Shown, name: str) -> None:
    whole = performance(shown.histories[name]).trade_stats
    looking = shown.look(name)
    (costs,) = shown.rows("Costs in the time range ($currency)", looking)
    days = shown.rows("Costs over time ($currency)", looking)
    assert [whole.total_commission, whole.total_slippage] == [costs["commission"], costs["slippage"]]
    assert [whole.total_commission, whole.total_slippage] == [
        sum(day[kind] for day in days) for kind in ("commission", "slippage")
    ]
    assert {day["time"].hour for day in days} == {0}
    bins = shown.rows("Distribution of results ($currency)", looking)
    assert whole.total_trades == sum((row["lost"] or 0) + (row["won or even"] or 0) for row in bins)
    assert whole.losing_trades == sum(row["lost"] or 0 for row in bins)
    trades = shown.histories[name].trade_history.trades
    won, lost = (shown.rows(mark["name"], looking) for mark in board()["annotations"]["list"])
    assert [sum(trade.net > 0 for trade in trades), sum(trade.net <= 0 for trade in trades)] == [len(won), len(lost)]
    assert {trade.exit_time for trade in trades} == {row["time"] for row in (*won, *lost)}


def test_open_positions_are_those_of_the_table(shown: Shown) -> None:
    with psycopg.connect(shown.url) as connection:
        held = connection.execute(
            "SELECT symbol, quantity, unrealized_pnl, position_id FROM paper_positions"
            " WHERE portfolio = 'default' ORDER BY symbol"
        ).fetchall()
    # Closings of one of them are no round trip yet.
    assert {row[3] for row in held} & {trade.position_id for trade in shown.histories["default"].trade_history.trades}
    found = shown.rows("Open positions ($currency)", shown.look())
    assert [row[:3] for row in held] == sorted((row["symbol"], row["quantity"], row["unrealised"]) for row in found)
    assert [] == shown.rows("Open positions ($currency)", shown.look(symbol=["DOGE/USDT"]))


def test_the_funnel_is_that_of_the_report(shown: Shown) -> None:
    filled = len(shown.histories["default"].trade_history.executions)
    counted = Counter((status or "pending", (reason or "").partition(":")[0] or None) for status, reason, _ in FELL)
    report = funnel([("executed", "bought", filled), *((*key, number) for key, number in counted.items())])
    found = {row["stage"]: row["decisions"] for row in shown.rows("Decision funnel", shown.look())}
    assert {str(stage): number for stage, number in report.stages.items()} == found
    assert {"received": filled + 8, "above threshold": filled + 2, "sized": filled, "filled": filled} == found
    reasons = {
        (row["last stage"], row["reason"]): row["decisions"]
        for row in shown.rows("Why decisions went no further", shown.look())
    }
    lost = {(str(each.after), str(each.reason)): each.number for each in report.lost}
    assert lost | {("received", "waiting"): 1} == reasons
    assert 2 == reasons[Stage.RECEIVED, Reason.LOW_CONFIDENCE]
    outcomes = shown.rows("Decisions by outcome", shown.look())
    kinds = {kind: sum(row[kind] for row in outcomes) for kind in outcomes[0] if kind != "time"}
    assert {
        "executed": filled, "rejected": 3, "ignored": 3, "expired or cancelled": 1, "waiting": 1,
    } == kinds  # fmt: skip
    only = {row["stage"]: row["decisions"] for row in shown.rows("Decision funnel", shown.look(symbol=["ETH/USDT"]))}
    of_one = sum(fill.symbol == "ETH/USDT" for fill in shown.histories["default"].trade_history.executions)
    assert (of_one, of_one) == (only["received"], only["filled"])
