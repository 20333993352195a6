"""A portfolio's state as the columns of its tables round it."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from domain.immutable_map import ImmutableMap
from domain.trading.arithmetic import CONTEXT
from domain.trading.open_orders.open_order import OpenOrders
from domain.trading.portfolio import NO_OPEN_ORDERS, PortfolioRules, PortfolioState

PRICE = Decimal("1e-18")
MONEY = Decimal("1e-12")


def stored_state(portfolio: PortfolioState, rules: PortfolioRules) -> PortfolioState:
    """Return the portfolio rounded as its columns round."""
    positions = {
        symbol: replace(
            position,
            quantity=CONTEXT.quantize(position.quantity, PRICE),
            cost=CONTEXT.quantize(position.cost, MONEY),
            entry_commission=CONTEXT.quantize(position.entry_commission, MONEY),
            last_price=CONTEXT.quantize(position.last_price, PRICE),
        )
        for symbol, position in portfolio.positions.items()
    }
    taken = {
        symbol: of._replace(bought=CONTEXT.quantize(of.bought, PRICE), sold=CONTEXT.quantize(of.sold, PRICE))
        for symbol, of in portfolio.taken.items()
    }
    return replace(
        portfolio,
        rules=rules,
        cash=CONTEXT.quantize(portfolio.cash, MONEY),
        positions=ImmutableMap(positions),
        open_orders=_stored_orders(portfolio.open_orders),
        taken=ImmutableMap(taken),
    )


def _stored_orders(open_orders: OpenOrders) -> OpenOrders:
    """Return the open orders rounded as their columns round."""
    stored = NO_OPEN_ORDERS
    for one in sorted(open_orders, key=lambda one: one.order.seq):
        stored = stored.updated(
            replace(
                one,
                order=replace(one.order, quantity=CONTEXT.quantize(one.order.quantity, PRICE)),
                filled=CONTEXT.quantize(one.filled, PRICE),
                reserved=CONTEXT.quantize(one.reserved, MONEY),
                slippage=CONTEXT.quantize(one.slippage, MONEY),
            )
        )
    for symbol in {one.order.instrument.symbol for one in open_orders}:
        stored = stored.matched_up_to(symbol, open_orders.matched(symbol), open_orders.matched_at(symbol))
    return stored
