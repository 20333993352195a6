"""What passes over bars gives the same digits as what looks at each of them."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from domain.trading.bookkeeping import Result
from domain.trading.decision import Refusal
from domain.trading.engine import Ended
from domain.trading.events import Filled, OrderEnded
from domain.trading.orders import ExecutionRules
from domain.types import Action, OrderType, PriceRule, TimeInForce
from research.backtest.feeds import Wish
from research.backtest.pieces import PHASES, Market
from research.backtest.run import RunOptions
from research.columns.bar_columns import BarColumns
from research.strategy import Intent
from tests.support.research.markets import MINUTE, START, bars, market, micros, ticks, wish
from tests.support.research.straightforward import Listing, run_listed, show_everything
from tests.support.values.builders import BTC, ETH, rules

MOST_BARS = 40


def outcome(one: Ended) -> tuple[Any, ...]:
    """Return all of what has happened that a ledger would hold."""
    if isinstance(one, Refusal):
        return one.decision_id, one.status, one.reason, one.detail if one.reason != "expired" else ""
    assert isinstance(one, Result)
    event, state = one.event, one.state
    order = event.order
    common = (
        type(event).__name__, event.version, event.at, order, state.cash, state.open_orders.reserved,
        dict(state.positions), one.trade, one.ends,
    )  # fmt: skip
    if isinstance(event, Filled):
        fill = event.fill
        equity = None if event.sizing is None else (event.sizing.equity, event.sizing.other_marks())
        return *common, *fill[:7], fill.quote.price, fill.quote.data_no, *fill[8:], equity
    return *common, event.detail if isinstance(event, OrderEnded) else ""


def ledger(records: Listing) -> list[tuple[Any, ...]]:
    """Return what has happened; refusals count by themselves, as they change nothing."""
    events = [outcome(one) for one in records.happened if isinstance(one, Result)]
    refusals = sorted(map(repr, (outcome(one) for one in records.happened if isinstance(one, Refusal))))
    return [*events, *((refusal,) for refusal in refusals)]


prices = st.integers(min_value=180, max_value=220).map(lambda halves: Decimal(halves) / 2)
steps = st.integers(min_value=-150, max_value=150)


@st.composite
def bar_rows(draw: st.DrawFn, count: int) -> list[tuple[Any, ...]]:
    """A walk of prices, in cents or halves, which touch levels; a volume is sometimes known, and sometimes 0."""
    close, rows, grid = 10_000, [], draw(st.sampled_from([1, 50]))
    with_volume = draw(st.booleans())
    for _ in range(count):
        opened = max(close + draw(steps) // 3, 100)
        close = max(opened + draw(steps), 100)
        high = max(opened, close) + draw(st.integers(0, 60))
        low = max(min(opened, close) - draw(st.integers(0, 60)), 1)
        row = tuple(Decimal(max(value // grid * grid, 1)) / 100 for value in (opened, high, low, close))
        rows.append((*row, draw(st.sampled_from([0, 1, 30, 5_000, None]))) if with_volume else row)
    return rows


@st.composite
def single_prices(draw: st.DrawFn, symbol: str, count: int) -> BarColumns:
    """Prices with bid and ask and what is offered there, as far as known; some come at the same time."""
    times = sorted(draw(st.lists(st.integers(0, 90), min_size=count, max_size=count)))
    middle, rows = 10_000, []
    for _ in times:
        middle = max(middle + draw(steps) // 2, 200)
        bid, ask = middle - draw(st.integers(0, 20)), middle + draw(st.integers(-5, 20))
        sizes = [draw(st.sampled_from([None, 1, 20])) for _ in range(2)]
        quoted = draw(st.booleans())
        cents = [middle, bid if quoted else None, ask if quoted else None]
        rows.append((*(None if value is None else Decimal(value) / 100 for value in cents), *sizes))
    return ticks(rows, symbol, [START + time * MINUTE for time in times])


@st.composite
def markets(draw: st.DrawFn) -> Market:
    """One or two symbols, whose bars may have gaps, other beginnings and other lengths."""
    columns = []
    for symbol in (BTC, ETH)[: draw(st.integers(1, 2))]:
        count = draw(st.integers(3, MOST_BARS))
        if draw(st.integers(0, 3)) == 0:
            columns.append(draw(single_prices(symbol, count)))
            continue
        gaps = draw(st.lists(st.integers(0, 3), min_size=count, max_size=count)) if draw(st.booleans()) else [1] * count
        begins = [sum(gaps[:place]) for place in range(count)]
        length = draw(st.sampled_from([MINUTE, 5 * MINUTE, timedelta(hours=7)]))
        start = START + draw(st.integers(0, 3)) * MINUTE
        columns.append(bars(draw(bar_rows(count)), symbol, begins=begins, length=length, start=start))
    return market(*columns)


fractions = st.sampled_from([Decimal("0.005"), Decimal("0.01"), Decimal("0.03")])


@st.composite
def intents(draw: st.DrawFn, number: int) -> Intent:
    """An order of any type, or one about another order."""
    kind = draw(st.sampled_from(["market", "market", "limit", "stop", "stop_limit", "trailing", "close", "other"]))
    if kind == "close":
        return Intent.sell()
    if kind == "other":
        target = draw(st.sampled_from(["all", "symbol", *range(1, number + 1)]))
        choice = draw(st.sampled_from(["cancel", "cancel", "amend", "protect", "hold"]))
        if choice == "cancel":
            return Intent.cancel(target)
        if choice == "amend":
            return Intent(Action.AMEND, target=target, quantity=Decimal(draw(st.integers(1, 30))))
        return Intent(Action.PROTECT, stop_loss_pct=draw(fractions)) if choice == "protect" else Intent(Action.HOLD)
    values: dict[str, Any] = {"quantity": draw(st.sampled_from([None, Decimal(1), Decimal("7.5")]))}
    values["confidence"] = draw(st.sampled_from([Decimal(1), Decimal("0.7"), Decimal("0.9"), Decimal("0.5")]))
    if kind in {"limit", "stop_limit"}:
        values["limit_price"] = draw(prices)
    if kind in {"stop", "stop_limit"}:
        values["stop_price"] = draw(prices)
    if kind == "trailing":
        values["trail_pct"] = draw(fractions)
    values["order_type"] = OrderType.TRAILING_STOP if kind == "trailing" else OrderType(kind)
    if kind != "market":
        force = draw(st.sampled_from([None, TimeInForce.GTC, TimeInForce.GTD]))
        values["time_in_force"] = force
        if force is TimeInForce.GTD:
            values["order_expires_at"] = START + draw(st.integers(0, 60)) * MINUTE + timedelta(seconds=30)
    elif draw(st.integers(0, 5)) == 0:
        values["expires_at"] = START + draw(st.integers(1, 90)) * MINUTE
    buys = draw(st.integers(0, 3)) > 0
    if buys and draw(st.booleans()):
        values[draw(st.sampled_from(["stop_loss_pct", "trailing_stop_pct"]))] = draw(fractions)
        values["take_profit_pct"] = draw(st.sampled_from([None, Decimal("0.01"), Decimal("0.02")]))
    return (Intent.buy if buys else Intent.sell)(**values)


@st.composite
def runs(draw: st.DrawFn) -> tuple[Market, RunOptions, list[Wish]]:
    prices_of = draw(markets())
    count = draw(st.integers(1, 14))
    times = sorted(draw(st.lists(st.integers(0, 90), min_size=count, max_size=count)))
    half = timedelta(seconds=draw(st.sampled_from([0, 0, 0, 20])))
    wishes = [
        wish(draw(intents(row)), START + time * MINUTE + half, row, draw(st.integers(0, len(prices_of.columns) - 1)))
        for row, time in enumerate(times)
    ]
    execution = ExecutionRules(
        draw(st.sampled_from(list(PriceRule))),
        fill_on_touch=draw(st.booleans()),
        max_bar_share=Decimal(draw(st.sampled_from(["0.1", "1"]))),
    )
    of = rules(execution=execution, max_position_size=draw(st.sampled_from(["0.2", "1"])), min_notional=1)
    options = RunOptions(of, micros(START), fill_at_close=draw(st.booleans()), strategy="tests")
    return prices_of, options, wishes


@settings(max_examples=60, deadline=None)
@given(runs())
def test_passing_over_bars_changes_no_digit(case: tuple[Market, RunOptions, list[Wish]]) -> None:
    state, listed = show_everything(*case)
    fast_state, fast = run_listed(*case)
    assert ledger(listed) == ledger(fast)
    assert state == fast_state
    assert listed.values.table().to_pylist() == fast.values.table().to_pylist()
    assert listed.fills.table().to_pylist() == fast.fills.table().to_pylist()
    assert listed.trades.table().to_pylist() == fast.trades.table().to_pylist()


def test_a_moment_names_its_phase() -> None:
    assert 3 == wish(Intent.buy(), START).moment % PHASES
