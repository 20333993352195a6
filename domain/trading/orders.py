"""Orders, which the Sizer creates from decisions, and fills, which the ExecutionSimulator creates from orders."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID, uuid5

from domain.trading.instruments import Instrument
from domain.trading.quotes import Quote
from domain.types import DecisionId, OrderId, OrderType, PortfolioName, PositionId, Side, Symbol


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
    """One leg of a decision, sized for one portfolio, with all data that its fill needs.

    Attributes:
        seq: counts the portfolio's orders in the order in which they were sized.
        quote: the quote that sizing used and the fill uses.
        costs: the portfolio's costs at sizing.
        revision: revision of the portfolio's row in ``paper_trading_config`` at sizing.
        equity: the portfolio's equity at sizing.
        marks: prices of the other positions in that equity.
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
    quote: Quote
    costs: Costs
    revision: int
    equity: Decimal
    marks: Mapping[Symbol, Decimal]
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
        base_price: the market's price before slippage.
        notional: quantity × price.
        slippage_rate: the drawn rate between base price and price, before rounding to the tick.
        slippage: quantity × the distance between price and base price, in money; a cost is positive.
    """

    order: Order
    fill_no: int
    quantity: Decimal
    price: Decimal
    notional: Decimal
    commission: Decimal
    slippage_rate: Decimal
    slippage: Decimal
    filled_at: datetime

    @property
    def base_price(self) -> Decimal:
        """The market's price before slippage."""
        return self.order.quote.price
