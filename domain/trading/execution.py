"""Execution: slippage, price, commission and cost of a fill.

The random factor of a fill, its draw U, depends on the order's id alone, so the same order always gets the same
slippage.
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from domain.trading.arithmetic import ONE, ZERO, absolute, add, divide, money, multiply, plain, subtract
from domain.trading.orders import Costs, Fill, NotFilled, Order, SlippageFactors
from domain.trading.prices import BasePrice, base_price, round_price
from domain.trading.quotes import Quote
from domain.types import BUY, MAKER, TAKER, Liquidity, OrderId, OrderType, PriceRule, Side

MARKET = OrderType.MARKET
TYPE_FACTOR = {
    OrderType.MARKET: Decimal(2),
    OrderType.STOP: Decimal(2),
    OrderType.TRAILING_STOP: Decimal(2),
    OrderType.LIMIT: Decimal("0.5"),
    OrderType.STOP_LIMIT: Decimal("0.5"),
}
"""By type: a triggered stop order is a market order, a triggered stop_limit order is a limit order."""
LARGE_NOTIONAL = Decimal(100_000)
"""In dollars: what exceeds the size at the touch by so much has twice the slippage."""
MAX_SIZE_SURCHARGE = Decimal(4)
MIN_SLIPPAGE_DRAW = Decimal("0.5")
MAX_SLIPPAGE_DRAW = Decimal("1.5")
DRAWS = Decimal(2**64)


def slippage_draw(order_id: OrderId) -> Decimal:
    """Return U of an order, in [0.5, 1.5): 0.5 + (first 8 bytes of SHA-256 of its id) / 2⁶⁴."""
    digest = hashlib.sha256(str(order_id).encode()).digest()
    return add(MIN_SLIPPAGE_DRAW, divide(Decimal(int.from_bytes(digest[:8])), DRAWS))


def slippage_rate(
    surcharged: Decimal, slippage_pct: Decimal, order_type: OrderType, u: Decimal, dollar: Decimal = ONE
) -> Decimal:
    """Return the fraction by which the price moves against the order, to 1e-12.

    Args:
        surcharged: see `surcharged_notional`; a larger order has more slippage.
        slippage_pct: the portfolio's setting, a fraction.
        order_type: a market order has four times the slippage of a limit order.
        u: the draw, see `slippage_draw`.
        dollar: see `domain.trading.orders.Costs`.
    """
    return SlippageFactors(slippage_pct, TYPE_FACTOR[order_type], size_factor(surcharged, dollar), u).rate


def slippage_factors(order: Order, quantity: Decimal, base: BasePrice) -> SlippageFactors:
    """Return the factors of the slippage of a fill at a base price."""
    costs = order.costs
    surcharge = size_factor(surcharged_notional(quantity, base), costs.dollar)
    return SlippageFactors(costs.slippage_pct, TYPE_FACTOR[order.order_type], surcharge, slippage_draw(order.order_id))


def size_factor(surcharged: Decimal, dollar: Decimal = ONE) -> Decimal:
    """Return the factor by which size raises slippage: 1 + value in dollars / 100 000, at most 5.

    Args:
        surcharged: see `surcharged_notional`.
        dollar: see `domain.trading.orders.Costs`.
    """
    surcharge = divide(surcharged, LARGE_NOTIONAL if dollar is ONE else multiply(LARGE_NOTIONAL, dollar))
    return add(ONE, min(surcharge, MAX_SIZE_SURCHARGE))


def unrounded_price(side: Side, base: Decimal, slip: Decimal) -> Decimal:
    """Return the price of an order at slippage rate ``slip``, before it is rounded to the tick."""
    return multiply(base, add(ONE, slip) if side is BUY else subtract(ONE, slip))


def slippage_price(side: Side, base: Decimal, slip: Decimal, tick: Decimal, rule: PriceRule) -> Decimal:
    """Return the fill price of an order at slippage rate ``slip``, rounded to the tick as the price rule says.

    By `PriceRule.QUOTE` a SELL never gets less than one tick, unless the base price is below it.
    """
    price = round_price(unrounded_price(side, base, slip), side, tick, rule)
    return tick if price == ZERO and rule is PriceRule.QUOTE and base >= tick else price


class Part(NamedTuple):
    """The part of an order that one fill takes.

    Attributes:
        fill_no: counts the fills of the order.
        charged: Σ notional × commission rate of the fills before, not rounded.
        paid: the commission that they paid, in money.
        ambiguous: see `Fill.ambiguous`.
    """

    quantity: Decimal
    fill_no: int = 1
    charged: Decimal = ZERO
    paid: Decimal = ZERO
    ambiguous: bool = False

    def commission(self, side: Side, notional: Decimal, costs: Costs, liquidity: Liquidity) -> Decimal:
        """Return what its fill pays, in money: what is due after it, less what was paid before.

        A SELL pays at most its proceeds, so that no commission takes the cash below zero; what it could not pay stays
        due at the next fill, and is waived at the order's end.
        """
        due = subtract(commission_due(add(self.charged, charge(notional, costs, liquidity)), costs), self.paid)
        owed = max(due, ZERO)
        return owed if side is BUY or owed <= notional else notional


def charge(notional: Decimal, costs: Costs, liquidity: Liquidity) -> Decimal:
    """Return the commission of a fill by its rate alone, not rounded."""
    return multiply(notional, costs.rate(liquidity))


def commission_due(charged: Decimal, costs: Costs) -> Decimal:
    """Return the commission of an order whose fills were charged this much by the rate, in money."""
    due, minimum = money(charged), costs.min_commission
    return max(due, minimum)


def commission(side: Side, notional: Decimal, costs: Costs) -> Decimal:
    """Return the commission of an order that takes at once with this notional at the fill price, in money."""
    due = commission_due(charge(notional, costs, TAKER), costs)
    return due if side is BUY else min(due, notional)


def slippage_amount(quantity: Decimal, price: Decimal, base: Decimal) -> Decimal:
    """Return the quantity × the distance between a fill's price and its base price, in money."""
    return money(multiply(quantity, absolute(subtract(price, base))))


def surcharged_notional(quantity: Decimal, base: BasePrice) -> Decimal:
    """Return the value of what exceeds the size at the touch, in money; of all of it where that size is unknown."""
    price, size = base
    rest = quantity if size is None else max(subtract(quantity, size), ZERO)
    return money(multiply(rest, price))


def worst_cost(quantity: Decimal, base: BasePrice, tick: Decimal, costs: Costs, rule: PriceRule) -> Decimal:
    """Return the highest possible cost of buying ``quantity`` at market, with commission, in money."""
    surcharged = surcharged_notional(quantity, base)
    slip = slippage_rate(surcharged, costs.slippage_pct, MARKET, MAX_SLIPPAGE_DRAW, costs.dollar)
    notional = money(multiply(quantity, slippage_price(BUY, base.price, slip, tick, rule)))
    return add(notional, commission(BUY, notional, costs))


def fill_order(order: Order, quote: Quote, filled_at: datetime, taken: Decimal = ZERO) -> Fill | NotFilled:
    """Fill the whole order from one quote.

    Args:
        order: the order.
        quote: the market data.
        filled_at: the time of the fill.
        taken: the quantity that earlier orders of the portfolio took from this quote on this side.

    Returns:
        The fill; `NotFilled` where slippage takes the price to zero, since no market has such a price.
    """
    base = base_price(quote, order.side, order.execution, taken)
    return fill_at(order, Part(order.quantity), quote, base, filled_at)


def fill_at(order: Order, part: Part, quote: Quote, base: BasePrice, filled_at: datetime) -> Fill | NotFilled:
    """Fill a part of an order at a base price, as a taker.

    Args:
        order: the order.
        part: the part.
        quote: the market data.
        base: the price that the order meets in the quote, before slippage, and the quantity offered there.
        filled_at: the time of the fill.

    Returns:
        The fill; `NotFilled` where slippage takes the price to zero, since no market has such a price.
    """
    side, rule, quantity = order.side, order.execution.price_rule, part.quantity
    factors = slippage_factors(order, quantity, base)
    slip = factors.rate
    price = slippage_price(side, base.price, slip, order.instrument.tick, rule)
    if order.limit_price is not None:
        better = min if side is BUY else max
        price = better(price, order.limit_price)
    if price <= ZERO:
        return NotFilled(f"slippage takes the price {plain(base.price)} to {plain(price)}")
    notional = money(multiply(quantity, price))
    commission_paid = part.commission(side, notional, order.costs, TAKER)
    slippage = slippage_amount(quantity, price, base.price)
    return Fill(
        part.fill_no, quantity, price, notional, commission_paid, slip, slippage, quote, filled_at, base.price,
        base.size, TAKER, side, rule, factors, part.ambiguous,
    )  # fmt: skip


def provide(order: Order, part: Part, quote: Quote, filled_at: datetime) -> Fill:
    """Fill a part of a resting order as a maker: at its limit and without slippage."""
    price = order.limit_price
    assert price is not None  # only limit orders rest as makers
    notional = money(multiply(part.quantity, price))
    return Fill(
        fill_no=part.fill_no,
        quantity=part.quantity,
        price=price,
        notional=notional,
        commission=part.commission(order.side, notional, order.costs, MAKER),
        slippage_rate=ZERO,
        slippage=ZERO,
        quote=quote,
        filled_at=filled_at,
        base_price=price,
        touch_size=None,
        liquidity=MAKER,
        side=order.side,
        price_rule=order.execution.price_rule,
        factors=None,
        ambiguous=part.ambiguous,
    )
