"""A sized order at the market: it is filled, rests, or is refused."""

from __future__ import annotations

from domain.trading.decision import Reason, Refusal
from domain.trading.events import OrderAccepted, SizedOrder
from domain.trading.open_orders.matching import IMMEDIATE, match_market_order, take_at_once, unplaced
from domain.trading.open_orders.open_order import OpenOrder
from domain.trading.open_orders.step import StepOfPortfolio, first_mark
from domain.trading.orders import Fill, NotFilled
from domain.types import OrderStatus, OrderType

MARKET, LIMIT = OrderType.MARKET, OrderType.LIMIT


def place(step: StepOfPortfolio, sized: SizedOrder) -> Refusal | None:
    """Fill a new order, or let it rest; return the refusal if it does neither."""
    order, quote, at = sized.order, sized.sizing.quote, step.now.time
    if order.order_type is MARKET:
        event = match_market_order(sized, at)
        if isinstance(event, Refusal):
            return event
        step.fill(order, event.fill, event)
        return None
    open_order = OpenOrder(order, step.last_data)
    take: Fill | NotFilled = NotFilled("it waits for its trigger")
    if order.order_type is LIMIT:
        take = take_at_once(open_order, quote, sized.sizing.taken, at)
    if (refusal := unplaced(open_order, take, quote, at)) is not None:
        return refusal
    reserved = open_order.cash_needed()
    first = first_mark(order, quote)
    accepted = step.add(OrderAccepted(step.version, order, sized.sizing, reserved, step.last_data, at, first))
    if isinstance(take, Fill):
        step.fill(accepted.order, take)
    rest = step.state.open_orders.get(order.order_id)
    if order.time_in_force in IMMEDIATE and rest is not None:
        step.end(rest, OrderStatus.CANCELLED, Reason.NO_VOLUME, "no more was offered within the limit")
    return None
