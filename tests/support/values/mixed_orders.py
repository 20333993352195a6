"""A seeded run of all order types: limit, stop, stop_limit, exits, partial fills, expiries, CANCELs and AMENDs."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

from domain.trading.arithmetic import multiply, round_to, storable
from domain.trading.bookkeeping import Result
from domain.trading.decision import CancelTarget, PendingDecision
from domain.trading.engine import Ended, Engine
from domain.trading.events import Filled
from domain.trading.instruments import InstrumentCatalog
from domain.trading.open_orders.open_order import OpenOrder
from domain.trading.open_orders.terms import OrderTerms
from domain.trading.portfolio import PortfolioState
from domain.trading.sizing import SizingRules
from domain.types import FeeRule, OrderType, TimeInForce
from tests.support.values.builders import NOON, instant, received
from tests.support.values.mixed_run import INSTRUMENTS as OF_MIXED_RUN
from tests.support.values.mixed_run import PORTFOLIOS as PORTFOLIOS_OF_MIXED_RUN
from tests.support.values.mixed_run import START, mixed_quote

INSTRUMENTS = [replace(one, maker_fee=Decimal("0.0016"), taker_fee=Decimal("0.0026")) for one in OF_MIXED_RUN]
PORTFOLIOS = [replace(PORTFOLIOS_OF_MIXED_RUN[0], fees=FeeRule.VENUE), *PORTFOLIOS_OF_MIXED_RUN[1:]]


def mixed_orders_run(seed: int, fills: int) -> Iterator[Result]:
    """Yield all results of random decisions until so many orders were filled, in whole or in part."""
    rng = random.Random(seed)
    engine = Engine(
        [PortfolioState.opened(row) for row in PORTFOLIOS],
        SizingRules(timedelta(seconds=10), timedelta(seconds=30), None, frozenset({"USDT"})),
    )
    engine.on_instruments(InstrumentCatalog(INSTRUMENTS), instant())
    number = count = 0
    while count < fills:
        number += 1
        now = instant(NOON + timedelta(seconds=number / 10))
        what = rng.choice(INSTRUMENTS)
        quote = replace(mixed_quote(rng, what.symbol, number / 10), is_trade=rng.random() < 0.5)
        happened = [*engine.on_quotes([quote], now), *engine.on_time(now)]
        happened += engine.on_decision(_decision(rng, engine, number, what.symbol), now)
        for result in _results(happened):
            count += isinstance(result.event, Filled)
            yield result


def _results(happened: Iterable[Ended]) -> Iterator[Result]:
    return (one for one in happened if isinstance(one, Result))


def _decision(rng: random.Random, engine: Engine, number: int, symbol: str) -> PendingDecision:
    """Return the next decision, most often of a symbol whose quote has just been seen."""
    at = instant(NOON + timedelta(seconds=number / 10))
    row = rng.choice(PORTFOLIOS)
    state = engine.state(row.portfolio)
    assert state is not None
    held = state.positions.get(symbol)  # type: ignore[call-overload]
    orders = list(state.open_orders)
    if orders and rng.random() < 0.15:
        return replace(_amend(rng, rng.choice(orders), number), received=at)
    if len(state.open_orders) > 20:
        cancel = received("CANCEL", number=number, symbol="*", portfolio=row.portfolio, confidence=1)
        return replace(cancel, received=at, target=CancelTarget())
    sells = held is not None and rng.random() < 0.5
    quantity = None
    if held is not None and sells and rng.random() < 0.7:
        quantity = storable(multiply(held.quantity, Decimal(rng.randint(1, 100)).scaleb(-2)))
    decision = received(
        "SELL" if sells else "BUY", number=number, symbol=symbol, portfolio=row.portfolio, quantity=quantity,
        confidence=Decimal(rng.randint(60, 100)).scaleb(-2),
    )  # fmt: skip
    return replace(decision, received=at, terms=_terms(rng, symbol, sells=sells, number=number))


def _amend(rng: random.Random, of: OpenOrder, number: int) -> PendingDecision:
    """Return an AMEND of an open order; it may be one that is refused."""
    order, tick = of.order, of.order.instrument.tick
    target = CancelTarget(order_id=order.order_id) if order.is_exit else CancelTarget(decision_id=order.decision_id)
    factor = Decimal(rng.randint(9_500, 10_500)).scaleb(-4)
    limit = round_to(multiply(order.limit_price, factor), tick) if order.limit_price is not None else None
    quantity = storable(multiply(order.quantity, Decimal(rng.randint(50, 120)).scaleb(-2))) if limit is None else None
    amend = received("AMEND", number=number, symbol="*", portfolio=order.portfolio, quantity=quantity)
    return replace(amend, target=target, terms=OrderTerms(limit_price=limit))


def _terms(rng: random.Random, symbol: str, *, sells: bool, number: int) -> OrderTerms:
    tick = next(one for one in INSTRUMENTS if one.symbol == symbol).tick
    middle = next(price for name, price in START.items() if name == symbol)

    def price() -> Decimal:
        return max(round_to(multiply(middle, Decimal(rng.randint(6_000, 18_000)).scaleb(-4)), tick), tick)

    kind = rng.choice((OrderType.MARKET, OrderType.LIMIT, OrderType.LIMIT, OrderType.STOP, OrderType.STOP_LIMIT))
    terms = OrderTerms(kind)
    if kind in {OrderType.LIMIT, OrderType.STOP_LIMIT}:
        terms = replace(terms, limit_price=price())
    if kind in {OrderType.STOP, OrderType.STOP_LIMIT}:
        terms = replace(terms, stop_price=price())
    if kind is OrderType.LIMIT:
        terms = replace(terms, time_in_force=rng.choice((None, None, TimeInForce.IOC, TimeInForce.FOK)))
    if kind is not OrderType.MARKET and terms.time_in_force is None and rng.random() < 0.3:
        expires_at = NOON + timedelta(seconds=number / 10 + rng.randint(1, 60))
        terms = replace(terms, time_in_force=TimeInForce.GTD, expires_at=expires_at)
    if kind is OrderType.LIMIT and terms.time_in_force is None:
        terms = replace(terms, post_only=rng.random() < 0.2)
    if not sells and rng.random() < 0.5:
        terms = replace(terms, stop_loss_pct=Decimal("0.1"), take_profit_pct=Decimal("0.2"))
    return terms
