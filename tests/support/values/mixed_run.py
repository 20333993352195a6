"""A seeded run of many fills: several portfolios under both price rules, quotes with and without bid, ask and sizes."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

from domain.trading.arithmetic import multiply, storable
from domain.trading.bookkeeping import Result
from domain.trading.engine import Engine
from domain.trading.instruments import InstrumentCatalog
from domain.trading.orders import ExecutionRules
from domain.trading.portfolio import PortfolioState
from domain.trading.quotes import Quote
from domain.trading.sizing import SizingRules
from domain.types import PriceRule, Symbol
from tests.support.values.builders import NOON, costs, instant, instrument, received, rules

QUOTE, LAST = PriceRule.QUOTE, PriceRule.LAST

INSTRUMENTS = [
    instrument("BTC/USDT", tick="0.01", step="0.00001"),
    instrument("ETH/USDT", tick="0.05", step="0.0001"),
    instrument("DOGE/USDT", tick="0.00001", step="1"),
    instrument("PEPE/USDT", tick="0.00000001", step="1"),
    instrument("ODD/USDT", tick="0.000000000001", step="0.00000001"),
]
START = dict(
    zip((what.symbol for what in INSTRUMENTS), map(Decimal, ("100000", "3000", "0.1", "1e-7", "7")), strict=True)
)
PORTFOLIOS = [
    replace(
        rules(
            f"p{number}", initial_capital=10 ** (4 + number % 3),
            costs=costs(slippage, commission, minimum), max_position_size="0.5", min_notional=0,
        ),
        execution=ExecutionRules(rule, Decimal(share)),
    )
    for number, (rule, slippage, commission, minimum, share) in enumerate([
        (QUOTE, "0.0005", "0.001", "1", "1"),
        (QUOTE, "0.000123456789012345", "0.00075", "0.123456789012", "0.333333333333333333"),
        (QUOTE, "0", "0", "0", "0"),
        (LAST, "0.0005", "0.001", "1", "1"),
        (LAST, "0.003", "0.0025", "0", "0.5"),
        (QUOTE, "0.01", "0.1", "5", "0.1"),
    ])
]  # fmt: skip


def mixed_quote(rng: random.Random, symbol: Symbol, at: float) -> Quote:
    """Return a quote with or without bid, ask and sizes; now and then bid and ask are crossed."""
    what = next(one for one in INSTRUMENTS if one.symbol == symbol)
    last = storable(multiply(START[symbol], Decimal(rng.randint(5_000, 20_000)).scaleb(-4)))

    def beside(ticks: int) -> Decimal | None:
        price = last + ticks * what.tick
        return price if rng.random() < 0.8 and price > 0 else None

    def size() -> Decimal | None:
        return Decimal(rng.randint(0, 10**9)).scaleb(-rng.choice((0, 6, 18))) if rng.random() < 0.7 else None

    spread = rng.choice((0, 1, 3, 50))
    bid, ask = beside(-spread + rng.choice((0, 0, 20))), beside(spread)
    time = instant(NOON + timedelta(seconds=at))
    return Quote(
        symbol, last, time.time, time, "test", real=True, bid=bid, ask=ask,
        bid_size=size(), ask_size=size(), last_size=size(),
    )  # fmt: skip


def mixed_run(seed: int, fills: int) -> Iterator[Result]:
    """Yield the fills of random decisions in several portfolios at random quotes."""
    rng = random.Random(seed)
    engine = Engine(
        [PortfolioState.opened(row) for row in PORTFOLIOS],
        SizingRules(timedelta(seconds=10), timedelta(seconds=30), None, frozenset({"USDT"})),
    )
    engine.on_instruments(InstrumentCatalog(INSTRUMENTS), instant())
    number = count = 0
    while count < fills:
        at = number / 10
        symbol = rng.choice(INSTRUMENTS).symbol
        engine.on_quotes([mixed_quote(rng, symbol, at)], instant(NOON + timedelta(seconds=at)))
        for _ in range(rng.choice((1, 1, 1, 4))):  # several orders take from one quote
            number += 1
            portfolio = rng.choice(PORTFOLIOS).portfolio
            state = engine.state(portfolio)
            assert state is not None
            held = state.positions.get(symbol)
            sells = held is not None and rng.random() < 0.6
            quantity = None
            if held is not None and sells and rng.random() < 0.5:
                quantity = storable(multiply(held.quantity, Decimal(rng.randint(1, 100)).scaleb(-2)))
            decision = replace(
                received(
                    "SELL" if sells else "BUY", number=number, symbol=symbol, portfolio=portfolio, quantity=quantity,
                    confidence=Decimal(rng.randint(60, 100)).scaleb(-2),
                ),
                received=instant(NOON + timedelta(seconds=at)),
            )  # fmt: skip
            for ended in engine.on_decision(decision, decision.received):
                if isinstance(ended, Result):
                    count += 1
                    yield ended
