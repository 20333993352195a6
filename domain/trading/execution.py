"""Matching of an order with the market: slippage, fill price and commission.

The random factor of a fill, its draw U, depends on the order's id alone, so the same order always gets the same
slippage.
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from decimal import Decimal

from domain.trading.arithmetic import ONE, ZERO, absolute, add, divide, money, multiply, plain, rate, round_to, subtract
from domain.trading.decision import Reason, Refusal
from domain.trading.events import Event, Filled, SizedOrder
from domain.trading.orders import Costs, Fill, NotFilled, Order
from domain.trading.quotes import Quote
from domain.types import OrderId, OrderType, OutcomeStatus, Side

TYPE_FACTOR = {OrderType.MARKET: Decimal(2), OrderType.LIMIT: Decimal("0.5")}
LARGE_NOTIONAL = Decimal(100_000)
MAX_SIZE_SURCHARGE = Decimal(4)
MIN_SLIPPAGE_DRAW = Decimal("0.5")
MAX_SLIPPAGE_DRAW = Decimal("1.5")


def slippage_draw(order_id: OrderId) -> Decimal:
    """Return U of an order, in [0.5, 1.5): 0.5 + (first 8 bytes of SHA-256 of its id) / 2⁶⁴."""
    digest = hashlib.sha256(str(order_id).encode()).digest()
    return add(MIN_SLIPPAGE_DRAW, divide(Decimal(int.from_bytes(digest[:8])), Decimal(2**64)))


def slippage_rate(base_notional: Decimal, slippage_pct: Decimal, order_type: OrderType, u: Decimal) -> Decimal:
    """Return the fraction by which the price moves against the order, to 1e-12.

    Args:
        base_notional: quantity × base price, in money; a larger order has more slippage.
        slippage_pct: the portfolio's setting, a fraction.
        order_type: a market order has four times the slippage of a limit order.
        u: the draw, see `slippage_draw`.
    """
    size_factor = add(ONE, min(divide(base_notional, LARGE_NOTIONAL), MAX_SIZE_SURCHARGE))
    return rate(multiply(multiply(multiply(slippage_pct, TYPE_FACTOR[order_type]), size_factor), u))


def slippage_price(side: Side, base_price: Decimal, slip: Decimal, tick: Decimal) -> Decimal:
    """Return the fill price of an order at slippage rate ``slip``, rounded to the tick."""
    factor = add(ONE, slip) if side is Side.BUY else subtract(ONE, slip)
    return round_to(multiply(base_price, factor), tick)


def commission(notional: Decimal, costs: Costs) -> Decimal:
    """Return the commission of an order with this notional at the fill price, in money."""
    return max(money(multiply(notional, costs.commission_pct)), costs.min_commission)


def worst_cost(quantity: Decimal, base_price: Decimal, tick: Decimal, costs: Costs) -> Decimal:
    """Return the highest possible cost of buying ``quantity`` at market, with commission, in money."""
    base_notional = money(multiply(quantity, base_price))
    slip = slippage_rate(base_notional, costs.slippage_pct, OrderType.MARKET, MAX_SLIPPAGE_DRAW)
    notional = money(multiply(quantity, slippage_price(Side.BUY, base_price, slip, tick)))
    return add(notional, commission(notional, costs))


def fill_order(order: Order, quote: Quote, filled_at: datetime) -> Fill | NotFilled:
    """Fill the whole order from one quote.

    Returns:
        The fill; `NotFilled` where slippage takes the price to zero, since no market has such a price.
    """
    base_notional = money(multiply(order.quantity, quote.price))
    slip = slippage_rate(base_notional, order.costs.slippage_pct, order.order_type, slippage_draw(order.order_id))
    price = slippage_price(order.side, quote.price, slip, order.instrument.tick)
    if order.limit_price is not None:
        better = min if order.side is Side.BUY else max
        price = better(price, order.limit_price)
    if price <= ZERO:
        return NotFilled(f"slippage takes the price {plain(quote.price)} to {plain(price)}")
    notional = money(multiply(order.quantity, price))
    return Fill(
        fill_no=1,
        quantity=order.quantity,
        price=price,
        notional=notional,
        commission=commission(notional, order.costs),
        slippage_rate=slip,
        slippage=money(multiply(order.quantity, absolute(subtract(price, quote.price)))),
        quote=quote,
        filled_at=filled_at,
    )


def match_market_order(sized: SizedOrder, time: datetime) -> Event | Refusal:
    """Match a market order with the quote that it was sized from.

    Returns:
        The portfolio's next event, or the refusal of the order's decision.
    """
    order = sized.order
    fill = fill_order(order, sized.sizing.quote, time)
    if isinstance(fill, NotFilled):
        return Refusal(order.decision_id, order.portfolio, OutcomeStatus.REJECTED, Reason.NO_FILL, fill.reason)
    return Filled(sized.sizing.version + 1, order, sized.sizing, fill)
