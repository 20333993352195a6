"""A portfolio's state as the columns of its tables round it, and what the target of a CANCEL is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import NamedTuple

from domain.immutable.maps import ImmutableMap
from domain.trading.arithmetic import CONTEXT
from domain.trading.decision import CancelTarget
from domain.trading.events import Event, OrderAmended
from domain.trading.open_orders.open_order import OpenOrder, OpenOrders, TrailingMark
from domain.trading.portfolio import NO_OPEN_ORDERS, PortfolioState, Progress
from domain.types import DecisionId, OrderStatus, PortfolioName

PRICE = Decimal("1e-18")
MONEY = Decimal("1e-12")


class OrderEntry(NamedTuple):
    """What a row of ``paper_orders`` says of the order's end."""

    portfolio: PortfolioName
    status: OrderStatus
    reason: str | None
    decision_id: DecisionId


def stored_state(portfolio: PortfolioState, before: PortfolioState) -> PortfolioState:
    """Return the portfolio rounded as its columns round, in place of the one that was stored before."""
    positions = {
        symbol: position._replace(
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
        with_progress(before, portfolio.progress),
        version=portfolio.version,
        cash=CONTEXT.quantize(portfolio.cash, MONEY),
        positions=ImmutableMap(positions),
        open_orders=_stored_orders(portfolio.open_orders),
        taken=ImmutableMap(taken),
        flows=portfolio.flows,
        price_source=portfolio.price_source,
        closed=portfolio.closed,
        replaced=portfolio.replaced,
    )


def with_progress(stored: PortfolioState, progress: Progress) -> PortfolioState:
    """Return a stored portfolio with its new progress: what that does not state stays."""
    before = stored.progress
    data_at, settled_no = progress.data_at or before.data_at, max(progress.settled_no, before.settled_no)
    behind = before.behind if progress.data_at is None else progress.behind
    return replace(stored, progress=Progress(data_at, settled_no, behind=behind))


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


def with_stored_marks(state: PortfolioState, present: PortfolioState, event: Event) -> PortfolioState:
    """Return a state with the marks of trailing orders as they are stored: only some events write them."""
    state = stored_state(state, present)
    orders, stated = state.open_orders, event.mark if isinstance(event, OrderAmended) else None
    for one in present.open_orders:
        after = orders.get(one.order.order_id)
        states_it = stated is not None and event.order.order_id == one.order.order_id
        if after is not None and after.trails and not states_it:
            orders = orders.updated(replace(after, mark=one.mark, mark_no=one.mark_no))
    return replace(state, open_orders=orders)


def with_stored_mark(state: PortfolioState, stored: OpenOrder) -> PortfolioState:
    """Return a state in which the order has the mark that is stored."""
    one = state.open_orders.get(stored.order.order_id)
    if one is None or not one.trails:
        return state
    orders = state.open_orders.updated(replace(one, mark=stored.mark, mark_no=stored.mark_no))
    return replace(state, open_orders=orders)


def marked(state: PortfolioState, marks: Sequence[TrailingMark]) -> PortfolioState:
    """Return a state with these marks of its trailing orders that wait for their trigger."""
    orders, by_id = state.open_orders, {mark.order_id: mark for mark in marks}
    for one in orders:
        mark = by_id.get(one.order.order_id)
        if mark is not None and one.trails and mark.data_no > one.since:
            orders = orders.updated(replace(one, mark=mark.mark, mark_no=mark.data_no))
    return replace(state, open_orders=orders)


def present_target(
    named: CancelTarget, target: str, own: bool, portfolio: str, status: str | None, reason: str | None
) -> CancelTarget:
    """Return the target of a CANCEL if it is of the same portfolio and has no ``status`` in which it has ended."""
    if not own:
        return CancelTarget(flaw=f"{target!r} is of portfolio {portfolio}")
    if status is not None:
        detail = (reason or "").removeprefix(f"{status}: ")
        return CancelTarget(flaw=f"already {status}{f': {detail}' if detail else ''}")
    return named
