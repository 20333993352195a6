"""Orders, which sizing makes of decisions, and fills, which the market makes of orders."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID, uuid5

from domain.trading.arithmetic import ONE
from domain.trading.instruments import Instrument
from domain.trading.quotes import Quote
from domain.types import DecisionId, Liquidity, OrderId, OrderType, PortfolioName, PositionId, PriceRule, Side

RULES_VERSION = 2
"""Version of the rules of `domain.trading.prices` and `execution`. Orders of version 1 were made before each stored its
price rule and its tick."""


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
class ExecutionRules:
    """The rules of an order's prices and of what one fill may take.

    Attributes:
        price_rule: which price a fill meets.
        max_touch_share: the share of the size at the touch that orders take without a size surcharge, a fraction.
    """

    price_rule: PriceRule = PriceRule.QUOTE
    max_touch_share: Decimal = ONE


DEFAULT_EXECUTION = ExecutionRules()
"""The rules of a new portfolio."""


@dataclass(frozen=True, slots=True)
class Order:
    """What is wanted: one leg of a decision, sized for one portfolio. The quote that fills it is no part of it.

    Attributes:
        seq: counts the portfolio's orders.
        costs: the portfolio's costs at sizing.
        execution: the portfolio's rules of execution at sizing.
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
    execution: ExecutionRules
    created_at: datetime
    strategy: str | None = None
    note: str = ""
    limit_price: Decimal | None = None


@dataclass(frozen=True, slots=True)
class NotFilled:
    """The reason why an order got no fill: a sentence for a person."""

    reason: str


@dataclass(frozen=True, slots=True)
class FillCosts:
    """The cost of a fill beside its commission, in money: by how much it is worse than a fill at the mark.

    Attributes:
        spread: from the mark to the base price.
        slippage: by the base rate of slippage and by rounding to the tick; negative where rounding or a limit saved
            more.
        size: the surcharge for what exceeds the size at the touch.
        random: by the random factor; negative where it was below 1.
    """

    spread: Decimal
    slippage: Decimal
    size: Decimal
    random: Decimal


@dataclass(frozen=True, slots=True)
class Fill:
    """One execution of all or part of an order, with the data that it was computed from.

    Attributes:
        price: the price of one unit.
        notional: quantity × price.
        slippage_rate: the drawn rate between base price and price, before rounding to the tick.
        slippage: quantity × the distance between price and base price, in money; a cost is positive.
        quote: the market data that it met.
        base_price: the price that it met, before slippage.
        touch_size: the quantity that it could take at the base price without a surcharge; None where unknown.
        liquidity: taker or maker.
        costs: how its cost is composed.
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
    base_price: Decimal
    touch_size: Decimal | None
    liquidity: Liquidity
    costs: FillCosts
