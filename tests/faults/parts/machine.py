"""Part ``machine``: Hypothesis looks for the sequence of deeds, faults and steps that breaks a law, and shortens it."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import hypothesis
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from domain.trading.orders import Costs
from tests.faults.counters import Counters
from tests.faults.parts.seeds import ERRORS, MOMENTS, TRADED
from tests.faults.setting import NAMES, WORKERS
from tests.faults.world import World

STEPS = 40
"""Rules of one example."""
KINDS: tuple[dict[str, Any], ...] = (
    {"confidence": "0.75"},
    {"quantity": "0.3"},
    {"symbol": "BTC/USDT", "confidence": "1", "risk_score": "0.9"},
    {"decision": "SELL"},
    {"decision": "SELL", "quantity": "0.1"},
    {"decision": "SELL", "quantity": "50"},
    {"decision": "HOLD"},
    {"confidence": "0.59"},
    {"quantity": "20"},
    {"symbol": "NOPE/USDT"},
    {"symbol": "X/EUR"},
    {"symbol": "DEAD/USDT"},
    {"symbol": "DEAD/USDT", "expires_in": 3},
    {"expires_in": -1},
    {"portfolio": "nobody's"},
)
TERMS: tuple[dict[str, Any], ...] = (
    {"order_type": "limit", "limit_price": "0.98"},
    {"order_type": "limit", "limit_price": "1.0005", "stop_loss_pct": "0.02", "take_profit_pct": "0.02"},
    {"order_type": "limit", "limit_price": "0.99", "time_in_force": "GTD", "order_expires_in": 4},
    {"order_type": "limit", "limit_price": "1.001", "time_in_force": "IOC"},
    {"order_type": "stop", "stop_price": "1.02", "stop_loss_pct": "0.005"},
    {"order_type": "stop_limit", "stop_price": "1.005", "limit_price": "1.02"},
    {"stop_loss_pct": "0.02", "take_profit_pct": "0.003"},
    {"decision": "SELL", "order_type": "limit", "limit_price": "1.02"},
    {"decision": "SELL", "order_type": "stop", "stop_price": "0.98"},
    {"decision": "SELL", "order_type": "trailing_stop", "trail": "0.01"},
    {"order_type": "trailing_stop", "trail_pct": "0.004", "trailing_stop_pct": "0.01"},
)
"""Of orders; prices and trails are factors of the present price."""
PRICES = ("limit_price", "stop_price", "trail")
NEW_VALUES: tuple[dict[str, Any], ...] = (
    {"quantity": "0.01"},
    {"quantity": "0.02"},
    {"limit_price": "0.99"},
    {"limit_price": "1.001", "quantity": "0.012"},
    {"stop_price": "0.99"},
    {"stop_price": "1.01", "limit_price": "1.02"},
    {"trail": "0.005"},
    {"trail_pct": "0.02", "quantity": "0.01"},
    {"order_expires_in": 3},
    {"order_expires_in": -1},
)
"""Of an AMEND; prices and trails are factors of the present price."""
EXITS: tuple[dict[str, str], ...] = (
    {"stop_loss_pct": "0.02"},
    {"stop_loss_pct": "0.005", "take_profit_pct": "0.003"},
    {"trailing_stop_pct": "0.01"},
    {},
)
"""Of a PROTECT."""
DECISIONS = st.builds(
    lambda kind, symbol, portfolio: {"symbol": symbol, "portfolio": portfolio, **kind},
    st.sampled_from(KINDS[:6]) | st.sampled_from(KINDS),
    st.sampled_from(TRADED),
    st.sampled_from(NAMES),
)
NUMBERS = st.integers(0, 20)
COUNTS = st.integers(1, 12)
POINTS = st.sampled_from(MOMENTS)


class TradingMachine(RuleBasedStateMachine):
    """The real actors under any sequence of deeds; `World` checks the laws after each step of an actor.

    Attributes:
        on_settled: called with each world that has come to rest.
    """

    on_settled: Callable[[World], None] = staticmethod(lambda _: None)
    world: World

    @initialize(
        order=st.integers(0, 2**32),
        max_restarts=st.sampled_from([5, 1_000]),
        wanted=st.lists(DECISIONS, max_size=8),
        steps=st.integers(0, 60),
    )
    def begin(self, order: int, max_restarts: int, wanted: list[dict[str, Any]], steps: int) -> None:
        self.world = World(order, max_restarts=max_restarts)
        self.insert(wanted)
        self.world.run(steps)

    @rule(wanted=st.lists(DECISIONS, min_size=1, max_size=8))
    def insert(self, wanted: list[dict[str, Any]]) -> None:
        for one in wanted:
            self.world.add(**one)

    @rule(terms=st.sampled_from(TERMS), symbol=st.sampled_from(TRADED), portfolio=st.sampled_from(NAMES))
    def insert_order(self, terms: dict[str, Any], symbol: str, portfolio: str) -> None:
        own = self._at_present(terms, "BTC/USDT" if symbol[0] in "Bb" else "ETH/USDT")
        self.world.add(symbol=symbol, portfolio=portfolio, quantity="0.0145", **own)

    def _at_present(self, terms: dict[str, Any], symbol: str) -> dict[str, Any]:
        price = self.world.prices[symbol]
        own = {name: (price * Decimal(terms[name])).quantize(Decimal("0.01")) for name in PRICES if name in terms}
        return {**terms, **own}

    @rule(number=NUMBERS, new=st.sampled_from(NEW_VALUES))
    def amend_order(self, number: int, new: dict[str, Any]) -> None:
        portfolios = sorted(self.world.database.portfolios.items())
        orders = [one.order for _, portfolio in portfolios for one in portfolio.open_orders]
        if orders:
            order = orders[number % len(orders)]
            target = str(order.order_id if order.is_exit else order.decision_id)
            own = self._at_present(new, order.instrument.symbol)
            self.world.add(decision="AMEND", target=target, symbol="*", confidence=1, portfolio=order.portfolio, **own)

    @rule(symbol=st.sampled_from(TRADED), portfolio=st.sampled_from(NAMES), exits=st.sampled_from(EXITS))
    def protect(self, symbol: str, portfolio: str, exits: dict[str, str]) -> None:
        self.world.add(decision="PROTECT", symbol=symbol, portfolio=portfolio, **exits)

    @rule(number=NUMBERS, which=st.sampled_from([None, None, "symbol", "all"]))
    def cancel_order(self, number: int, which: str | None) -> None:
        self.world.cancel_order(number, which)

    @rule(number=NUMBERS, halted=st.booleans())
    def halt(self, number: int, halted: bool) -> None:
        self.world.halt(number, halted=halted)

    @rule(wanted=DECISIONS, key=st.sampled_from([None, None, "a", "b"]))
    def submit(self, wanted: dict[str, Any], key: str | None) -> None:
        self.world.submit(**wanted, idempotency_key=key)

    @rule(number=NUMBERS)
    def cancel_by_hand(self, number: int) -> None:
        self.world.cancel(number)

    @rule(number=NUMBERS)
    def delete_row(self, number: int) -> None:
        self.world.delete(number)

    @rule(number=NUMBERS, share=st.sampled_from(["0.05", "0.2", "1"]), rate=st.sampled_from(["0", "0.001", "0.0026"]))
    def change_rules(self, number: int, share: str, rate: str) -> None:
        costs = Costs(Decimal("0.0005"), Decimal(rate), Decimal(1))
        self.world.change_terms(number, max_position_size=Decimal(share), costs=costs)

    @rule(number=NUMBERS, capital=st.sampled_from([500, 10_000]))
    def make_portfolio(self, number: int, capital: int) -> None:
        self.world.create(number, capital)

    @rule(number=NUMBERS)
    def remove_portfolio(self, number: int) -> None:
        self.world.remove(number)

    @rule(
        factors=st.lists(st.sampled_from(["0.97", "0.999", "1", "1.002", "1.02"]), min_size=1, max_size=3),
        symbol=st.sampled_from(["BTC/USDT", "ETH/USDT"]),
        traded=st.sampled_from([None, "0.001", "0.05"]),
    )
    def prices_come(self, factors: list[str], symbol: str, traded: str | None) -> None:
        for factor in factors:
            self.world.quote(factor, symbol, traded)

    @rule(seconds=st.sampled_from([0.05, 0.5, 1, 2, 5, 31]))
    def time_passes(self, seconds: float) -> None:
        self.world.pass_by(seconds)

    @rule(steps=st.integers(1, 60))
    def step(self, steps: int) -> None:
        self.world.run(steps)

    @rule(actor=st.sampled_from(WORKERS))
    def crash(self, actor: str) -> None:
        self.world.crash(actor)

    @rule(moment=POINTS, count=COUNTS, error=st.sampled_from(ERRORS), steps=st.integers(0, 20))
    def raise_in_a_handler(self, moment: str, count: int, error: type[BaseException], steps: int) -> None:
        self.world.raise_at(moment, count, error)
        self.world.run(steps)

    @rule(
        moment=POINTS,
        count=COUNTS,
        meanwhile=st.integers(1, 120),
        actor=st.none() | st.sampled_from(WORKERS),
        steps=st.integers(0, 20),
    )
    def hang_in_a_handler(self, moment: str, count: int, meanwhile: int, actor: str | None, steps: int) -> None:
        self.world.hang_at(moment, count, meanwhile, actor)
        self.world.run(steps)

    @rule(number=NUMBERS, actor=st.sampled_from(WORKERS[2:]))
    def poison(self, number: int, actor: str) -> None:
        self.world.poison(number, actor)

    @rule(number=NUMBERS)
    def refuse_a_fill(self, number: int) -> None:
        self.world.refuse(number)

    @rule()
    def fail_a_commit(self) -> None:
        self.world.fail_commit()

    @rule()
    def lose_an_answer(self) -> None:
        self.world.lose_answer()

    @precondition(lambda self: not self.world.database.away)
    @rule(steps=st.integers(0, 30))
    def the_database_goes(self, steps: int) -> None:
        self.world.away()
        self.world.run(steps)

    @precondition(lambda self: self.world.database.away)
    @rule()
    def the_database_returns(self) -> None:
        self.world.away(False)

    @rule(zombie_steps=st.sampled_from([0, 0, 20]))
    def kill_the_process(self, zombie_steps: int) -> None:
        self.world.kill(zombie_steps)

    @rule()
    def stop_the_process(self) -> None:
        self.world.stop()

    def teardown(self) -> None:
        """Let everything settle; every caller has an answer then."""
        if hasattr(self, "world"):
            self.world.settle()
            self.on_settled(self.world)


def run(rounds: int, seed: int) -> Counters:
    """Let Hypothesis try so many sequences, drawn from ``seed``."""
    counters = Counters()

    class Counted(TradingMachine):
        @staticmethod
        def on_settled(world: World) -> None:
            counters.faults += world.injected
            counters.decisions += world.decisions
            counters.outcomes += world.outcomes

    profile = settings(
        max_examples=rounds,
        stateful_step_count=STEPS,
        deadline=None,
        database=None,
        report_multiple_bugs=False,
        derandomize=False,
        suppress_health_check=list(HealthCheck),
    )
    try:
        run_state_machine_as_test(hypothesis.seed(seed)(Counted), settings=profile)
    except Exception as error:  # noqa: BLE001 - any failure is reported with its seed
        law = getattr(error, "law", "")
        counters.lost += law == "lost"
        counters.doubled += law == "doubled"
        counters.unbalanced += law == "unbalanced"
        message = "\n".join([str(error), *getattr(error, "__notes__", [])])
        counters.repeat.append(f'{message}\nmake faults ARGS="--only machine --seed {seed} --rounds {rounds}"')
    return counters
