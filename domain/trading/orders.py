"""Orders, which sizing makes of decisions, and fills, which the market makes of orders."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID, uuid5

from domain.trading.instruments import Instrument
from domain.trading.quotes import Quote
from domain.types import DecisionId, OrderId, OrderType, PortfolioName, PositionId, Side


def order_id(decision_uid: UUID, leg: int) -> OrderId:
    """Return the id of the order for one leg of a decision: always the same one for the same decision."""
    return OrderId(uuid5(decision_uid, str(leg)))


def position_id(opening_order: OrderId) -> PositionId:
    """Return the id of the position that ``opening_order`` opens."""
    return PositionId(uuid5(opening_order, "position"))


@dataclass(frozen=True, slots=True)
class Costs:
    """Trading costs: fractions of the notional, and the minimum commission of an order in money."""

    slippage_pct: Decimal
    commission_pct: Decimal
    min_commission: Decimal


@dataclass(frozen=True, slots=True)
class Order:
    """What is wanted: one leg of a decision, sized for one portfolio. The quote that fills it is no part of it.

    Attributes:
        seq: counts the portfolio's orders.
        costs: the portfolio's costs at sizing.
        note: an addition to the outcome's reason; usually empty.
        limit_price: the worst price allowed; None for a market order.
    """

    order_id: OrderId
    decision_id: DecisionId
    portfolio: PortfolioName
    leg: int
    seq: int
    instrument: Instrument
    side: Side
    order_type: OrderType
    quantity: Decimal
    costs: Costs
    created_at: datetime
    strategy: str | None = None
    note: str = ""
    limit_price: Decimal | None = None


@dataclass(frozen=True, slots=True)
class NotFilled:
    """The reason why an order got no fill: a sentence for a person."""

    reason: str


@dataclass(frozen=True, slots=True)
class Fill:
    """One execution of all or part of an order, with the data that it was computed from.

    Attributes:
        price: the price of one unit.
        notional: quantity × price.
        slippage_rate: the drawn rate between base price and price, before rounding to the tick.
        slippage: quantity × the distance between price and base price, in money; a cost is positive.
        quote: the market data that it met; its price is the base price, before slippage.
    """

    fill_no: int
    quantity: Decimal
    price: Decimal
    notional: Decimal
    commission: Decimal
    slippage_rate: Decimal
    slippage: Decimal
    quote: Quote
    filled_at: datetime
