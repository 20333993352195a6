"""The same decisions at the same market three ways: by the live actors, in a backtest, and in a replay of the former.

The market are single prices with bid and ask, which both see alike: a bar has an open at which a backtest executes, and
no live system gets it. A decision comes later than the price grace [1 s] after the last price, so that both execute it
at the next one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from hypothesis import strategies as st

from actors.messages import Tick
from domain.trading.decision import Decision
from domain.trading.orders import ExecutionRules
from domain.trading.portfolio import PortfolioRules, PortfolioState
from domain.trading.quotes import Quote
from domain.types import Action, Instant, OrderType, PriceRule, TimeInForce
from persistence.replay.replaying import Replayed, replay
from research.backtest.feeds import Wish
from research.backtest.pieces import PHASES, Market, Phase, Piece
from research.backtest.run import DAY_US, BacktestRun, RunOptions
from research.columns.bar_columns import time_of
from research.live.intents import OF_INTENT
from research.strategy import Intent
from tests.support.actors.stepped_runtime import StepClock
from tests.support.actors.stepper import Stepper
from tests.support.research.ledger_tables import RecordingDatabase, ledger_rows
from tests.support.research.markets import fed, market, micros, ticks, wish
from tests.support.research.straightforward import Listing
from tests.support.values.builders import BTC, ETH, rules

BEGIN = datetime.fromisoformat("2026-01-05T23:57:00.1+00:00")
"""A few minutes before a midnight, at which snapshots are taken; no price comes at it."""
SECOND = timedelta(seconds=1)
TO_MIDNIGHT = 180 * SECOND
STRATEGY = "tests"


@dataclass(frozen=True, slots=True)
class Case:
    """Decisions, a market and the rules of a portfolio.

    Attributes:
        seed: of the order in which the actors take turns.
        expiries: the ends of orders with GTD, at which the live system looks at its clock.
    """

    market: Market
    wishes: list[Wish]
    rules: PortfolioRules
    seed: int
    expiries: tuple[datetime, ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a case on one way; all of it must be the same on each.

    Attributes:
        fills, trades: as a backtest records them.
        decisions: by number: status and the word of the reason of those that ended.
        values: cash and value of the snapshots.
        state: version, cash, positions, and what is left of open orders.
    """

    fills: list[dict[str, Any]]
    trades: list[dict[str, Any]]
    decisions: dict[int, tuple[str, str]]
    values: list[tuple[Decimal, Decimal]]
    state: tuple[Any, ...]


def in_backtest(case: Case) -> Outcome:
    """Run a case in a backtest."""
    records = Listing()
    options = RunOptions(case.rules, micros(BEGIN), strategy=STRATEGY)
    state = BacktestRun(case.market, options, lambda _: fed(case.wishes), records).run()
    ends = {row[1]: (row[2], "" if row[2] == "executed" else row[3]) for row in records.ends.tuples()}
    values = [(cash, total) for _, total, _, cash in records.values.tuples()]
    return _outcome(records, ends, values, state)


def live(case: Case) -> tuple[Outcome, RecordingDatabase]:
    """Let the live actors run a case, with a clock that is stepped from one thing that happens to the next."""
    database, clock = RecordingDatabase(), StepClock()
    clock.time = BEGIN - SECOND
    database.open_portfolio(case.rules)
    stepper = Stepper(database, list(case.market.instruments), case.seed, clock=clock, snapshot_interval=1)
    stepper.run()
    stepper.tell("PriceTracker", Tick())
    stepper.run()
    for time, _, subject in sorted(_happenings(case), key=lambda one: one[:2]):
        stepper.pass_by((time - clock.time).total_seconds())
        assert time == clock.time
        if isinstance(subject, Quote):
            stepper._listener.quotes_seen([subject])
        elif isinstance(subject, Wish):
            database.add(_decision(subject, case), time)
            stepper.wake()
        else:
            stepper.tell(subject, Tick())
        stepper.run()
    assert stepper.ended is None
    records = Listing()
    for result in database.results:
        records.take(result)
    ends = {
        int(id_): (row.outcome.status.value, "" if row.outcome.status == "executed" else _word(row.outcome.reason))
        for id_, row in database.rows.items()
        if row.outcome is not None
    }
    values = [(one.cash, one.total_value) for one in database.snapshots]
    return _outcome(records, ends, values, database.portfolios[case.rules.portfolio]), database


def replayed(case: Case, database: RecordingDatabase) -> Replayed:
    """Replay what the live actors have written."""
    return replay(ledger_rows(database.groups, case.rules, database.portfolios[case.rules.portfolio]))


def _word(reason: str) -> str:
    return reason.partition(":")[0]


def _outcome(
    records: Listing, ends: dict[int, tuple[str, str]], values: list[tuple[Decimal, Decimal]], state: PortfolioState
) -> Outcome:
    open_orders = [
        (one.order.order_id, one.order.seq, one.order.quantity, one.filled, one.reserved, one.triggered_at)
        for one in state.open_orders
    ]
    return Outcome(
        records.fills.table().to_pylist(), records.trades.table().to_pylist(), ends, values,
        (state.version, state.cash, dict(state.positions), open_orders),
    )  # fmt: skip


def _happenings(case: Case) -> Iterator[tuple[datetime, int, Quote | Wish | str]]:
    """Yield what happens live: prices, decisions, and looks at the clock, each with its time and its place then."""
    for number, columns in enumerate(case.market.columns):
        for bar, moment in enumerate(columns.time.tolist()):
            time = time_of(moment)
            piece = Piece(moment * PHASES + Phase.CLOSE, bar, is_open=False)
            quote = case.market.quote(number, piece, Instant(time, (time - BEGIN).total_seconds() + 1))
            yield time, 1, _as_live(quote)
    for one in case.wishes:
        yield time_of(one.moment // PHASES), 2, one
    for at in case.expiries:
        yield at, 0, "ExecutionSimulator"
    end = case.market.end
    for midnight in range((micros(BEGIN) // DAY_US + 1) * DAY_US, end + 1, DAY_US):
        yield time_of(midnight), 0, "Snapshotter"
    yield time_of(end), 3, "Snapshotter"


def _as_live(quote: Quote) -> Quote:
    """Return a quote as a source sends it: without a number."""
    return Quote(
        quote.symbol, quote.price, quote.price_time, quote.seen, "test", real=False, bid=quote.bid, ask=quote.ask,
        bid_size=quote.bid_size, ask_size=quote.ask_size,
    )  # fmt: skip


def _decision(one: Wish, case: Case) -> Decision:
    """Return a wish as a sender writes it."""
    intent = one.intent
    values = {name: value for name in OF_INTENT if (value := getattr(intent, name)) is not None}
    if intent.target is not None:
        values["target"] = str(intent.target)
    if intent.action is not Action.AMEND and intent.target in {None, "symbol"}:
        assert one.symbol is not None
        values["symbol"] = case.market.columns[one.symbol].symbol
    return Decision(decision=intent.action, uid=UUID(bytes=one.uid), strategy=STRATEGY, **values)


fractions = st.sampled_from([Decimal("0.003"), Decimal("0.01"), Decimal("0.03")])
halves = st.integers(min_value=190, max_value=210).map(lambda number: Decimal(number) / 2)


@st.composite
def _intents(draw: st.DrawFn, number: int, until: datetime) -> Intent:
    """An order of any type, or one about another order."""
    kind = draw(st.sampled_from(
        ["market", "market", "market", "close", "limit", "stop", "stop_limit", "trailing", "other"]
    ))  # fmt: skip
    if kind == "close":
        return Intent.sell()
    if kind == "other":
        choice = draw(st.sampled_from(["cancel", "cancel", "amend", "protect", "hold"]))
        target = draw(st.sampled_from(["all", "symbol", *range(1, number + 1)]))
        if choice == "cancel":
            return Intent.cancel(target)
        if choice == "amend" and number:
            return Intent(Action.AMEND, target=draw(st.integers(1, number)), quantity=Decimal(draw(st.integers(1, 30))))
        return Intent(Action.PROTECT, stop_loss_pct=draw(fractions)) if choice == "protect" else Intent(Action.HOLD)
    values: dict[str, Any] = {"quantity": draw(st.sampled_from([None, Decimal(1), Decimal("7.5")]))}
    values["confidence"] = draw(st.sampled_from([Decimal(1), Decimal("0.7"), Decimal("0.5")]))
    if kind in {"limit", "stop_limit"}:
        values["limit_price"] = draw(halves)
    if kind in {"stop", "stop_limit"}:
        values["stop_price"] = draw(halves)
    if kind == "trailing":
        values["trail_pct"] = draw(fractions)
    values["order_type"] = OrderType.TRAILING_STOP if kind == "trailing" else OrderType(kind)
    if kind != "market":
        force = draw(st.sampled_from([None, TimeInForce.GTC, TimeInForce.GTD, TimeInForce.IOC]))
        if force is TimeInForce.IOC and kind != "limit":
            force = None
        values["time_in_force"] = force
        if force is TimeInForce.GTD:
            values["order_expires_at"] = until
    buys = draw(st.integers(0, 3)) > 0
    if buys and draw(st.booleans()):
        values[draw(st.sampled_from(["stop_loss_pct", "trailing_stop_pct"]))] = draw(fractions)
        values["take_profit_pct"] = draw(st.sampled_from([None, Decimal("0.01"), Decimal("0.02")]))
    return (Intent.buy if buys else Intent.sell)(**values)


@st.composite
def _prices(draw: st.DrawFn, count: int) -> list[tuple[Any, ...]]:
    """A walk of prices in cents or halves, with bid, ask and what is offered there, as far as known."""
    middle, rows, grid = 10_000, [], draw(st.sampled_from([1, 50]))
    for _ in range(count):
        middle = max(middle + draw(st.integers(-150, 150)), 5_000) // grid * grid
        quoted = draw(st.integers(0, 4)) > 0
        below, above = draw(st.integers(0, 20)), draw(st.integers(0, 20))
        cents = [middle, middle - below if quoted else None, middle + above if quoted else None]
        sizes = [draw(st.sampled_from([None, 1, 20])) if quoted else None for _ in range(2)]
        rows.append((*(None if value is None else Decimal(value) / 100 for value in cents), *sizes))
    return rows


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Decisions between the prices of one or two symbols."""
    gaps = draw(st.lists(st.integers(4, 20), min_size=3, max_size=24))
    if sum(gaps) * SECOND == TO_MIDNIGHT:
        gaps[-1] += 2  # live, no snapshot is taken within a second of the last one
    times = [BEGIN + sum(gaps[:place]) * SECOND for place in range(len(gaps) + 1)]
    symbols = (BTC, ETH)[: draw(st.integers(1, 2))]
    columns = [
        ticks(draw(_prices(len(times))), symbol, [time + number * SECOND / 4 for time in times])
        for number, symbol in enumerate(symbols)
    ]
    count = draw(st.integers(1, 14))
    places = sorted(draw(st.lists(st.integers(0, len(times) - 2), min_size=count, max_size=count)))
    wishes, expiries = [], set()
    for number, place in enumerate(places):
        until = times[min(place + draw(st.integers(1, 10)), len(times) - 1)] + 3.25 * SECOND
        one = draw(_intents(number, until))
        if one.order_expires_at is not None and until < times[-1]:
            expiries.add(until)
        wishes.append(wish(one, times[place] + 2.5 * SECOND, number, draw(st.integers(0, len(symbols) - 1))))
    execution = ExecutionRules(draw(st.sampled_from(list(PriceRule))), fill_on_touch=draw(st.booleans()))
    of = rules(execution=execution, max_position_size=draw(st.sampled_from(["0.2", "1"])), min_notional=1)
    return Case(market(*columns), wishes, of, draw(st.integers(0, 1_000)), tuple(sorted(expiries)))


def require_same(case: Case) -> tuple[Outcome, Replayed]:
    """Run a case three ways; fail at the first that differs."""
    by_actors, database = live(case)
    in_test = in_backtest(case)
    assert in_test.fills == by_actors.fills
    assert in_test.trades == by_actors.trades
    assert in_test.decisions == by_actors.decisions
    assert in_test.values == by_actors.values
    assert in_test.state == by_actors.state
    again = replayed(case, database)
    assert again.difference is None, again.difference
    assert (again.state.version, again.state.cash) == by_actors.state[:2]
    return by_actors, again
