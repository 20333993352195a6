"""`performance_summary()`, ``v_paper_performance_metrics`` and `domain.performance` agree on one real database."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest

from actors import TradingSystem
from domain.decision import Decision
from domain.errors import UnknownPortfolio
from domain.figure import Figure, unknown
from domain.orders import order_id
from domain.performance import History, Performance, performance
from domain.portfolio import Applied, Portfolio, apply
from domain.results import Dimension, Results
from domain.snapshot import Snapshot, day_of, value
from domain.words import Generation, Symbol
from persistence import portfolios, schema
from persistence.decisions import DecisionStore
from persistence.engine import engine_for
from persistence.history import read_history
from persistence.lease import Lease
from persistence.ledger import LedgerStore
from persistence.snapshots import SnapshotStore
from tests.servers import Server
from tests.unit.builders import BTC, ETH, filled, instrument, order, uid

DAYS = 60
CLASSES = {BTC: "crypto", ETH: "crypto", Symbol("AAPL"): "equity"}
MARKETS = {"default": (BTC, ETH), "shares": (Symbol("AAPL"),), "losers": (BTC,)}
CAPITAL = {"default": 10_000, "shares": 250_000, "losers": 1_000, "empty": 10_000}
SILENT = range(20, 23)
"""Days on which no portfolio had a snapshot."""


@dataclass(frozen=True)
class Deal:
    """One that a seed made up."""

    number: int
    portfolio: str
    symbol: Symbol
    side: str
    quantity: Decimal
    price: Decimal
    at: datetime


def walked(draw: random.Random, price: Decimal) -> Decimal:
    return (price * Decimal(str(round(draw.gauss(1.001, 0.03), 4)))).quantize(Decimal("0.01"))


def a_history(seed: int, first_day: datetime) -> tuple[list[Deal], list[list[Any]]]:
    """Deals of sixty days, and what is known at each sixth hour: marks, and how many deals there were until then."""
    draw = random.Random(seed)
    prices = {BTC: Decimal(110_000), ETH: Decimal(4000), Symbol("AAPL"): Decimal(230)}
    held: dict[tuple[str, Symbol], Decimal] = {}
    deals: list[Deal] = []
    moments: list[list[Any]] = []

    def trade(name: str, symbol: Symbol, at: datetime, side: str | None = None) -> None:
        key = (name, symbol)
        have = held.get(key, Decimal(0))
        side = side or draw.choice(["BUY", "SELL"] if have else ["BUY"])
        quantity = have if side == "SELL" and draw.random() < 0.6 else (have / 2 if side == "SELL" else None)
        if quantity is None:
            quantity = Decimal(CAPITAL[name]) / prices[symbol] * Decimal(str(round(draw.uniform(0.02, 0.1), 3)))
        quantity = quantity.quantize(Decimal("1e-8"))
        held[key] = have + quantity if side == "BUY" else have - quantity
        deals.append(Deal(len(deals) + 1, name, symbol, side, quantity, prices[symbol], at))

    for step in range(DAYS * 4):
        now = first_day + timedelta(hours=6) * (step + 1)
        prices = {symbol: walked(draw, price) for symbol, price in prices.items()}
        for name in ("default", "shares"):
            if draw.random() < 0.4:
                trade(name, draw.choice(MARKETS[name]), now - timedelta(minutes=draw.randint(1, 300)))
        if step % 8 == 5 and step > DAYS * 4 - 20:
            trade("losers", BTC, now - timedelta(minutes=9), "BUY")
            last = deals[-1]
            deals.append(replace(last, number=last.number + 1, side="SELL", at=now - timedelta(minutes=8)))
            held[("losers", BTC)] = Decimal(0)
        if step // 4 not in SILENT:
            moments.append([now, dict(prices), len(deals)])
    return deals, moments


def fill(deal: Deal, portfolio: Portfolio, decision_id: Any) -> Applied:
    what = instrument(deal.symbol, asset_class=CLASSES[deal.symbol])
    strategy = "trend" if deal.number % 3 else None
    made = order(
        deal.side, deal.quantity, deal.price, seq=portfolio.seq + 1, instrument=what, strategy=strategy,
        costs=portfolio.terms.costs,
    )  # fmt: skip
    ids = {"decision_id": decision_id, "order_id": order_id(uid(deal.number), 1), "portfolio": portfolio.name}
    return apply(portfolio, filled(replace(made, created_at=deal.at, **ids), deal.at))


def write(url: str, seed: int) -> None:
    """Write the history of a seed through the stores that actors write with."""
    lease = Lease.take(url)
    schema.upgrade(url)
    lease.begin_epoch()
    for name, capital in CAPITAL.items():
        portfolios.create(url, name, {"initial_capital": capital})
    ledger, decisions, snapshots = LedgerStore(url, lease), DecisionStore(url, lease), SnapshotStore(url, lease)
    try:
        ledger.raise_generation(Generation(1))
        states = {str(portfolio.name): portfolio for portfolio in ledger.load()}
        deals, moments = a_history(seed, day_of(datetime.now(UTC)) - timedelta(days=DAYS + 2))
        decisions.insert(
            [
                Decision(symbol=d.symbol, decision=d.side, confidence=1, portfolio=d.portfolio, uid=uid(d.number))
                for d in deals
            ]
        )
        ids = {received.uid: received.id for received in decisions.pending([], 10_000, datetime.now(UTC))}
        # In the order of their numbers, which is that of their times in each portfolio.
        applied: list[Applied] = []
        saved: list[Snapshot] = []
        for moment, marks, count in moments:
            for deal in deals[len(applied) : count]:
                applied.append(fill(deal, states[deal.portfolio], ids[uid(deal.number)]))
                states[deal.portfolio] = applied[-1].portfolio
            for name, state in states.items():
                # One that lost all the time is young: too young for a Sharpe ratio.
                if name != "empty" and (name != "losers" or moment > datetime.now(UTC) - timedelta(days=7)):
                    saved.append(value(state, marks, Decimal(CAPITAL[name]), moment))
        for first in range(0, len(applied), 100):
            ledger.commit(Generation(1), applied[first : first + 100])
        snapshots.save(saved)
    finally:
        for store in (ledger, decisions, snapshots):
            store.close()
        lease.release()


@pytest.fixture(scope="module")
def url(embedded_server: Server) -> Iterator[str]:
    made = embedded_server.create_database()
    write(made, seed=6)
    yield made
    embedded_server.drop_database(made)


@pytest.fixture(scope="module")
def histories(url: str) -> dict[str, History]:
    engine = engine_for(url, "reader")
    try:
        return {name: read_history(engine, name) for name in CAPITAL}
    finally:
        engine.dispose()


def as_view(found: Performance) -> dict[str, Any]:
    """The figures under the names of the view's columns."""
    results = {field.name: getattr(found.results, field.name) for field in fields(Results)}
    columns = {name: one.value if isinstance(one, Figure) else one for name, one in results.items()}
    return columns | {
        "sharpe_ratio": found.sharpe_ratio.value,
        "sharpe_reason": found.sharpe_ratio.reason,
        "max_drawdown": found.max_drawdown.fraction,
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
    assert 17 == len(shared)
    assert {key: row[key] for key in shared - {"sharpe_ratio"}} == {key: mine[key] for key in shared - {"sharpe_ratio"}}
    # PostgreSQL divides to some 20 digits, this program to 60.
    assert (row["sharpe_ratio"] is None) == (mine["sharpe_ratio"] is None)
    assert abs((row["sharpe_ratio"] or 0) - (mine["sharpe_ratio"] or 0)) <= Decimal("1e-11")


def test_summary_is_the_views_row(url: str) -> None:
    day = None
    while day != (day := day_of(datetime.now(UTC))):
        with TradingSystem.attach(url) as system:
            summaries = {name: system.performance_summary(name) for name in CAPITAL}
        with psycopg.connect(url, row_factory=psycopg.rows.dict_row) as connection:
            rows = connection.execute("SELECT * FROM v_paper_performance_metrics").fetchall()
    assert {row["portfolio"]: row for row in rows} == summaries


def test_the_data_has_what_the_figures_are_about(histories: dict[str, History]) -> None:
    found = {name: performance(history) for name, history in histories.items()}
    assert [365, 252] == [found[name].returns.days_a_year for name in ("default", "shares")]
    for name in ("default", "shares"):
        one = found[name]
        assert one.results.losing_trades > 5 < one.results.winning_trades
        assert one.results.win_rate != one.results.win_rate_gross or name == "shares"
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
        assert one.results.total_slippage > 0
    assert unknown("no winning round trip yet") == found["losers"].results.avg_win
    assert found["losers"].sharpe_ratio.reason == f"{len(found['losers'].returns.values)} of at least 10 daily returns"
    assert unknown("no round trip yet") == found["empty"].results.win_rate


@pytest.mark.parametrize("dimension", list(Dimension))
def test_groups_of_real_rows_add_up(histories: dict[str, History], dimension: Dimension) -> None:
    for history in histories.values():
        whole, groups = performance(history).results, history.dealings.by(dimension).values()
        for name in ("total_trades", "net_pnl", "gross_pnl", "total_commission", "total_slippage", "traded"):
            assert getattr(whole, name) == sum((getattr(group, name) for group in groups), Decimal(0)), name


def test_executions_belong_to_the_strategy_and_side_of_their_position(histories: dict[str, History]) -> None:
    # Exits are decided by whoever decides them; here two decisions of three have a strategy.
    for name in ("default", "shares"):
        trades = {trade.position_id: (trade.strategy, trade.side) for trade in histories[name].dealings.trades}
        fills = [fill for fill in histories[name].dealings.executions if fill.position_id in trades]
        assert len(fills) > len(trades)
        assert [trades[fill.position_id] for fill in fills] == [(fill.strategy, fill.side) for fill in fills]
        assert {"(none)", "trend"} == histories[name].dealings.by(Dimension.STRATEGY).keys()


def test_commissions_are_those_of_closings_and_of_what_is_open(url: str, histories: dict[str, History]) -> None:
    with psycopg.connect(url) as connection:
        rows = connection.execute("SELECT portfolio, sum(entry_commission) FROM paper_positions GROUP BY 1").fetchall()
        assert [] == connection.execute("SELECT * FROM v_paper_ledger_check").fetchall()
    open_ones = dict(rows)
    for name, history in histories.items():
        found = performance(history).results
        assert found.gross_pnl - found.net_pnl == found.total_commission - open_ones.get(name, Decimal(0))


def test_a_portfolio_that_does_not_exist(url: str) -> None:
    engine = engine_for(url, "reader")
    with pytest.raises(UnknownPortfolio, match="there is no portfolio 'nobody'"):
        read_history(engine, "nobody")
    engine.dispose()
