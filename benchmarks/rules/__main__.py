"""``python -m benchmarks.rules [--repeats N]``: microseconds that the rules of one decision cost, by step and together.

No actor and no database: the functions of `domain.trading` and an `Engine`, in one thread. The steps are measured on
what one run of market orders has recorded; the ways through an `Engine` with market data and decisions made before.
Each number is of blocks of some 200 decisions: the fastest block, which no other process has disturbed, and the median.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import TypeVar
from uuid import NAMESPACE_OID, UUID, uuid5

from domain.trading.bookkeeping import apply
from domain.trading.decision import PendingDecision, Refusal
from domain.trading.engine import Engine
from domain.trading.events import SizedOrder
from domain.trading.execution import slippage_draw
from domain.trading.instruments import Instrument, InstrumentCatalog
from domain.trading.open_orders.matching import match_market_order
from domain.trading.open_orders.terms import MARKET, OrderTerms
from domain.trading.orders import Costs, order_id
from domain.trading.portfolio import PortfolioRules, PortfolioState
from domain.trading.quotes import Bar, Quote
from domain.trading.sizing import SizingRules, pre_trade_check, size
from domain.types import Action, Instant, PortfolioName, Symbol

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
PORTFOLIO = PortfolioName("default")
RULES = PortfolioRules(
    PORTFOLIO,
    "USDT",
    Decimal(1_000_000),
    Costs(Decimal("0.0005"), Decimal("0.001"), Decimal(1)),
    max_position_size=Decimal("0.2"),
    decision_confidence_threshold=Decimal("0.6"),
    min_notional=Decimal(10),
    default_risk_score=Decimal("0.3"),
)
SIZING = SizingRules(timedelta(seconds=1), timedelta(seconds=30), None, frozenset({"USD", "USDT"}))
BRACKET = OrderTerms(stop_loss_pct=Decimal("0.02"), take_profit_pct=Decimal("0.03"))
DECISIONS = 4_000
POSITIONS = 500
ROUNDS = 8
"""Of decisions for each of the positions."""


def symbol_of(number: int) -> Symbol:
    return Symbol(f"S{number:03}/USDT")


def instrument_of(number: int) -> Instrument:
    return Instrument(symbol_of(number), "USDT", Decimal("0.01"), Decimal("0.00000001"))


def instant(number: int) -> Instant:
    return Instant(NOON + timedelta(minutes=number), 60.0 * number)


def price_at(number: int) -> Decimal:
    """Return a price that goes up and down by about a percent, with two decimals."""
    return Decimal(10_000 + (number * 7919) % 211).scaleb(-2)


def quote(number: int, symbol: int = 0) -> Quote:
    """Return the open of a bar as a backtest shows it: numbered, and without bid and ask."""
    now = instant(number)
    return Quote(
        symbol_of(symbol), price_at(number + symbol), now.time, now, "benchmark", real=True, is_trade=True,
        data_no=2 * number + 1,
    )  # fmt: skip


def decision(
    number: int, uid: UUID, action: Action, symbol: int = 0, quantity: Decimal | None = None, terms: OrderTerms = MARKET
) -> PendingDecision:
    now = instant(number)
    return PendingDecision(
        number, uid, symbol_of(symbol), action, Decimal("0.8"), None, quantity, "benchmark", PORTFOLIO, now.time, None,
        now, terms=terms,
    )  # fmt: skip


def uids(count: int) -> list[UUID]:
    return [uuid5(NAMESPACE_OID, f"decision {number}") for number in range(count)]


def engine(symbols: int = 1) -> Engine:
    traded = Engine([PortfolioState.opened(RULES)], SIZING)
    traded.on_instruments(InstrumentCatalog(instrument_of(number) for number in range(symbols)), instant(0))
    return traded


def side(number: int) -> Action:
    return Action.SELL if number % 2 else Action.BUY


@dataclass(frozen=True, slots=True)
class Block:
    """What is measured at once: the calls, and how many decisions they are for."""

    call: Callable[[], object]
    decisions: int


BLOCK = 200
Item = TypeVar("Item")


def blocks(call: Callable[[Sequence[Item]], object], inputs: Sequence[Item]) -> list[Block]:
    """Divide inputs, one for each decision, into blocks."""
    parts = [inputs[begin : begin + BLOCK] for begin in range(0, len(inputs), BLOCK)]
    return [Block(partial(call, part), len(part)) for part in parts]


def market_orders(traded: Engine, inputs: Sequence[tuple[Quote, PendingDecision]]) -> None:
    """A quote and a decision in turn; each is filled at once."""
    for seen, one in inputs:
        traded.on_quotes((seen,), seen.seen)
        assert traded.on_decision(one, one.received)[0].state.version  # type: ignore[union-attr]


def prepared_market_orders() -> list[Block]:
    ids = uids(DECISIONS)
    inputs = [(quote(number), decision(number, ids[number], side(number))) for number in range(DECISIONS)]
    return blocks(partial(market_orders, engine()), inputs)


def brackets(traded: Engine, inputs: Sequence[tuple[Quote, PendingDecision, Bar]]) -> None:
    """A BUY with a stop and a target, then a bar that reaches one of the two."""
    for seen, one, bar in inputs:
        traded.on_quotes((seen,), seen.seen)
        opened = traded.on_decision(one, one.received)
        closed = traded.on_bar(bar, bar.seen)
        assert len(opened) == 3, opened
        assert closed, bar


def prepared_brackets() -> list[Block]:
    inputs = []
    ids = uids(DECISIONS // 2)
    for number in range(0, DECISIONS, 2):
        seen, after = quote(number), instant(number + 1)
        far = seen.price * (Decimal("1.04") if number % 4 else Decimal("0.97"))
        low, high = sorted((seen.price, far))
        bar = Bar(
            symbol=seen.symbol, open=seen.price, high=high, low=low, close=far, begin=seen.seen.time, end=after.time,
            seen=after, source="benchmark", real=True, data_no=2 * number + 2,
        )  # fmt: skip
        inputs.append((seen, decision(number, ids[number // 2], Action.BUY, terms=BRACKET), bar))
    return blocks(partial(brackets, engine()), inputs)


def rebalancing(traded: Engine, quotes: Sequence[Quote], decisions: Sequence[PendingDecision]) -> None:
    """Quotes of all symbols at once, then a decision for each of them."""
    traded.on_quotes(quotes, quotes[0].seen)
    for one in decisions:
        assert traded.on_decision(one, one.received)[0].state.version  # type: ignore[union-attr]


def prepared_rebalancing() -> list[Block]:
    ids = iter(uids(POSITIONS * (ROUNDS + 1)))
    numbers = range(POSITIONS)

    def of_round(turn: int) -> tuple[list[Quote], list[PendingDecision]]:
        quotes = [quote(turn, symbol) for symbol in numbers]
        amount = Decimal(10 if turn == 0 else 1)
        action = Action.BUY if turn == 0 else side(turn)
        return quotes, [decision(turn, next(ids), action, symbol, amount) for symbol in numbers]

    traded = engine(POSITIONS)
    rebalancing(traded, *of_round(0))  # opens the positions
    return [Block(partial(rebalancing, traded, *of_round(1 + turn)), POSITIONS) for turn in range(ROUNDS)]


class Recorded:
    """The inputs of each step in one run of market orders."""

    def __init__(self) -> None:
        self.instrument = instrument_of(0)
        self.decisions = [decision(number, uid, side(number)) for number, uid in enumerate(uids(DECISIONS))]
        self.sized: list[Callable[[], object]] = []
        self.matched: list[Callable[[], object]] = []
        self.applied: list[Callable[[], object]] = []
        state = PortfolioState.opened(RULES)
        for number, one in enumerate(self.decisions):
            seen, now = quote(number), one.received.time
            marks = {seen.symbol: seen.price}
            equity = state.equity(marks)
            self.sized.append(partial(size, one, state, self.instrument, seen, equity, marks, now))
            order = size(one, state, self.instrument, seen, equity, marks, now)
            assert isinstance(order, SizedOrder)
            self.matched.append(partial(match_market_order, order, now))
            event = match_market_order(order, now)
            assert not isinstance(event, Refusal)
            self.applied.append(partial(apply, state, event))
            state = apply(state, event).state

    def steps(self) -> Iterator[tuple[str, Callable[[], list[Block]]]]:
        """Yield each step with what makes the blocks of it."""
        checked = [partial(pre_trade_check, one, RULES, self.instrument, frozenset()) for one in self.decisions]
        made = [partial(decision, one.id, one.uid, one.action) for one in self.decisions]  # type: ignore[arg-type]
        steps = {
            "the quote and its times": [partial(quote, number) for number in range(DECISIONS)],
            "the decision and its times": made,
            "pre_trade_check": checked,
            "size": self.sized,
            "(of it: order_id)": [partial(order_id, one.uid, 1) for one in self.decisions],
            "match": self.matched,
            "(of it: slippage_draw)": [partial(slippage_draw, order_id(one.uid, 1)) for one in self.decisions],
            "apply": self.applied,
        }
        for name, calls in steps.items():
            yield name, partial(blocks, call_all, calls)


def call_all(calls: Sequence[Callable[[], object]]) -> None:
    for call in calls:
        call()


def measured(prepare: Callable[[], list[Block]], repeats: int) -> list[float]:
    """Return the CPU time in microseconds of a decision of each block, in rising order."""
    taken = []
    for _ in range(repeats):
        for block in prepare():
            began = time.process_time()
            block.call()
            taken.append((time.process_time() - began) / block.decisions * 1e6)
    return sorted(taken)


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.rules", description=__doc__)
    parser.add_argument("--repeats", type=int, default=7)
    repeats = parser.parse_args().repeats
    ways = {
        "Engine: market order (quote + decision)": prepared_market_orders,
        "Engine: BUY with stop and target, closed": prepared_brackets,
        f"Engine: market order, {POSITIONS} positions": prepared_rebalancing,
    }
    print(f"{'µs a decision':<42} {'min':>7} {'median':>7}")
    for name, prepare in (*Recorded().steps(), *ways.items()):
        taken = measured(prepare, repeats)
        print(f"{name:<42} {taken[0]:>7.2f} {statistics.median(taken):>7.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
