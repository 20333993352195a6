"""Orders that rest: the same data make the same fills, whatever crashes, and whichever commit or answer is lost."""

from __future__ import annotations

import random
from decimal import Decimal
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.messages import Tick
from domain.trading.decision import Decision
from domain.trading.events import Filled
from tests.faults.laws import Laws
from tests.support.actors.memory_stores import MemoryDatabase
from tests.support.actors.stepped_runtime import NOON
from tests.support.actors.stepper import Stepper
from tests.support.values.builders import BY_LAST, BY_QUOTE, costs, rules, uid
from tests.unit.actors.test_actor_laws import FAULTS, INSTRUMENTS, NO_FAULTS, PORTFOLIOS, SEEDS, WORKERS, Faults

START = {"BTC/USDT": Decimal(100), "ETH/USDT": Decimal(25)}
NEAR = ("0.95", "0.98", "0.99", "1.01", "1.02", "1.05")
"""Of limit and stop prices, from the price at the start."""
MOVES = ("0.96", "0.98", "0.99", "0.999", "1.001", "1.01", "1.02", "1.04")
DATA = 25
Row = tuple[object, ...]


def a_database() -> MemoryDatabase:
    database = MemoryDatabase()
    for name, execution in zip(PORTFOLIOS, (BY_QUOTE, BY_LAST), strict=True):
        database.open_portfolio(rules(name, max_position_size=1, costs=costs(), execution=execution))
    return database


def an_order(number: int, draw: random.Random) -> Decision:
    """A BUY with exits at first; then orders of all types that rest."""
    symbol = draw.choice(list(START))
    limit, stop = (START[symbol] * Decimal(factor) for factor in draw.choices(NEAR, k=2))
    kind = draw.choice(["limit", "stop", "stop_limit"])
    action = draw.choice(["BUY", "BUY", "SELL"])
    if number < 4:
        kind, action, symbol = "market", "BUY", list(START)[number % 2]
    terms = {
        "limit_price": limit if "limit" in kind else None,
        "stop_price": stop if "stop" in kind else None,
        "stop_loss_pct": draw.choice(["0.02", "0.05"]) if action == "BUY" else None,
        "take_profit_pct": draw.choice([None, "0.01", "0.03"]) if action == "BUY" else None,
    }
    quantity = draw.choice(["0.5", "1", "3"])
    return Decision(
        symbol=symbol, decision=action, confidence=1, quantity=quantity, portfolio=PORTFOLIOS[number // 2 % 2],
        uid=uid(number), order_type=kind, **{name: value for name, value in terms.items() if value is not None},
    )  # fmt: skip


def played(seed: int, order_seed: int = 0, faults: Faults = NO_FAULTS, *, hurry: bool = False) -> Stepper:
    """Let orders rest; then send market data that move through their levels, while faults happen.

    Args:
        seed: of orders and data.
        order_seed: of the order of steps.
        faults: by the number of the step, from the first data on.
        hurry: several pieces of data wait in the mailboxes at once.
    """
    draw, pace = random.Random(seed), random.Random(order_seed)
    database = a_database()
    stepper = Stepper(database, INSTRUMENTS, order_seed)
    laws = Laws(database)
    laws.watch(stepper.wiring.market_data)
    stepper.run()
    prices = dict(START)
    stepper.quote({symbol: str(price) for symbol, price in prices.items()})
    stepper.run()
    for number in range(14):
        database.add(an_order(number, draw), NOON)
        stepper.settle()
    step = 0

    def run(most: int) -> None:
        nonlocal step
        for _ in range(most):
            if step in faults.crashes:
                stepper.crash(faults.crashes[step])
            database.lose_answers += step in faults.lost
            database.fail_commits += step in faults.failed
            step += 1
            if not stepper.step():
                break

    for number in range(DATA):
        symbol = draw.choice(list(START))
        prices[symbol] = (prices[symbol] * Decimal(draw.choice(MOVES))).quantize(Decimal("0.01"))
        traded = draw.choice([None, "0.4", "2"])
        stepper.clock.pass_by(0.2)
        spread = "0.05" if traded is None else None
        stepper.quote({symbol: str(prices[symbol])}, spread=spread, size=draw.choice([None, "0.7"]), traded=traded)
        if number % 6 == 5:
            stepper.tell("ExecutionSimulator", Tick())
        run(pace.randrange(12) if hurry else 1_000)
    run(10_000)
    database.lose_answers = database.fail_commits = 0
    stepper.tell("ExecutionSimulator", Tick())
    stepper.settle()
    laws.check_the_end(stepper, 0)
    return stepper


def events(stepper: Stepper) -> list[Row]:
    """Return all events of both portfolios, with the data that the fills met."""
    rows: list[Row] = []
    results = [*stepper.database.fills, *stepper.database.events]
    for result in sorted(results, key=lambda result: (result.state.name, result.event.version)):
        event, order = result.event, result.order
        row: Row = (result.state.name, event.version, type(event).__name__, order.order_id, order.quantity)
        if isinstance(event, Filled):
            fill = event.fill
            row += (
                fill.fill_no,
                fill.quantity,
                fill.price,
                fill.commission,
                fill.quote.price,
                fill.quote.seen.monotonic,
                result.state.cash,
            )
        rows.append(row)
    return rows


@given(seed=SEEDS, order_seed=SEEDS, faults=FAULTS, hurry=st.booleans())
@settings(max_examples=20)
def test_the_same_data_make_the_same_fills_whatever_goes_wrong(
    seed: int, order_seed: int, faults: Faults, hurry: bool
) -> None:
    undisturbed, disturbed = played(seed), played(seed, order_seed, faults, hurry=hurry)
    assert events(undisturbed) == events(disturbed)
    rows = [stepper.database.rows.values() for stepper in (undisturbed, disturbed)]
    assert [row.outcome or row.opened for row in rows[0]] == [row.outcome or row.opened for row in rows[1]]


@cache
def undisturbed_events() -> list[Row]:
    return events(played(3))


def test_the_data_reach_orders_of_each_type() -> None:
    stepper = played(3)
    kinds = {(r.order.order_type.value, r.order.is_exit, r.fill.liquidity.value) for r in stepper.database.fills}
    assert {("stop", True, "taker"), ("limit", False, "maker"), ("stop", False, "taker")} <= kinds
    assert max(result.fill.fill_no for result in stepper.database.fills) > 1


@pytest.mark.parametrize("worker", WORKERS)
@pytest.mark.parametrize("step", range(0, 90, 15))
def test_each_worker_may_crash_at_any_step(worker: str, step: int) -> None:
    disturbed = played(3, step, Faults({step: worker, step + 9: worker}, {step + 3}, {step + 6}), hurry=True)
    assert f"{worker} crashed" in disturbed.trace
    assert undisturbed_events() == events(disturbed)
