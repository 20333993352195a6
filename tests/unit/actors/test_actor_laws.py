"""The laws, held by the real behaviours in any order of steps, with crashes and lost answers at any of them."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.trading.bookkeeping import Result
from domain.trading.decision import Decision, PendingDecision, Refusal
from domain.trading.engine import Engine
from domain.trading.instruments import InstrumentCatalog
from domain.trading.sizing import SizingRules
from domain.types import Instant, OutcomeStatus
from tests.support.actors.memory_stores import MemoryDatabase
from tests.support.actors.stepped_runtime import NOON, StepClock
from tests.support.actors.stepper import Stepper
from tests.support.values.builders import instrument, quote, rules, uid
from tests.support.values.naive_ledger import Deal, ledger

INSTRUMENTS = [instrument("BTC/USDT"), instrument("ETH/USDT"), instrument("DEAD/USDT")]
PRICES = {"BTC/USDT": "110485.85", "ETH/USDT": "3950.01"}
Maker = Callable[[int, int], Decision]
WORKERS = ("PriceTracker", "Snapshotter", "PositionKeeper", "ExecutionSimulator", "Sizer", "DecisionWatcher")
PORTFOLIOS = ("default", "second")
LIVE_RULES = SizingRules(timedelta(seconds=1), timedelta(seconds=30), None, frozenset({"USD", "USDT", "USDC"}))
"""The rules that the stepper's settings give the Sizer."""


def a_database() -> MemoryDatabase:
    database = MemoryDatabase()
    for name in PORTFOLIOS:
        database.open_portfolio(rules(name))
    return database


def a_decision(number: int, seed: int) -> Decision:
    """A decision drawn from a seed: BUYs by confidence and by quantity, partial and whole SELLs, and refused ones."""
    draw = random.Random(f"{seed}:{number}")
    action = draw.choice(["BUY", "BUY", "BUY", "SELL", "SELL", "HOLD"])
    quantity = draw.choice([None, None, "0.001", "0.0145", "0.33333333"])
    return Decision(
        symbol=draw.choice(["BTC/USDT", "btc-usdt", "ETH/USDT", "ETH/USDT", "NOPE/USDT"]),
        decision=action,
        confidence=draw.choice(["0.59", "0.6", "0.75", "0.8", "1"]),
        quantity=quantity,
        portfolio=draw.choice(PORTFOLIOS),
        uid=uid(number),
    )


def a_steady_decision(number: int, seed: int) -> Decision:
    """A decision whose outcome does not depend on which refusals before it were committed.

    The DecisionWatcher commits a refusal after the fills on which it rests, in a transaction of its own. After a crash
    between the two, the refused decision is sized again, after fills that once came behind it. So a SELL that had
    nothing to sell may be filled. That is right, but the ledgers differ.
    """
    draw = random.Random(f"{seed}:{number}")
    portfolio = PORTFOLIOS[number % 2]
    if number < 2:
        return Decision(
            symbol="ETH/USDT", decision="BUY", confidence=1, quantity="0.3", portfolio=portfolio, uid=uid(number)
        )
    return Decision(
        symbol=draw.choice(["ETH/USDT", "eth-usdt", "ETHUSDT", "NOPE/USDT"]),
        decision=draw.choice(["BUY", "SELL", "SELL", "HOLD"]),
        confidence=draw.choice(["0.59", "0.8", "1"]),
        quantity=draw.choice(["0.0041", "0.00512345"]),
        portfolio=portfolio,
        uid=uid(number),
    )


def ledger_rows(stepper: Stepper) -> list[tuple[object, ...]]:
    """Return the ledger to the last digit, without the times."""
    return [as_row(a) for a in sorted(stepper.database.fills, key=lambda a: (a.order.portfolio, a.order.seq))]


def as_row(result: Result) -> tuple[object, ...]:
    order, fill = result.order, result.fill
    names = order.portfolio, order.seq, order.order_id
    return (*names, fill.quantity, fill.price, fill.commission, result.cash_delta, result.state.cash)


def outcomes(database: MemoryDatabase) -> list[tuple[OutcomeStatus, str] | None]:
    return [(row.outcome.status, row.outcome.reason) if row.outcome else None for row in database.rows.values()]


@dataclass(frozen=True)
class Faults:
    """The faults of a run, by the number of the step.

    Attributes:
        crashes: the actor that loses its behaviour.
        lost: the next COMMIT happens, but its answer is lost.
        failed: the next COMMIT does not happen, and the connection is lost.
    """

    crashes: Mapping[int, str] = field(default_factory=dict)
    lost: Set[int] = frozenset()
    failed: Set[int] = frozenset()


NO_FAULTS = Faults()
STEPS = st.integers(0, 250)
FAULTS = st.builds(
    Faults,
    crashes=st.dictionaries(STEPS, st.sampled_from(WORKERS), max_size=8),
    lost=st.sets(STEPS, max_size=4),
    failed=st.sets(STEPS, max_size=4),
)


def played(seed: int, order_seed: int, decisions: int, faults: Faults = NO_FAULTS, make: Maker = a_decision) -> Stepper:
    """Insert decisions, and let the actors step in a drawn order while faults happen."""
    database = a_database()
    stepper = Stepper(database, INSTRUMENTS, order_seed)
    stepper.run()
    stepper.quote(PRICES)
    stepper.run()
    for number in range(decisions):
        database.add(make(number, seed), NOON)
    stepper.wake()
    for step in range(decisions * 40):
        if step in faults.crashes:
            stepper.crash(faults.crashes[step])
            stepper.quote(PRICES)
        if step in faults.lost:
            database.lose_answers = 1
        if step in faults.failed:
            database.fail_commits = 1
        if not stepper.step():
            break
    database.lose_answers = database.fail_commits = 0
    stepper.quote(PRICES)
    stepper.settle()
    return stepper


def assert_laws(stepper: Stepper) -> None:
    """Laws 1 and 2, memory equal to the database, against the naive model; and each outcome and fill counted once."""
    database = stepper.database
    counts = stepper.counters.counts()
    assert Counter((row.outcome.status, row.outcome.code) for row in database.rows.values()) == Counter(counts.outcomes)
    assert Counter(a.order.portfolio for a in database.fills) == Counter(counts.fills)
    assert (0, 0) == counts.under_way
    assert [row.id for row in database.rows.values() if row.outcome is None] == []
    executed = [row.id for row in database.rows.values() if row.outcome.status is OutcomeStatus.EXECUTED]
    filled = [a.order.decision_id for a in database.fills]
    assert sorted(executed) == sorted(filled)
    assert [id_ for id_, times in Counter(filled).items() if times > 1] == []
    for name in PORTFOLIOS:
        fills = [a for a in database.fills if a.order.portfolio == name]
        assert list(range(1, len(fills) + 1)) == [a.order.seq for a in fills]
        deals = [Deal(a.order.instrument.symbol, a.asset_delta > 0, a.fill.quantity, a.fill.price) for a in fills]
        model = ledger(Decimal(10_000), deals, Decimal("0.001"), Decimal(1))
        committed = database.portfolios[name]
        assert model.cash == Fraction(committed.cash)
        assert {s: h.quantity for s, h in model.holdings.items() if h.quantity} == {
            s: Fraction(p.quantity) for s, p in committed.positions.items()
        }
        assert model.imbalance(10_000, {s: Decimal(p) for s, p in PRICES.items()}) == 0


SEEDS = st.integers(0, 2**32)


@given(seed=SEEDS, order_seed=SEEDS, decisions=st.integers(1, 25))
@settings(max_examples=25)
def test_every_order_of_steps_gives_the_same_ledger(seed: int, order_seed: int, decisions: int) -> None:
    first = played(seed, 0, decisions)
    again = played(seed, order_seed, decisions)
    assert_laws(first)
    assert ledger_rows(first) == ledger_rows(again)
    assert outcomes(first.database) == outcomes(again.database)


@given(seed=SEEDS, decisions=st.integers(1, 25))
@settings(max_examples=25)
def test_the_engine_in_one_thread_gives_the_ledger_of_the_actors(seed: int, decisions: int) -> None:
    database, clock = a_database(), StepClock()
    for number in range(decisions):
        database.add(a_decision(number, seed), NOON)
    now = Instant.of(clock)
    engine = Engine(database.load(), LIVE_RULES)
    assert [] == engine.on_instruments(InstrumentCatalog(INSTRUMENTS), now)
    assert [] == engine.on_quotes([quote(price, symbol) for symbol, price in PRICES.items()], now)
    pending = [row for row in database.pending([], decisions, now) if isinstance(row, PendingDecision)]
    ended = [end for decision in pending for end in engine.on_decision(decision, now)]
    live = played(seed, 0, decisions)
    by_portfolio = sorted((end for end in ended if isinstance(end, Result)), key=lambda end: end.order.portfolio)
    assert ledger_rows(live) == [as_row(result) for result in by_portfolio]
    reasons = {end.decision_id if isinstance(end, Refusal) else end.order.decision_id: end.sentence for end in ended}
    assert [outcome and outcome[1] for outcome in outcomes(live.database)] == [reasons[row.id] for row in pending]


@given(seed=SEEDS, order_seed=SEEDS, decisions=st.integers(1, 25), faults=FAULTS)
@settings(max_examples=50)
def test_faults_anywhere_keep_the_laws(seed: int, order_seed: int, decisions: int, faults: Faults) -> None:
    assert_laws(played(seed, order_seed, decisions, faults))


@given(seed=SEEDS, order_seed=SEEDS, decisions=st.integers(1, 25), faults=FAULTS)
@settings(max_examples=50)
def test_faults_anywhere_change_nothing(seed: int, order_seed: int, decisions: int, faults: Faults) -> None:
    undisturbed = played(seed, 0, decisions, make=a_steady_decision)
    disturbed = played(seed, order_seed, decisions, faults, a_steady_decision)
    assert_laws(disturbed)
    assert ledger_rows(undisturbed) == ledger_rows(disturbed)
    assert outcomes(undisturbed.database) == outcomes(disturbed.database)


@given(seed=SEEDS)
@settings(max_examples=10)
def test_the_same_seed_gives_the_same_trace(seed: int) -> None:
    faults = Faults({5: "Sizer"}, {9}, {30})
    assert played(1, seed, 10, faults).trace == played(1, seed, 10, faults).trace


@cache
def undisturbed_books() -> list[tuple[object, ...]]:
    return ledger_rows(played(7, 0, 12, make=a_steady_decision))


@pytest.mark.parametrize("worker", WORKERS)
@pytest.mark.parametrize("step", range(0, 36, 2))
def test_each_worker_may_crash_at_any_step(worker: str, step: int) -> None:
    disturbed = played(7, step, 12, Faults({step: worker}), a_steady_decision)
    assert f"{worker} crashed" in disturbed.trace
    assert_laws(disturbed)
    assert undisturbed_books() == ledger_rows(disturbed)
