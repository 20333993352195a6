"""The price rules: what a taker meets, what a position is worth, and how a price is rounded to the tick."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

from domain.trading.arithmetic import ZERO, ceil_to, floor_to, multiply, round_to, storable, subtract
from domain.trading.freshness.age import ClockKind, TimeMark
from domain.trading.quotes import MarketData, Quote
from domain.types import BUY, PriceRule, Side

if TYPE_CHECKING:
    from domain.trading.orders import ExecutionRules  # an order imports `mark` from here

LAST = PriceRule.LAST


class BasePrice(NamedTuple):
    """The price that a taker meets, before slippage.

    Attributes:
        size: the quantity that it can take there without a surcharge; None where unknown.
    """

    price: Decimal
    size: Decimal | None = None


def spread_known(bid: Decimal | None, ask: Decimal | None) -> bool:
    """Return whether bid and ask are known and make sense together."""
    return bid is not None and ask is not None and bid <= ask


def may_fill(data: MarketData, rule: PriceRule) -> bool:
    """Return whether market data are fresh enough, by their source's clock, to fill orders with a price rule."""
    return data.freshness is None or data.freshness.serves(rule)


def why_old(quote: Quote) -> str:
    """Return why a quote may not fill: its time, and that of the exchange's clock when it arrived."""
    assert quote.freshness is not None  # one without it is always fresh
    clock = f"the clock of {quote.source} {_time(quote.freshness.exchange_time)} ({CLOCKS[quote.freshness.clock]})"
    if quote.freshness.frozen:
        text = f"{quote.source} repeats one price of {quote.symbol}, while others change"
    else:
        text = f"the newest of {quote.symbol} is old"
    if quote.freshness.mark is TimeMark.NO_TIME:
        return f"{text}; it has no exchange time, {clock}"
    return f"{text}: its time is {_time(quote.price_time)}, {clock}"


CLOCKS = {ClockKind.EXCHANGE: "asked for", ClockKind.HTTP_DATE: "by its HTTP header", ClockKind.OWN: "by our clock"}


def _time(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def mark(rule: PriceRule, price: Decimal, bid: Decimal | None, ask: Decimal | None) -> Decimal:
    """Return the price at which a position is valued. The SQL function ``paper_mark`` computes the same.

    Under `PriceRule.QUOTE` it is the last trade, clamped into [bid, ask] where both are known; else the last trade.

    >>> mark(PriceRule.QUOTE, Decimal("0.50"), Decimal("0.90"), Decimal("0.92"))
    Decimal('0.90')
    """
    if bid is None or ask is None or rule is LAST or bid > ask:
        return price
    return bid if price < bid else min(price, ask)


def base_price(quote: Quote, side: Side, rules: ExecutionRules, taken: Decimal = ZERO) -> BasePrice:
    """Return the price that a taker meets in a quote, and the quantity offered there.

    A trade comes with the bid and ask that were known then; of these and its own price the worse one counts.

    Args:
        quote: the market data.
        side: BUY or SELL.
        rules: the portfolio's.
        taken: the quantity that earlier orders of the portfolio took from this quote on this side.
    """
    bid, ask = quote.bid, quote.ask
    if bid is None or ask is None or rules.price_rule is LAST or bid > ask:
        return BasePrice(quote.price)
    if quote.is_trade:
        return BasePrice(max(ask, quote.price) if side is BUY else min(bid, quote.price))
    price, size = (ask, quote.ask_size) if side is BUY else (bid, quote.bid_size)
    if size is None:
        return BasePrice(price)
    # As the database stores it, so that a fill can be computed again from its row.
    return BasePrice(price, max(subtract(storable(multiply(rules.max_touch_share, size)), taken), ZERO))


def round_price(price: Decimal, side: Side, tick: Decimal, rule: PriceRule) -> Decimal:
    """Round a fill's price to the tick: `PriceRule.QUOTE` against the order, `PriceRule.LAST` to the nearest one."""
    if rule is LAST:
        return round_to(price, tick)
    return ceil_to(price, tick) if side is BUY else floor_to(price, tick)
