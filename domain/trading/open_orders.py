"""Open orders: what of an order is filled, what it has paid, and what it holds back."""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal

from domain.trading.arithmetic import ZERO, add, divide, money, multiply, subtract
from domain.trading.execution import BasePrice, worst_cost
from domain.trading.orders import Costs, Fill, Order
from domain.types import OrderType, Side

STOPS = frozenset({OrderType.STOP, OrderType.STOP_LIMIT, OrderType.TRAILING_STOP})
"""Types that wait for a trigger."""


@dataclass(frozen=True, slots=True)
class OpenOrder:
    """An order that rests in the market, filled in part or not at all.

    Attributes:
        since: number of the market data after which it can be matched.
        filled: quantity filled so far.
        fills: number of its fills.
        notional: Σ notional of its fills.
        charged: Σ notional × commission rate of its fills, not rounded.
        paid: commission paid so far.
        reserved: the cash that it holds back; 0 for a SELL.
        triggered: a stop order has been triggered.
    """

    order: Order
    since: int
    filled: Decimal = ZERO
    fills: int = 0
    notional: Decimal = ZERO
    charged: Decimal = ZERO
    paid: Decimal = ZERO
    reserved: Decimal = ZERO
    triggered: bool = False

    @property
    def remaining(self) -> Decimal:
        """The quantity that is not filled yet."""
        return subtract(self.order.quantity, self.filled)

    @property
    def average_price(self) -> Decimal | None:
        """The average price of its fills, for display and for exits; None without a fill."""
        return divide(self.notional, self.filled) if self.filled else None

    @property
    def waits_for_trigger(self) -> bool:
        """Whether it is a stop order that has not been triggered."""
        return not self.triggered and self.order.order_type in STOPS

    @property
    def open_notional(self) -> Decimal:
        """What the rest is worth at its own price, in money: it counts against the position limit of a BUY."""
        price = self.order.own_price
        return money(multiply(self.remaining, price)) if price is not None else ZERO

    @property
    def held_back(self) -> Decimal:
        """The quantity that it holds back: that of a SELL of its own decision; an exit holds back nothing."""
        return self.remaining if self.order.side is Side.SELL and not self.order.is_exit else ZERO

    def after(self, fill: Fill) -> OpenOrder:
        """Return it after one more fill; its reservation is computed anew for the rest."""
        after = replace(
            self,
            filled=add(self.filled, fill.quantity),
            fills=self.fills + 1,
            notional=add(self.notional, fill.notional),
            charged=add(self.charged, charge(fill.notional, self.order.costs)),
            paid=add(self.paid, fill.commission),
        )
        return replace(after, reserved=after.cash_needed())

    def cash_needed(self) -> Decimal:
        """Return the cash that the rest needs at most, with commission: what it must hold back."""
        if self.order.side is Side.SELL or self.remaining == ZERO:
            return ZERO
        if self.order.limit_price is not None:
            notional = money(multiply(self.remaining, self.order.limit_price))
            due = commission_due(add(self.charged, charge(notional, self.order.costs)), self.order.costs)
            return add(notional, max(subtract(due, self.paid), ZERO))
        assert self.order.stop_price is not None  # an order without any price does not rest
        base, costs = BasePrice(self.order.stop_price), self.order.costs
        return worst_cost(self.remaining, base, self.order.instrument.tick, costs, self.order.execution.price_rule)

    def commission_of(self, notional: Decimal) -> Decimal:
        """Return what the next fill pays, in money: what is due after it less what was paid before.

        A SELL pays at most its notional; the rest stays due at its next fill, and is waived at its end.
        """
        due = commission_due(add(self.charged, charge(notional, self.order.costs)), self.order.costs)
        owed = max(subtract(due, self.paid), ZERO)
        return owed if self.order.side is Side.BUY else min(owed, notional)


def charge(notional: Decimal, costs: Costs) -> Decimal:
    """Return the commission of a fill by the rate alone, not rounded."""
    return multiply(notional, costs.commission_pct)


def commission_due(charged: Decimal, costs: Costs) -> Decimal:
    """Return the commission of an order whose fills were charged this much by the rate, in money."""
    return max(money(charged), costs.min_commission)
